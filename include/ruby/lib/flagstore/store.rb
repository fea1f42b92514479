# frozen_string_literal: true

module Flagstore
  # Keys and their JSON values. Any number of threads may use a store at once, also after a fork, in parent and child.
  #
  # Keys are Strings or Symbols. Text goes in and comes out in UTF-8: what has another encoding is transcoded, and
  # refused with Error::InvalidArgument if it cannot be. Every method may raise the Errors of its call, and Error::Closed.
  class Store
    include Enumerable

    # @api private
    # @param slices [Integer, Float] how often a change tries to get the lock
    # @param slice [Float] and for how many seconds each time
    def initialize(owner, slices = 1, slice = 0)
      @owner = owner
      @slices = slices
      @slice = slice
    end

    # Frees the store, when the calls that are still in it have come back. Later calls raise Error::Closed. Closing again
    # does nothing; snapshots, batches and watches live on.
    # @return [nil]
    def close
      @owner.close
      nil
    end

    def closed? = @owner.closed?

    # @return [Object, nil] the value as Ruby has it; nil: absent, or null (see fetch and key?)
    def [](key) = C.value(get_json(key))

    # Stores what JSON.generate makes of the value. Not what JSON cannot hold, such as NaN: a JSON::GeneratorError.
    def []=(key, value)
      set_json(key, C.json(value))
    end
    alias store []=

    # @return [String, nil] the value as compact JSON; nil: absent. A stored null is "null"
    def get_json(key)
      key = C.utf8(key)
      call { |slot, store| C.take(C.get_n(store, key, key.bytesize, slot.length, slot.error), slot.length) }
    end

    # Stores one JSON value, which keeps the digits of its numbers; Error::InvalidJson if it is none.
    # @return [true]
    def set_json(key, json)
      key = C.utf8(key)
      json = C.utf8(json)
      change { |slot, store| C.set_n(store, key, key.bytesize, json, json.bytesize, slot.error) }
    end

    # @return [Boolean] whether the key was there
    def delete(key)
      key = C.utf8(key)
      change { |slot, store| C.delete_n(store, key, key.bytesize, slot.error) }
    end

    # @return [String] everything as one JSON object
    def list_json
      call { |slot, store| C.take(C.list_all(store, slot.error)) }
    end

    # @return [Hash{String => Object}] everything
    def list_all = C.value(list_json)
    alias to_h list_all

    # @return [Integer] the number of flags
    def size
      call { |slot, store| C.len(store, slot.error) }
    end
    alias length size

    # @return [Symbol] one of TYPES
    def type(key)
      key = C.utf8(key)
      return type_by_value(key) if key.include?("\0") # the library's call takes a terminated key

      TYPES[call { |slot, store| C.get_type(store, key, slot.error) }]
    end

    # @!method get_bool(key, fallback)
    #   The typed getters give the fallback if the key is absent, and raise Error::TypeMismatch on another type.
    #   @return [Boolean]
    # @!method get_int64(key, fallback)
    #   @return [Integer] of 64 bits; also from 3.0 and 3e2
    # @!method get_double(key, fallback)
    #   @return [Float] from any number
    %i[get_bool get_int64 get_double].each do |name|
      # C.checked written out: what programs call most goes without its blocks.
      class_eval <<~RUBY, __FILE__, __LINE__ + 1
        def #{name}(key, fallback)
          key = C.utf8(key)
          Thread.handle_interrupt(C::NEVER) do
            handle = @owner.enter
            slot = C::SLOTS.pop || C::Slot.new
            begin
              result = C.#{name}_n(handle, key, key.bytesize, fallback, slot.error)
            ensure
              error = slot.take_error
              C::SLOTS.push(slot)
              @owner.leave
            end
            error ? raise(error, cause: C.taken_cause) : result
          end
        end
      RUBY
    end

    # @return [String, Object] the fallback may be anything
    def get_string(key, fallback)
      key = C.utf8(key)
      text = call do |slot, store|
        C.take(C.get_string_n(store, key, key.bytesize, slot.length, slot.error), slot.length)
      end
      text || fallback
    end

    # The typed setters take their type only: a TypeError, or a RangeError, otherwise.
    # @return [true]
    def set_bool(key, value)
      raise TypeError, "#{value.inspect} is not true or false" unless [true, false].include?(value)

      set_json(key, value.to_s)
    end

    # @return [true]
    def set_int64(key, value)
      raise TypeError, "#{value.inspect} is not an Integer" unless value.is_a?(Integer)
      raise RangeError, "#{value} does not fit into 64 bits" unless value.bit_length < 64

      set_json(key, value.to_s)
    end

    # Finite numbers only: Error::InvalidArgument otherwise.
    # @return [true]
    def set_double(key, value)
      key = C.utf8(key)
      value = Float(value)
      return set_json(key, double_json(value)) if key.include?("\0") # as in type

      change { |slot, store| C.set_double(store, key, value, slot.error) }
    end

    # @return [true]
    def set_string(key, value)
      set_json(key, JSON.generate(C.utf8(value)))
    end

    def inspect = "#<#{self.class}#{' (closed)' if closed?}>"

    private

    def call(&block) = C.checked(@owner, &block)

    # A change may wait for a lock, which the library cannot be called away from. So it waits in slices, between which
    # Ruby can interrupt or kill the thread: Error::Locked says that nothing was written.
    def change(&block)
      (1...@slices).each do
        return Log.without_locked { call(&block) }
      rescue Error::Locked
        next
      end
      call(&block)
    rescue Error::Locked => e
      raise Error::Locked, e.message.sub(/\d+ ms\z/, "#{(@slices * @slice * 1000).round} ms")
    end

    def type_by_value(key)
      case json = get_json(key)
      when nil then :absent
      when "null" then :null
      when "true", "false" then :bool
      else { '"' => :string, "[" => :array, "{" => :object }.fetch(json[0], :number)
      end
    end

    def double_json(value)
      Flagstore.memory { |one| one.set_double("", value) && one.get_json("") }
    end
  end
end
