# frozen_string_literal: true

module Flagstore
  # Every flag of a store as of one moment. It outlives its store, and takes keys as a store does.
  class Snapshot
    include Enumerable

    # @api private
    def initialize(handle)
      @handle = handle
    end

    # @return [Integer] the number of flags
    def size = C.snapshot_count(@handle)
    alias length size

    # @return [Object, nil] the value as Ruby has it; nil: absent, or null
    def [](key) = C.value(find(key))

    # @return [String, nil] the value as compact JSON; nil: absent
    def find(key)
      key = C.utf8(key)
      C.borrowed(:snapshot_find_n, @handle, key, key.bytesize)
    end
    alias get_json find

    def key?(key) = !find(key).nil?
    alias include? key?
    alias member? key?

    # @return [Integer] the index, among all keys in byte order, of the first that is not less; the size: there is none
    def seek(key)
      key = C.utf8(key)
      C.snapshot_seek(@handle, key, key.bytesize)
    end

    # Yields keys, in byte order, with their values; those only that start with the prefix.
    def each(prefix = "")
      return to_enum(:each, prefix) unless block_given?

      each_json(prefix) { |key, json| yield key, C.value(json) }
    end

    # The same with compact JSON.
    def each_json(prefix = "")
      return to_enum(:each_json, prefix) unless block_given?

      prefix = C.utf8(prefix)
      (seek(prefix)...size).each do |index|
        key = C.borrowed(:snapshot_key, @handle, index)
        break unless key.start_with?(prefix)

        yield key, C.borrowed(:snapshot_value, @handle, index)
      end
      self
    end

    def inspect = "#<#{self.class}: #{size} flags>"
  end

  class Store
    # @return [Snapshot] everything as of now
    def snapshot
      Snapshot.new(call { |slot, store| C::Handle.new(C.snapshot(store, slot.error)) })
    end
  end
end
