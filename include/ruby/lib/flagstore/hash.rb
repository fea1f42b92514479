# frozen_string_literal: true

module Flagstore
  # What a store has of a Hash. Whatever reads several flags reads them as of one moment.
  class Store
    # The value; without one the block's, or the default, or a KeyError. A stored null is there, as nil.
    def fetch(key, *default)
      raise ArgumentError, "wrong number of arguments (given #{default.size + 1}, expected 1..2)" if default.size > 1

      json = get_json(key)
      return C.value(json) if json
      return yield(key) if block_given?
      return default.first unless default.empty?

      raise KeyError.new("key not found: #{key.inspect}", receiver: self, key: key)
    end

    def key?(key) = !get_json(key).nil?
    alias has_key? key?
    alias include? key?
    alias member? key?

    # Yields each key, in byte order, with its value; those only that start with the prefix.
    def each(prefix = "", &block)
      return to_enum(:each, prefix) unless block

      snapshot.each(prefix, &block)
      self
    end
    alias each_pair each

    def keys = snapshot.each_json.map { |key, _| key }
    def values = list_all.values

    # @return [Array] the values of these keys, nil for those that are absent
    def values_at(*keys)
      now = snapshot
      keys.map { |key| now[key] }
    end

    # @return [Hash{String => Object}] of these keys those that are there
    def slice(*keys)
      now = snapshot
      keys.filter_map { |key| (json = now.find(key)) && [C.utf8(key), C.value(json)] }.to_h
    end

    def empty? = size.zero?

    # Stores all pairs in one write.
    # @return [Store] itself
    def update(pairs)
      batch { |batch| pairs.each { |key, value| batch.set(key, value) } }
      self
    end
    alias merge! update

    # Removes every flag.
    # @return [Store] itself
    def clear
      batch(&:clear)
      self
    end

    # Stores what the block makes of the value (nil: absent or null), however many threads and processes do so at once:
    # the block runs again if the flag has changed meanwhile.
    #
    #   flags.modify("visits") { |visits| (visits || 0) + 1 }
    # @return [Object] what was stored
    def modify(key)
      loop do
        was = get_json(key)
        value = yield C.value(was)
        batch { |batch| (was ? batch.expect_json(key, was) : batch.expect_absent(key)).set(key, value) }
        return value
      rescue Error::Conflict
        next
      end
    end

    # What JSON.generate makes of a store: its flags.
    def to_json(*) = list_json
  end
end
