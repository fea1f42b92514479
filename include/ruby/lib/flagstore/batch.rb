# frozen_string_literal: true

module Flagstore
  # Changes that are made together, and what they expect of the store; each method that adds something returns the
  # batch. The last word on a key counts. A batch may be committed again and elsewhere, but one thread at a time builds
  # it: a change while another thread is inside it is Error::InvalidArgument.
  class Batch
    # @param owner [C::Lent, nil] of a batch of the library's
    def initialize(owner = nil)
      @owner = owner || Thread.handle_interrupt(C::NEVER) { C::Owner.new(C.batch_new) }
    end

    def set(key, value) = set_json(key, C.json(value))
    def set_json(key, json) = add(:batch_set_n, key, json)
    def delete(key) = add(:batch_delete_n, key)

    # Removes every flag before the other changes are made.
    def clear = add(:batch_clear)

    # The commit raises Error::Conflict unless the flag then has this value: JSON that is equal, so 1 and 1.0 differ.
    def expect(key, value) = expect_json(key, C.json(value))
    def expect_json(key, json) = add(:batch_expect_n, key, json)

    # The commit raises Error::Conflict unless there is no such flag.
    def expect_absent(key)
      add(:batch_expect_n, key) { [nil, 0] }
    end

    def []=(key, value)
      set(key, value)
    end
    alias store []=

    # @return [Boolean] whether everything is removed first
    def clears? = reading { |batch| C.batch_clears(batch) }

    # @return [Hash{String => String, nil}] each changed key, in byte order, with its compact JSON; nil: it is deleted
    def changes = items(:batch_count, :batch_key, :batch_value)

    # @return [Hash{String => String, nil}] each key of which something is expected, with its JSON; nil: must be absent
    def expectations = items(:batch_expect_count, :batch_expect_key, :batch_expect_value)

    def inspect = "#<#{self.class}>"

    # @api private
    def reading
      Thread.handle_interrupt(C::NEVER) do
        handle = @owner.enter
        begin
          yield handle
        ensure
          @owner.leave
        end
      end
    end

    private

    def add(name, *texts)
      sized = texts.map { |text| C.utf8(text) }.flat_map { |text| [text, text.bytesize] }
      sized += yield if block_given?
      C.checked(@owner, :alone) { |slot, batch| C.public_send(name, batch, *sized, slot.error) }
      self
    end

    def items(count, key, value)
      reading do |batch|
        C.public_send(count, batch).times.to_h { |at| [C.borrowed(key, batch, at), C.borrowed(value, batch, at)] }
      end
    end
  end

  class Store
    # Makes all changes of the batch in one write, or raises Error::Conflict and makes none.
    # @return [true]
    def commit(batch)
      change { |slot, store| batch.reading { |changes| C.commit(store, changes, slot.error) } }
    end

    # Yields a new batch and commits it when the block ends; an exception, throw or break commits nothing.
    #
    #   flags.batch { |batch| batch.expect("count", 1).set("count", 2).delete("old") }
    # @return [true]
    def batch
      yield batch = Batch.new
      commit(batch)
    end
  end

  # @return [Boolean] whether both spell the same JSON value, as Batch#expect_json compares them; not if one is no JSON
  def self.json_equal?(one, other)
    one = C.utf8(one)
    other = C.utf8(other)
    C.json_equal(one, one.bytesize, other, other.bytesize)
  end
end
