# frozen_string_literal: true

module Flagstore
  # A store over stores. A read asks the first, and the next where a flag is absent; a stored null is a value. Changes,
  # and what a batch expects, are for stores[write_to] alone. It holds the layers, which may be closed.
  #
  #   Flagstore.layered([overrides, Flagstore.file("flags.json")]) { |flags| ... }
  # @param stores [Array<Store>]
  # @yield [Store] which is closed when the block ends
  # @return [Store, Object] with a block what that returns
  def self.layered(stores, write_to: 0, &block)
    opened(block) { Store.over(stores.to_a, write_to) }
  end

  # How old the flags are that a store serves.
  #
  # state: :live, what is served is what the store holds, as always in memory and files; :stale, the last good flags are
  # served; :fallback, those of the fallback file; :lost, there are none, or what was stored has vanished. push, how it
  # hears of changes by others: :none, by looking; :announced; :tracked by the server. age: seconds since what is served
  # was last known to be what the store holds, 0: it always is. reconnects: how often it was reached again. refreshes:
  # how often the flags were read again because of a change.
  Status = Struct.new(:state, :push, :age, :revision, :reconnects, :refreshes)

  class Store
    STATES = [nil, :live, :stale, :fallback, :lost].freeze
    PUSHES = %i[none announced tracked].freeze
    private_constant :STATES, :PUSHES

    # @api private
    def self.over(stores, write_to)
      wrong = stores.find { |store| !store.is_a?(Store) }
      raise TypeError, "#{wrong.inspect} is not a Flagstore::Store" if wrong
      unless write_to.is_a?(Integer) && write_to.between?(0, stores.size - 1)
        raise Error::InvalidArgument, "write_to is none of the layers"
      end

      shared = stores.map { |store| store.__send__(:shared) }
      owners = shared.map(&:first)
      owner = C.checked do |slot|
        entered(owners) do |handles|
          layers = FFI::MemoryPointer.new(:pointer, handles.size).write_array_of_pointer(handles)
          C::Owner.new(C.layered_open(layers, handles.size, write_to, slot.error))
        end
      end
      C::FOLLOWED[owner] = true if owners.any? { |layer| C::FOLLOWED[layer] }
      new(owner, *shared[write_to].drop(1))
    end

    def self.entered(owners, handles = [], &block)
      return yield handles if owners.empty?

      first, *others = owners
      handle = first.enter
      begin
        entered(others, [*handles, handle], &block)
      ensure
        first.leave
      end
    end
    private_class_method :entered

    # @return [Status] as of now; it asks nobody
    def status
      found = C::StatusStruct.new
      found[:size] = C::StatusStruct.size
      call { |slot, store| C.status(store, found, slot.error) }
      Status.new(STATES[found[:state]], PUSHES[found[:push]], found[:age_ms] / 1000.0, found[:revision],
                 found[:reconnects], found[:refreshes])
    end

    # Returns when reads see everything that was finished, by anybody, before the call; Error::Unavailable if the store
    # is not reached within so many seconds. It can be interrupted only when it has ended.
    # @return [true]
    def sync(timeout = 5)
      call { |slot, store| C.sync(store, (timeout * 1000).ceil, slot.error) }
    end

    private

    def shared = [@owner, @slices, @slice]
  end
end
