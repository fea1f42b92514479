# frozen_string_literal: true

require "ffi"
require "json"

# Feature flags: keys to JSON values, in memory or in one JSON file, from any number of threads.
#
#   flags = Flagstore.file("flags.json")
#   flags["new-login"] = { "share" => 0.5 }
#   flags.get_bool("dark-mode", false)
#
# One file to copy into a project, and beside it, for those who need them, flagstore_changes.rb (snapshots, batches,
# watches) and flagstore_backend.rb (backends in Ruby). It needs the ffi gem, and libflagstore.so.0.2 where the loader
# finds it.
module Flagstore
  TYPES = %i[absent null bool number string array object].freeze
  READ_MODES = { fresh: 0, checked: 1, watched: 2 }.freeze
  DURABILITIES = { full: 0, none: 1, ordered: 2 }.freeze
  LOG_LEVELS = { error: 1, warn: 2, info: 3, debug: 4 }.freeze

  # The functions of flagstore.h that are used here, without their prefix.
  module C
    extend FFI::Library
    ffi_lib "libflagstore.so.0.2"

    class FileOptions < FFI::Struct
      layout :size, :size_t, :read_mode, :int32, :durability, :int32, :flags, :uint32,
             :lock_timeout_ms, :int32, :mode, :uint32, :reserved, :uint32, :max_bytes, :uint64
    end

    def self.function(name, arguments, result, **how)
      attach_function(name, :"flagstore_#{name}", arguments, result, **how)
    end

    # A call on a store may wait for a disk or a lock, so it lets other Ruby threads run. Its last argument is the error.
    def self.call(name, arguments, result)
      function(name, [*arguments, :pointer], result, blocking: true)
    end

    function :version, [], :string
    function :free, [:pointer], :void
    function :set_log, %i[pointer pointer int32], :void
    function :error_code, [:pointer], :int32
    function :error_name, [:int32], :string
    function :error_message, [:pointer], :string
    function :error_os_code, [:pointer], :int32

    call :memory_open, [], :pointer
    call :file_open, [:string], :pointer
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
    call :set_bool, %i[pointer string bool], :bool
    call :set_int64, %i[pointer string int64], :bool
    call :set_double, %i[pointer string double], :bool
    call :set_string, %i[pointer string string], :bool

    # What the garbage collector gives back.
    class Handle < FFI::AutoPointer
      def self.release(pointer) = C.free(pointer)
    end

    # Where a call leaves its error and the length of its text. Kept for reuse: allocating one costs more than a call.
    class Slot
      attr_reader :error, :length

      def initialize
        @error = FFI::MemoryPointer.new(:pointer)
        @length = FFI::MemoryPointer.new(:size_t)
      end
    end
    SLOTS = []

    # Makes one call; raises its error.
    def self.checked
      slot = SLOTS.pop || Slot.new
      result = yield slot
      failed = slot.error.read_pointer
      SLOTS.push(slot)
      failed.null? ? result : raise(Error.take(failed))
    end

    # A text of the library as a String, then freed; nil for NULL.
    def self.take(text, length = nil)
      return if text.null?

      (length ? text.read_bytes(length.read(:size_t)) : text.read_string).force_encoding(Encoding::UTF_8)
    ensure
      free(text)
    end

    def self.utf8(text)
      text = text.name if text.is_a?(Symbol)
      raise TypeError, "#{text.inspect} is not a String or Symbol" unless text.is_a?(String)

      text.encoding == Encoding::UTF_8 ? text : text.encode(Encoding::UTF_8)
    end
  end

  # What every failing call raises: one of these codes, its name ("FLAGSTORE_CORRUPT"), and the errno behind IO, else 0.
  class Error < StandardError
    INVALID_ARGUMENT = 1
    INVALID_JSON = 2
    CORRUPT = 3
    IO = 4
    LOCKED = 5
    READ_ONLY = 6
    NOT_IMPLEMENTED = 7
    TYPE_MISMATCH = 8
    CONFLICT = 9
    BACKEND = 10
    NOT_DURABLE = 11
    INTERNAL = 99

    attr_reader :code, :name, :os_code

    def initialize(message, code, os_code)
      super(message)
      @code = code
      @name = C.error_name(code)
      @os_code = os_code
    end

    def self.take(pointer)
      message = C.error_message(pointer).force_encoding(Encoding::UTF_8)
      new(message, C.error_code(pointer), C.error_os_code(pointer))
    ensure
      C.free(pointer)
    end
  end

  # Any number of threads may use a store at once. Keys are Strings or Symbols.
  class Store
    def initialize(pointer)
      @handle = C::Handle.new(pointer)
    end

    # Later calls are INVALID_ARGUMENT. Calls that still run keep the store; the garbage collector frees it after them.
    def close
      @handle = nil
    end

    # The value as Ruby has it, nil if absent.
    def [](key)
      json = get_json(key)
      json && JSON.parse(json, max_nesting: false)
    end

    def []=(key, value)
      set_json(key, JSON.generate(value, max_nesting: 0))
    end

    # The value as compact JSON, nil if absent. (A stored null is "null".)
    def get_json(key)
      key = C.utf8(key)
      C.checked { |slot| C.take(C.get_n(@handle, key, key.bytesize, slot.length, slot.error), slot.length) }
    end

    def set_json(key, json)
      key = C.utf8(key)
      json = C.utf8(json)
      C.checked { |slot| C.set_n(@handle, key, key.bytesize, json, json.bytesize, slot.error) }
    end

    # Whether the key was there.
    def delete(key)
      key = C.utf8(key)
      C.checked { |slot| C.delete_n(@handle, key, key.bytesize, slot.error) }
    end

    # Everything as one JSON object.
    def list_json
      C.checked { |slot| C.take(C.list_all(@handle, slot.error)) }
    end

    # Everything as a Hash.
    def list_all
      JSON.parse(list_json, max_nesting: false)
    end
    alias to_h list_all

    def size
      C.checked { |slot| C.len(@handle, slot.error) }
    end
    alias length size

    # One of TYPES.
    def type(key)
      TYPES[C.checked { |slot| C.get_type(@handle, C.utf8(key), slot.error) }]
    end

    # The typed getters give the fallback if the key is absent, and raise TYPE_MISMATCH on another type.
    def get_bool(key, fallback)
      key = C.utf8(key)
      C.checked { |slot| C.get_bool_n(@handle, key, key.bytesize, fallback, slot.error) }
    end

    def get_int64(key, fallback)
      key = C.utf8(key)
      C.checked { |slot| C.get_int64_n(@handle, key, key.bytesize, fallback, slot.error) }
    end

    def get_double(key, fallback)
      key = C.utf8(key)
      C.checked { |slot| C.get_double_n(@handle, key, key.bytesize, fallback, slot.error) }
    end

    def get_string(key, fallback)
      key = C.utf8(key)
      text = C.checked do |slot|
        C.take(C.get_string_n(@handle, key, key.bytesize, slot.length, slot.error), slot.length)
      end
      text || fallback
    end

    # The typed setters need keys and strings without NULs; []= and set_json take them all.
    def set_bool(key, value)
      C.checked { |slot| C.set_bool(@handle, C.utf8(key), value, slot.error) }
    end

    def set_int64(key, value)
      C.checked { |slot| C.set_int64(@handle, C.utf8(key), value, slot.error) }
    end

    def set_double(key, value)
      C.checked { |slot| C.set_double(@handle, C.utf8(key), value, slot.error) }
    end

    def set_string(key, value)
      C.checked { |slot| C.set_string(@handle, C.utf8(key), C.utf8(value), slot.error) }
    end
  end

  def self.version = C.version

  def self.memory
    Store.new(C.checked { |slot| C.memory_open(slot.error) })
  end

  # Opens a JSON file, created if missing.
  #   read_mode     :fresh, :checked (a look at size and times), :watched (a thread is told of changes)
  #   durability    :full, :none (a killed process, not power loss), :ordered (power loss may take the last changes)
  #   existing      true: a missing file is an error
  #   read_only     true: every change is READ_ONLY, nothing is created
  #   lock_timeout  seconds a change waits for other processes; 5 unless told, Float::INFINITY: for ever
  #   mode          permission bits of a created file; 0666 less the umask unless told
  #   max_bytes     a larger file or result is EFBIG; 256 MiB unless told
  def self.file(path, **options)
    path = C.utf8(File.path(path))
    Store.new(C.checked do |slot|
      options.empty? ? C.file_open(path, slot.error) : C.file_open_with(path, file_options(**options), slot.error)
    end)
  end

  def self.file_options(read_mode: :fresh, durability: :full, existing: false, read_only: false, lock_timeout: nil,
                        mode: 0, max_bytes: 0)
    options = C::FileOptions.new
    options[:size] = C::FileOptions.size
    options[:read_mode] = READ_MODES.fetch(read_mode)
    options[:durability] = DURABILITIES.fetch(durability)
    options[:flags] = (existing ? 1 : 0) | (read_only ? 2 : 0)
    options[:lock_timeout_ms] =
      case lock_timeout
      when nil then 0
      when Float::INFINITY then -1
      else [(lock_timeout * 1000).ceil, 1].max
      end
    options[:mode] = mode
    options[:max_bytes] = max_bytes
    options
  end
  private_class_method :file_options

  # Gives every log message of this level or a graver one to the block, on the thread that made the call; no block: off.
  #   Flagstore.log(:warn) { |level, message| logger.public_send(level, message) }
  def self.log(level = :warn, &block)
    @log = block
    C.set_log(block ? LOG : nil, nil, LOG_LEVELS.fetch(level))
  end

  def self.logged(level, message)
    @log&.call(LOG_LEVELS.key(level), message.force_encoding(Encoding::UTF_8))
  rescue Exception => e # nothing may be thrown through the library
    warn "flagstore: the log block failed: #{e.full_message}"
  end
  private_class_method :logged

  # One for good, whatever the block: a call in another thread may still use it when the block is replaced.
  LOG = FFI::Function.new(:void, %i[pointer int32 string]) { |_, level, message| logged(level, message) }
  private_constant :LOG
end
