# frozen_string_literal: true

require "ffi"
require "json"

module Flagstore
  # The functions of flagstore.h without their prefix, and what makes them safe to call from Ruby. Not for users.
  # @api private
  module C
    extend FFI::Library

    SONAME = "libflagstore.so.0.2"
    ABI_VERSION = 2
    directory = ENV.fetch("FLAGSTORE_LIB_DIR", "")
    ffi_lib(directory.empty? ? SONAME : File.join(directory, SONAME))

    class FileOptions < FFI::Struct
      layout :size, :size_t, :read_mode, :int32, :durability, :int32, :flags, :uint32,
             :lock_timeout_ms, :int32, :mode, :uint32, :reserved, :uint32, :max_bytes, :uint64
    end

    class RemoteOptions < FFI::Struct
      layout :size, :size_t, :read_mode, :int32, :when_lost, :int32, :flags, :uint32, :open_timeout_ms, :int32,
             :call_timeout_ms, :int32, :max_stale_ms, :int32, :verify_ms, :int32, :spread_ms, :int32,
             :retry_max_ms, :int32, :reserved, :uint32, :max_bytes, :uint64, :fallback_path, :pointer
    end

    class RedisOptions < FFI::Struct
      layout :size, :size_t, :remote, :pointer, :hash, :pointer, :username, :pointer, :password, :pointer,
             :password_file, :pointer, :tls_ca_file, :pointer, :tls_cert_file, :pointer, :tls_key_file, :pointer,
             :tls_server_name, :pointer, :sentinel_master, :pointer, :connections, :int32, :wait_replicas, :int32,
             :wait_ms, :int32, :reserved, :int32
    end

    class StatusStruct < FFI::Struct
      layout :size, :size_t, :state, :int32, :push, :int32, :age_ms, :int64, :revision, :uint64,
             :reconnects, :uint64, :refreshes, :uint64
    end

    def self.function(name, arguments, result, **how)
      attach_function(name, :"flagstore_#{name}", arguments, result, **how)
    end

    # A call on a store may wait for a disk or a lock, so it lets other Ruby threads run. Its last argument is the error.
    def self.call(name, arguments, result)
      function(name, [*arguments, :pointer], result, blocking: true)
    end

    function :version, [], :string
    function :abi_version, [], :uint32
    function :has_feature, [:string], :bool
    function :free, [:pointer], :void
    # Of a handle: it may wait for a thread of the library that waits for Ruby, in a log block say.
    attach_function :free_handle, :flagstore_free, [:pointer], :void, blocking: true
    function :set_log, %i[pointer pointer int32], :void
    function :error_code, [:pointer], :int32
    function :error_name, [:int32], :string
    function :error_message, [:pointer], :string
    function :error_os_code, [:pointer], :int32
    function :error_new, %i[int32 string], :pointer

    raise LoadError, "#{SONAME} has another ABI version than the gem" unless abi_version == ABI_VERSION

    call :memory_open, [], :pointer
    call :file_open_with, [:string, FileOptions.by_ref], :pointer

    # :buffer_in with a length passes a string's own bytes, NULs and all. Texts come back as :pointer, to be freed.
    call :get_n, %i[pointer buffer_in size_t pointer], :pointer
    call :set_n, %i[pointer buffer_in size_t buffer_in size_t], :bool
    call :delete_n, %i[pointer buffer_in size_t], :bool
    call :list_all, [:pointer], :pointer
    call :len, [:pointer], :int64
    call :get_bool_n, %i[pointer buffer_in size_t bool], :bool
    call :get_int64_n, %i[pointer buffer_in size_t int64], :int64
    call :get_double_n, %i[pointer buffer_in size_t double], :double
    call :get_string_n, %i[pointer buffer_in size_t pointer], :pointer
    call :get_type, %i[pointer string], :int32
    call :set_double, %i[pointer string double], :bool

    call :snapshot, [:pointer], :pointer
    function :snapshot_count, [:pointer], :size_t
    function :snapshot_key, %i[pointer size_t pointer], :pointer
    function :snapshot_value, %i[pointer size_t pointer], :pointer
    function :snapshot_find_n, %i[pointer buffer_in size_t pointer], :pointer
    function :snapshot_seek, %i[pointer buffer_in size_t], :size_t

    # These hold Ruby's lock: two threads may not build a batch at once, and no batch waits for anything.
    function :batch_new, [], :pointer
    function :batch_set_n, %i[pointer buffer_in size_t buffer_in size_t pointer], :bool
    function :batch_delete_n, %i[pointer buffer_in size_t pointer], :bool
    function :batch_clear, %i[pointer pointer], :bool
    function :batch_expect_n, %i[pointer buffer_in size_t buffer_in size_t pointer], :bool
    function :batch_clears, [:pointer], :bool
    function :batch_count, [:pointer], :size_t
    function :batch_key, %i[pointer size_t pointer], :pointer
    function :batch_value, %i[pointer size_t pointer], :pointer
    function :batch_expect_count, [:pointer], :size_t
    function :batch_expect_key, %i[pointer size_t pointer], :pointer
    function :batch_expect_value, %i[pointer size_t pointer], :pointer
    function :json_equal, %i[buffer_in size_t buffer_in size_t], :bool
    call :commit, %i[pointer pointer], :bool
    call :revision, [:pointer], :uint64
    call :wait, %i[pointer pointer int32], :bool
    call :status, [:pointer, StatusStruct.by_ref], :bool
    call :sync, %i[pointer int32], :bool
    call :layered_open, %i[pointer size_t size_t], :pointer

    # What the garbage collector gives back.
    class Handle < FFI::AutoPointer
      def self.release(pointer) = C.free_handle(pointer)

      # Now. No exception may leave it to the garbage collector as well.
      def give_back
        self.autorelease = false
        C.free_handle(self)
      end
    end

    # One object of the library, and how many calls are inside it: once closed, the last of them frees it. There is no
    # lock, which a signal handler could not take: Ruby switches threads in none of these additions.
    class Owner
      # Elsewhere it might, and the garbage collector frees what is closed.
      EXACT = RUBY_ENGINE == "ruby"
      private_constant :EXACT

      def initialize(pointer)
        @handle = Handle.new(pointer)
        @calls = 0
      end

      # @param alone [Boolean] whether nobody else may be inside
      # @return [Handle] to be used until leave
      def enter(alone = false)
        @calls += 1
        handle = @handle
        raise Error::Closed unless handle
        raise Error::InvalidArgument, "another thread uses it" if @alone || (alone && @calls > 1)

        @alone = alone
        handle
      rescue Error
        @calls -= 1
        raise
      end

      def leave
        @calls -= 1
        @alone = false
        give_back if @calls.zero? && @closed
      end

      def closed? = @handle.nil?
      def given_back? = @handle.nil? && @closed.nil?

      def close
        Thread.handle_interrupt(NEVER) do
          @closed, @handle = @handle, nil if @handle
          give_back if @calls.zero? && @closed
        end
      end

      private

      def give_back
        closed, @closed = @closed, nil
        FOLLOWED.delete(self)
        closed&.give_back if EXACT
      end
    end

    # Keeps an owner's object when the owner is closed, until it is closed itself.
    class Kept
      attr_reader :enter

      def initialize(owner)
        Thread.handle_interrupt(NEVER) { @enter = (@owner = owner).enter }
      end

      def leave; end
      def closed? = @owner.nil?

      def close
        Thread.handle_interrupt(NEVER) do
          owner, @owner = @owner, nil
          owner&.leave
        end
      end
    end

    # A batch of the library's, in place of its owner: it may be read until the call that lent it returns.
    class Lent
      def initialize(pointer)
        @pointer = pointer
      end

      def enter(alone = false)
        raise Error::InvalidArgument, "this batch is only to be read" if alone

        @pointer or raise Error::Closed, "closed batch"
      end

      def leave; end
      def close = @pointer = nil
    end

    # Where a call leaves its error and the length of its text. Kept for reuse: allocating one costs more than a call.
    class Slot
      attr_reader :error, :length

      def initialize
        @error = FFI::MemoryPointer.new(:pointer)
        @length = FFI::MemoryPointer.new(:size_t)
      end

      # The error of the call, as an exception.
      def take_error
        return if @error.get_ulong(0).zero? # a pointer would be an object more for each call

        failed = @error.read_pointer
        @error.put_pointer(0, nil)
        Error.take(failed)
      end
    end
    SLOTS = []

    # Object: Exception would let Thread#kill through.
    NEVER = { Object => :never }.freeze

    # Makes one call, on the owner's object; raises its error. What Timeout, Thread#raise or Thread#kill have for this
    # thread comes before the call or after it: between the library's return and the next line of Ruby it would lose
    # what is to be freed.
    def self.checked(owner = nil, alone = nil)
      Thread.handle_interrupt(NEVER) do
        handle = alone ? owner.enter(true) : owner&.enter
        slot = SLOTS.pop || Slot.new
        begin
          result = yield slot, handle
        ensure # a signal's handler, in the main thread, is not held up
          error = slot.take_error
          SLOTS.push(slot)
          owner&.leave
        end
        error ? raise(error, cause: taken_cause) : result
      end
    end

    # A text of the library as a String, then freed; nil for NULL.
    def self.take(text, length = nil)
      return if text.null?

      (length ? text.read_bytes(length.read(:size_t)) : text.read_string).force_encoding(Encoding::UTF_8)
    ensure
      free(text)
    end

    # A text that stays the library's, as a String; nil for NULL.
    def self.borrowed(name, *arguments)
      slot = SLOTS.pop || Slot.new
      text = public_send(name, *arguments, slot.length)
      text.null? ? nil : text.read_bytes(slot.length.read(:size_t)).force_encoding(Encoding::UTF_8)
    ensure
      SLOTS.push(slot)
    end

    # Runs what a callback is to do, and comes back from it whatever it does: nothing may unwind the library, neither an
    # exception nor throw or Thread.exit. Exceptions like SystemExit go on when the call has returned.
    # @return [Array] :value and what came back, :raised and the exception, or :left
    def self.contained
      outcome = [:left]
      outcome = [:value, yield]
    rescue Exception => e
      outcome = [:raised, e]
      Thread.current.raise(e) unless e.is_a?(StandardError)
    ensure
      return outcome
    end

    # Owners, not yet given back, of stores whose backends threads of the library call. They are kept: the end of the
    # program needs them, and ObjectSpace::WeakMap hands out what is gone.
    FOLLOWED = {}.compare_by_identity

    # Whether the program ends.
    def self.ending? = @ending

    # Those threads must not find Ruby gone. Registered before the at_exit below, it runs after that.
    at_exit do
      owners = FOLLOWED.keys
      owners.each(&:close)
      give_up = now + 5
      # A watch keeps its store until it sees that the program ends.
      sleep(0.005) until owners.all?(&:given_back?) || now > give_up
    end

    # The ffi gem takes calls from foreign threads to Ruby in a thread of its own, which it starts with the first function
    # that is made in a process. A forked child has to make one.
    def self.take_foreign_calls
      return if @taken_in == Process.pid

      @taken_in = Process.pid
      @function_of_process = FFI::Function.new(:void, []) { nil }
    end

    OUTSIDE = {} # the threads that run a callback now

    # The end of the program kills all threads, and waits for those that defer it; a callback that sleeps would not notice.
    at_exit do
      @ending = true
      OUTSIDE.each_key.to_a.each { |thread| thread.raise(Error.new("the program ends")) unless thread == Thread.current }
    end

    # Runs what a callback is to do with interrupts, which the call that it is inside of has put off: without them no
    # Timeout in it would work. Not Thread#kill: once it has begun it cannot be put off.
    def self.outside(&work)
      raise Error, "the program ends" if @ending && Thread.current != Thread.main

      outer = OUTSIDE[Thread.current]
      OUTSIDE[Thread.current] = true
      Thread.handle_interrupt(Exception => :immediate, &work)
    ensure
      OUTSIDE.delete(Thread.current) unless outer
    end

    # What a backend in Ruby raised in this call becomes the cause of the call's error.
    def self.leave_cause(exception) = Thread.current[:flagstore_cause] = exception

    def self.taken_cause
      cause = Thread.current[:flagstore_cause] or return $!
      Thread.current[:flagstore_cause] = nil
      cause
    end

    # Text for the library: valid UTF-8, and not to be changed by another thread while the library reads it.
    def self.utf8(given)
      text = given.is_a?(Symbol) ? given.name : given
      if text.instance_of?(String) && text.valid_encoding? &&
         (text.encoding == Encoding::UTF_8 || text.encoding == Encoding::US_ASCII)
        return text.frozen? ? text : text.dup
      end

      text = String.try_convert(text)
      raise TypeError, "#{given.inspect} is not a String or Symbol" unless text

      text = text.encode(Encoding::UTF_8) unless text.encoding == Encoding::UTF_8
      raise Error::InvalidArgument, "not UTF-8: #{text.inspect}" unless text.valid_encoding?

      text.frozen? ? text : text.dup
    rescue EncodingError # also of a Symbol or a String in BINARY
      raise Error::InvalidArgument, "not to be had in UTF-8: #{text.inspect}"
    end

    MAX_NESTING = 127 # the library's

    # JSON of a Ruby value, whose strings are treated as keys are.
    def self.json(value) = JSON.generate(plain(value), max_nesting: MAX_NESTING)

    def self.plain(value, depth = 0)
      raise JSON::NestingError, "nesting of #{depth} is too deep" if depth > MAX_NESTING

      case value
      when String, Symbol then utf8(value)
      when Array then value.map { |item| plain(item, depth + 1) }
      when Hash then value.to_h { |key, item| [key.is_a?(String) ? utf8(key) : key, plain(item, depth + 1)] }
      else value
      end
    end

    # The Ruby value of JSON; nil for nil.
    def self.value(json)
      json && JSON.parse(json, max_nesting: false)
    rescue JSON::ParserError # a lone surrogate, which JSON can spell
      raise Error::TypeMismatch, "a string that UTF-8 cannot hold"
    end

    def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
