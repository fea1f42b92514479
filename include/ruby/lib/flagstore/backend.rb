# frozen_string_literal: true

module Flagstore
  # A store over any object that has some of these methods:
  #
  #   get(key)        JSON text, nil: there is no such flag
  #   set(key, json)
  #   remove(key)     whether it existed
  #   list_all        pairs of key and JSON text, such as a Hash
  #   close           called once, when the store and its last watch are freed
  #
  # What a method raises fails the call: a Flagstore::Error with its code, anything else as BACKEND; the exception is the
  # cause of the call's. A call on the store without its method is Error::NotImplemented. Calls never overlap, but come
  # from any thread. What interrupts the caller (Timeout, Thread#raise) interrupts the method, and fails the call;
  # Thread#kill waits until it has come back.
  # @return [Store, Object] with a block what that returns, as with Flagstore.file
  def self.backend(object, &block)
    opened(block) { Store.new(Backend.open(object)) }
  end

  # The functions of flagstore_backend_t, which all stores share; the context is the number of the object they serve.
  # @api private
  module Backend
    class Table < FFI::Struct
      layout :size, :size_t, :context, :pointer, :get, :pointer, :set, :pointer, :remove, :pointer, :list_all, :pointer,
             :close, :pointer
    end

    C.call :backend_open, [Table.by_ref], :pointer
    C.function :reply, %i[pointer buffer_in size_t buffer_in size_t], :void

    SERVED = {}
    FUNCTIONS = {}

    def self.open(object)
      SERVED[number = Object.new.object_id] = object # no number comes twice
      C.checked { |slot| C::Owner.new(C.backend_open(table(object, number), slot.error)) }
    rescue Error
      SERVED.delete(number)
      raise
    end

    def self.table(object, number)
      table = Table.new
      table[:size] = Table.size
      table[:context] = FFI::Pointer.new(number)
      FUNCTIONS.each { |name, function| table[name] = function if name == :close || object.respond_to?(name) }
      table
    end

    # work[object, ...] as a C function whose exceptions become error objects.
    def self.offer(name, *arguments, &work)
      FUNCTIONS[name] = FFI::Function.new(:bool, [:pointer, *arguments, :pointer]) do |context, *given, error|
        how, exception = C.contained { C.outside { work.call(SERVED.fetch(context.address), *given) } }
        error.write_pointer(failed(exception)) unless how == :value
        how == :value
      end
    end

    def self.failed(exception)
      exception ||= Error.new("the backend was left by throw, break or Thread.exit, or by Timeout")
      C.leave_cause(exception)
      own = exception.is_a?(Error)
      message = own ? exception.message : "#{exception.class}: #{exception.message}"
      message = message.dup.force_encoding(Encoding::UTF_8).scrub.tr("\0", "\ufffd")
      C.error_new(own ? exception.code : Error::BACKEND, message)
    end

    def self.text(pointer, length) = pointer.read_bytes(length).force_encoding(Encoding::UTF_8)

    def self.reply(reply, key, json)
      key = key && C.utf8(key)
      json = C.utf8(json)
      C.reply(reply, key, key ? key.bytesize : 0, json, json.bytesize)
    end

    offer :get, :pointer, :size_t, :pointer do |object, key, length, reply|
      json = object.get(text(key, length))
      reply(reply, nil, json) if json
    end

    offer :set, :pointer, :size_t, :pointer, :size_t do |object, key, length, json, json_length|
      object.set(text(key, length), text(json, json_length))
    end

    offer :remove, :pointer, :size_t, :pointer do |object, key, length, existed|
      existed.write_uint8(object.remove(text(key, length)) ? 1 : 0)
    end

    offer :list_all, :pointer do |object, reply|
      object.list_all.each { |key, json| reply(reply, key, json) }
    end

    FUNCTIONS[:close] = FFI::Function.new(:void, [:pointer]) do |context|
      object = SERVED.delete(context.address)
      how, error = C.contained { object.close if object.respond_to?(:close) }
      warn "flagstore: the backend's close failed: #{error.full_message}" if how == :raised
    end
  end
  private_constant :Backend
end
