# frozen_string_literal: true

module Flagstore
  # A store over any object that has some of these methods. The first four make a store:
  #
  #   get(key)             JSON text, nil: there is no such flag
  #   set(key, json)
  #   remove(key)          whether it existed
  #   list_all             pairs of key and JSON text, such as a Hash
  #
  # With these it is as good as a store of the library:
  #
  #   commit(batch)        makes all changes of the Batch, which may be read until then, or none and raises
  #                        Error::Conflict if what it expects is not so (see json_equal?). The revision after it, nil:
  #                        not known
  #   load(seen)           every flag as of one moment and the revision then (0: not known), [pairs, revision]; or :same
  #                        if it is still the one that was seen; or :gone if what was stored has vanished
  #   wait(seen, timeout)  waits until the revision is another and returns it; nil: so many seconds have passed, or
  #                        wake. It overlaps all other calls, and one at a time is under way
  #   wake                 makes a wait that is under way return
  #   forked               comes first in a forked child: closes the copies of the parent's connections
  #   concurrent?          whether calls may overlap; otherwise they do not
  #   close                called once, when the store and its last watch are freed
  #
  # A revision is a number of the object's own. It is never 0, and differs where the content does.
  #
  # What a method raises fails the call: a Flagstore::Error with its code, anything else as BACKEND; the exception is
  # the cause of the call's. Error::Unavailable says that nothing was reached, so that nothing has changed,
  # Error::Uncertain that a change was sent and not answered. A call on the store without its method is
  # Error::NotImplemented. Calls come from any thread; with load or wait also from those of the library. What interrupts
  # the caller (Timeout, Thread#raise) interrupts the method, and fails the call; Thread#kill waits until it has come
  # back.
  # @return [Store, Object] with a block what that returns, as with Flagstore.file
  def self.backend(object, &block)
    opened(block) { Store.new(Backend.open(object)) }
  end

  # A store over an object as with Flagstore.backend, each call of which has a deadline: a method that does not return
  # in time is left to itself. The methods run in threads of their own, so that what they raise is not the cause of the
  # call's error, and nothing interrupts them. The store lives until it is closed; the end of the program closes it.
  #
  # A forked child may use it. With an ffi gem before 1.17.1 a child may crash if it is forked in the very moment in which
  # a call is on its way to Ruby, as when the store has just been opened: open it after the fork there.
  # @param read_mode [Symbol] :fresh asks at every read, :checked whether the flags are still the same, :watched keeps
  #   them in memory and follows
  # @param when_lost [Symbol] what reads of :watched get while the object is not reached, :serve: the last good flags,
  #   :fail: Error::Unavailable
  # @param read_only [Boolean] true: every change is Error::ReadOnly
  # @param lazy [Boolean] true: opening does not wait for the first flags
  # @param open_timeout [Numeric, nil] how many seconds opening with :watched waits; nil: 2
  # @param call_timeout [Numeric, nil] the deadline of a call, in seconds; nil: 0.5
  # @param max_stale [Numeric, nil] after so many seconds :serve becomes :fail; nil: never
  # @param verify [Numeric, nil] seconds between looks unasked; nil: 60 where there is a wait, 5 where not
  # @param spread [Numeric, nil] a re-read begins after a random part of so many seconds; nil: 0.1, 0: at once
  # @param retry_max [Numeric, nil] the most seconds between attempts to reach what is lost; nil: 1
  # @param max_bytes [Integer] a larger result is Error::Io (EFBIG); 0: 256 MiB
  # @param fallback_path [String, Pathname, nil] a file that keeps the last good flags, read if nothing is reached at
  #   open
  # @yield [Store] which is closed when the block ends
  # @return [Store, Object] with a block what that returns
  def self.remote(object, **options, &block)
    options = Backend.options(**options)
    opened(block) { Store.new(Backend.open(object, options)) }
  end

  # The functions of flagstore_backend_t, which all stores share; the context is the number of the object they serve.
  # @api private
  module Backend
    class Table < FFI::Struct
      layout :size, :size_t, :context, :pointer, :get, :pointer, :set, :pointer, :remove, :pointer, :list_all, :pointer,
             :close, :pointer, :flags, :uint32, :reserved, :uint32, :commit, :pointer, :load, :pointer,
             :wait, :pointer, :wake, :pointer, :forked, :pointer
    end

    C.call :backend_open, [Table.by_ref], :pointer
    C.call :backend_open_with, [Table.by_ref, C::RemoteOptions.by_ref], :pointer
    C.function :reply, %i[pointer buffer_in size_t buffer_in size_t], :void

    LOST = { serve: 0, fail: 1 }.freeze
    SERVED = {}
    ASKED = {} # the numbers of those that were called while they were opened: the library closes them
    FUNCTIONS = {}
    ALWAYS = %i[close forked].freeze
    TIMES = %i[open_timeout call_timeout max_stale verify spread retry_max].freeze
    MAX_MS = 2**31 - 1

    def self.open(object, options = nil)
      SERVED[number = Object.new.object_id] = object # no number comes twice
      table = table(object, number)
      C.take_foreign_calls
      C.checked do |slot|
        handle = options ? C.backend_open_with(table, options, slot.error) : C.backend_open(table, slot.error)
        owner = C::Owner.new(handle)
        C::FOLLOWED[owner] = true if !handle.null? && (options || table[:load] != nil || table[:wait] != nil)
        owner
      end
    rescue Error
      SERVED.delete(number) unless ASKED[number]
      raise
    ensure
      ASKED.delete(number)
    end

    def self.path(given)
      path = C.utf8(File.path(given))
      raise Error::InvalidArgument, "#{path.inspect} contains a NUL" if path.include?("\0")

      path
    end

    def self.options(read_mode: :fresh, when_lost: :serve, read_only: false, lazy: false, max_bytes: 0,
                     fallback_path: nil, **times)
      options = C::RemoteOptions.new
      options[:size] = C::RemoteOptions.size
      options[:read_mode] = READ_MODES.fetch(read_mode)
      options[:when_lost] = LOST.fetch(when_lost)
      options[:flags] = (read_only ? 2 : 0) | (lazy ? 4 : 0)
      options[:max_bytes] = max_bytes
      options[:fallback_path] = fallback_path && FFI::MemoryPointer.from_string(path(fallback_path))
      unknown = times.keys - TIMES
      raise ArgumentError, "unknown keyword: #{unknown.map(&:inspect).join(", ")}" unless unknown.empty?

      times.compact.each { |name, seconds| options[:"#{name}_ms"] = milliseconds(name, seconds) }
      options
    end

    # Seconds as the library has them, where 0 is the default.
    def self.milliseconds(name, seconds)
      milliseconds = seconds * 1000
      unless milliseconds.between?(0, MAX_MS)
        raise Error::InvalidArgument, "#{name}: #{seconds} is not a number of seconds"
      end

      name == :spread && milliseconds.zero? ? -1 : [milliseconds.ceil, 1].max
    end

    def self.table(object, number)
      table = Table.new
      table[:size] = Table.size
      table[:context] = FFI::Pointer.new(number)
      table[:flags] = object.respond_to?(:concurrent?) && object.concurrent? ? 1 : 0
      FUNCTIONS.each { |name, function| table[name] = function if ALWAYS.include?(name) || object.respond_to?(name) }
      table
    end

    # work[object, ...] as a C function whose exceptions become error objects.
    def self.offer(name, *arguments, &work)
      FUNCTIONS[name] = FFI::Function.new(:bool, [:pointer, *arguments, :pointer]) do |context, *given, error|
        how, result = C.contained { C.outside { work.call(served(context), *given) } }
        error.write_pointer(failed(result)) unless how == :value
        how == :value && result != false
      end
    end

    def self.served(context)
      ASKED[context.address] = true
      SERVED.fetch(context.address)
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
      true
    end

    offer :set, :pointer, :size_t, :pointer, :size_t do |object, key, length, json, json_length|
      object.set(text(key, length), text(json, json_length))
      true
    end

    offer :remove, :pointer, :size_t, :pointer do |object, key, length, existed|
      existed.write_uint8(object.remove(text(key, length)) ? 1 : 0)
      true
    end

    offer :list_all, :pointer do |object, reply|
      object.list_all.each { |key, json| reply(reply, key, json) }
      true
    end

    offer :commit, :pointer, :pointer do |object, lent, revision|
      owner = C::Lent.new(lent)
      after = object.commit(Batch.new(owner))
      revision.write_uint64(after) if after.is_a?(Integer)
      true
    ensure
      owner&.close
    end

    offer :load, :pointer, :pointer, :pointer do |object, revision, same, reply|
      case loaded = object.load(revision.read_uint64)
      when :same then same.write_uint8(1)
      when :gone then revision.write_uint64(0)
      else
        flags, now = loaded
        revision.write_uint64(now)
        flags.each { |key, json| reply(reply, key, json) }
      end
      true
    end

    offer :wait, :pointer, :int32 do |object, revision, timeout_ms|
      now = object.wait(revision.read_uint64, timeout_ms / 1000.0)
      revision.write_uint64(now) if now
      !now.nil?
    end

    # A function that cannot fail, of a method that need not be there.
    def self.tell(object, name)
      how, error = C.contained { object.public_send(name) if object.respond_to?(name) }
      warn "flagstore: the backend's #{name} failed: #{error.full_message}" if how == :raised
    end

    FUNCTIONS[:wake] = FFI::Function.new(:void, [:pointer]) { |context| tell(SERVED.fetch(context.address), :wake) }

    FUNCTIONS[:forked] = FFI::Function.new(:void, [:pointer]) do |context|
      C.contained { C.take_foreign_calls }
      tell(SERVED.fetch(context.address), :forked)
    end

    FUNCTIONS[:close] = FFI::Function.new(:void, [:pointer]) do |context|
      ASKED[context.address] = true
      tell(SERVED.delete(context.address), :close)
    end
  end
  private_constant :Backend
end
