# frozen_string_literal: true

require_relative "flagstore/version"
require_relative "flagstore/native"
require_relative "flagstore/error"

# Feature flags: keys to JSON values, in memory or in one JSON file, from any number of threads and processes.
#
#   Flagstore.file("flags.json") do |flags|
#     flags["new-login"] = { "share" => 0.5 }
#     flags.get_bool("dark-mode", false)
#   end
#
# It needs the ffi gem, and libflagstore.so.0.2 in the directory FLAGSTORE_LIB_DIR or else where the loader finds it.
#
# Timeout, Thread#raise and Thread#kill come before or after a call of the library, never inside it, so that nothing
# leaks; wrap a call in Thread.handle_interrupt to be sure of its result as well. What waits for a lock or a change does
# so in slices of half a second at most, between which it can be interrupted. Only a signal whose handler raises in the
# main thread, as that of Ctrl-C does, can come between the library's answer and Ruby: the text it had to give is lost.
module Flagstore
  # What Store#type answers.
  TYPES = %i[absent null bool number string array object].freeze
  READ_MODES = { fresh: 0, checked: 1, watched: 2 }.freeze
  DURABILITIES = { full: 0, none: 1, ordered: 2 }.freeze
  LOG_LEVELS = { error: 1, warn: 2, info: 3, debug: 4 }.freeze

  LOCK_TIMEOUT = 5 # seconds, as the library's
  LOCK_SLICE = 0.5 # seconds; a process that gives up more often would stand behind all others again
  private_constant :LOCK_TIMEOUT, :LOCK_SLICE

  # @return [String] the version of the loaded library
  def self.version = C.version.force_encoding(Encoding::UTF_8)

  # @param name [String, Symbol] such as "watched"
  # @return [Boolean] whether the loaded library has this feature
  def self.feature?(name) = C.has_feature(C.utf8(name))

  # A store in memory.
  # @yield [Store] which is closed when the block ends
  # @return [Store, Object] with a block what that returns
  def self.memory(&block)
    opened(block) { Store.new(C.checked { |slot| C::Owner.new(C.memory_open(slot.error)) }) }
  end

  # Opens a JSON file, created if missing.
  # @param path [String, Pathname]
  # @param read_mode [Symbol] :fresh, :checked (a look at size and times), :watched (a thread is told of changes)
  # @param durability [Symbol] :full, :none (a killed process, not power loss), :ordered (power loss may take the last)
  # @param existing [Boolean] true: a missing file is an error
  # @param read_only [Boolean] true: every change is Error::ReadOnly, nothing is created
  # @param lock_timeout [Numeric, nil] seconds a change waits for other processes, then Error::Locked; nil: 5;
  #   Float::INFINITY: for ever
  # @param mode [Integer] permission bits of a created file; 0: 0666 less the umask
  # @param max_bytes [Integer] a larger file or result is Error::Io (EFBIG); 0: 256 MiB
  # @yield [Store] which is closed when the block ends
  # @return [Store, Object] with a block what that returns
  def self.file(path, lock_timeout: nil, **options, &block)
    path = C.utf8(File.path(path))
    timeout = lock_timeout || LOCK_TIMEOUT
    slices = timeout == Float::INFINITY ? timeout : [(timeout.to_f / LOCK_SLICE).ceil, 1].max
    slice = timeout == Float::INFINITY ? LOCK_SLICE : timeout.to_f / slices
    options = file_options(slice, **options)
    opened(block) do
      owner = C.checked { |slot| C::Owner.new(C.file_open_with(path, options, slot.error)) }
      Store.new(owner, slices, slice)
    end
  end
  singleton_class.alias_method :open, :file

  def self.file_options(slice, read_mode: :fresh, durability: :full, existing: false, read_only: false, mode: 0,
                        max_bytes: 0)
    options = C::FileOptions.new
    options[:size] = C::FileOptions.size
    options[:read_mode] = READ_MODES.fetch(read_mode)
    options[:durability] = DURABILITIES.fetch(durability)
    options[:flags] = (existing ? 1 : 0) | (read_only ? 2 : 0)
    options[:lock_timeout_ms] = [(slice * 1000).ceil, 1].max
    options[:mode] = mode
    options[:max_bytes] = max_bytes
    options
  end
  private_class_method :file_options

  def self.opened(block)
    store = yield
    return store unless block

    begin
      block.call(store)
    ensure
      store.close
    end
  end
  private_class_method :opened
end

require_relative "flagstore/log"
require_relative "flagstore/store"
require_relative "flagstore/hash"
require_relative "flagstore/snapshot"
require_relative "flagstore/batch"
require_relative "flagstore/watch"
require_relative "flagstore/backend"
require_relative "flagstore/redis"
require_relative "flagstore/layered"
