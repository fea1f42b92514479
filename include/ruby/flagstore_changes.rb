# frozen_string_literal: true

require_relative "flagstore"

# Snapshots, batches and changes; beside flagstore.rb, for those who need them.
#
#   flags.commit(Flagstore::Batch.new.expect("count", 1).set("count", 2).delete("old"))
#   watch = flags.watch { |key, old, new| puts "#{key}: #{old.inspect} -> #{new.inspect}" }
module Flagstore
  module C
    call :snapshot, [:pointer], :pointer
    function :snapshot_count, [:pointer], :size_t
    function :snapshot_key, %i[pointer size_t pointer], :pointer
    function :snapshot_value, %i[pointer size_t pointer], :pointer
    function :snapshot_find_n, %i[pointer buffer_in size_t pointer], :pointer
    function :snapshot_seek, %i[pointer buffer_in size_t], :size_t
    function :batch_new, [], :pointer
    call :batch_set_n, %i[pointer buffer_in size_t buffer_in size_t], :bool
    call :batch_delete_n, %i[pointer buffer_in size_t], :bool
    call :batch_clear, [:pointer], :bool
    call :batch_expect_n, %i[pointer buffer_in size_t buffer_in size_t], :bool
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
    call :watch, %i[pointer string pointer pointer], :pointer
    # Freeing a watch waits for its block, which needs to run meanwhile.
    attach_function :free_watch, :flagstore_free, [:pointer], :void, blocking: true

    def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # A text that stays the library's, as a String; nil for NULL.
    def self.borrowed(name, *arguments)
      text = public_send(name, *arguments, length = FFI::MemoryPointer.new(:size_t))
      text.null? ? nil : text.read_bytes(length.read(:size_t)).force_encoding(Encoding::UTF_8)
    end
  end

  # Whether both spell the same JSON value, by the rule of Batch#expect_json; false if one of them is no JSON.
  def self.json_equal?(one, other)
    one = C.utf8(one)
    other = C.utf8(other)
    C.json_equal(one, one.bytesize, other, other.bytesize)
  end

  class Store
    # Everything as of now.
    def snapshot
      Snapshot.new(C.checked { |slot| C.snapshot(@handle, slot.error) })
    end

    # Makes all changes of the batch, or raises CONFLICT and makes none.
    def commit(batch)
      C.checked { |slot| C.commit(@handle, batch.handle, slot.error) }
    end

    # A number that is another one after every change.
    def revision
      C.checked { |slot| C.revision(@handle, slot.error) }
    end

    # Waits until the revision is another than this one: the new one, nil after the timeout in seconds (nil: never).
    def wait(revision, timeout = nil)
      seen = FFI::MemoryPointer.new(:uint64).write_uint64(revision)
      give_up = timeout && C.now + timeout
      loop do # in slices, between which Ruby can interrupt or kill the thread
        left = give_up ? (give_up - C.now).clamp(0, 0.5) : 0.5
        changed = C.checked { |slot| C.wait(@handle, seen, (left * 1000).ceil, slot.error) }
        return seen.read_uint64 if changed
        return if give_up && C.now >= give_up
      end
    end

    # Calls the block with key, old and new value (as Ruby has them, nil for none) for each change, until closed.
    def watch(key = nil, &block)
      Watch.new(@handle, key && C.utf8(key), block)
    end
  end

  # Every flag of a store as of one moment.
  class Snapshot
    def initialize(pointer)
      @handle = C::Handle.new(pointer)
    end

    def size = C.snapshot_count(@handle)

    def [](key)
      json = find(key)
      json && JSON.parse(json, max_nesting: false)
    end

    # The value as compact JSON, nil if absent.
    def find(key)
      key = C.utf8(key)
      C.borrowed(:snapshot_find_n, @handle, key, key.bytesize)
    end

    # The index, among all keys in byte order, of the first that is not less than this one; the size if there is none.
    def seek(key)
      key = C.utf8(key)
      C.snapshot_seek(@handle, key, key.bytesize)
    end

    # Keys, in byte order, with their values; those only that start with the prefix.
    def each(prefix = "")
      return to_enum(:each, prefix) unless block_given?

      each_json(prefix) { |key, json| yield key, JSON.parse(json, max_nesting: false) }
    end

    def each_json(prefix = "")
      return to_enum(:each_json, prefix) unless block_given?

      prefix = C.utf8(prefix)
      (seek(prefix)...size).each do |index|
        key = C.borrowed(:snapshot_key, @handle, index)
        break unless key.start_with?(prefix)

        yield key, C.borrowed(:snapshot_value, @handle, index)
      end
    end
  end

  # Changes that are made together, and what they expect; each method that adds something returns the batch.
  class Batch
    attr_reader :handle

    def initialize
      @handle = C::Handle.new(C.batch_new)
    end

    def set(key, value) = set_json(key, JSON.generate(value, max_nesting: 0))
    def set_json(key, json) = add(:batch_set_n, key, json)
    def delete(key) = add(:batch_delete_n, key)
    def clear = add(:batch_clear)
    def expect(key, value) = expect_json(key, JSON.generate(value, max_nesting: 0))
    def expect_json(key, json) = add(:batch_expect_n, key, json)

    def expect_absent(key)
      key = C.utf8(key)
      C.checked { |slot| C.batch_expect_n(@handle, key, key.bytesize, nil, 0, slot.error) }
      self
    end

    # Whether everything is removed first.
    def clears? = C.batch_clears(@handle)

    # Each changed key, in byte order, with its compact JSON; nil: it is deleted.
    def changes = items(C.batch_count(@handle), :batch_key, :batch_value)

    # Each key of which something is expected, in byte order, with its compact JSON; nil: it must be absent.
    def expectations = items(C.batch_expect_count(@handle), :batch_expect_key, :batch_expect_value)

    private

    def add(name, *texts)
      sized = texts.map { |text| C.utf8(text) }.flat_map { |text| [text, text.bytesize] }
      C.checked { |slot| C.public_send(name, @handle, *sized, slot.error) }
      self
    end

    def items(count, key, value)
      count.times.to_h { |index| [C.borrowed(key, @handle, index), C.borrowed(value, @handle, index)] }
    end
  end

  # Calls its block until closed; it need not be kept. A forked child should use wait instead: after a fork only the
  # parent's watch is called, and the ffi gem (1.15) may not bring a new one's calls to Ruby there.
  class Watch
    LIVE = {} # by the number that the library hands back
    private_constant :LIVE

    def initialize(store, key, block)
      @block = block
      LIVE[object_id] = self
      @pointer = C.checked { |slot| C.watch(store, key, CALL, FFI::Pointer.new(object_id), slot.error) }
    rescue StandardError
      LIVE.delete(object_id)
      raise
    end

    # Waits for a call that is under way, unless it is this one that closes.
    def close
      pointer, @pointer = @pointer, nil
      return unless pointer && LIVE.delete(object_id)

      # The block runs on a thread of Ruby's while the library's waits for it, so here the library cannot tell.
      @calling == Thread.current ? Thread.new { C.free_watch(pointer) } : C.free_watch(pointer)
      nil
    end

    def call(key, *values)
      @calling = Thread.current
      @block.call(key.force_encoding(Encoding::UTF_8), *values.map { |json| json && JSON.parse(json, max_nesting: false) })
    rescue Exception => e # nothing may be thrown through the library
      warn "flagstore: the watch's block failed: #{e.full_message}"
    ensure
      @calling = nil
    end

    CALL = FFI::Function.new(:void, %i[pointer string string string]) do |number, *change|
      LIVE[number.address]&.call(*change)
    end
    private_constant :CALL
    at_exit { LIVE.values.each(&:close) } # before Ruby takes CALL away
  end
end
