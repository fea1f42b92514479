# frozen_string_literal: true

module Flagstore
  class Store
    # How long, in seconds, a wait may hold up an interrupt, or the end of the program.
    WAIT_SLICE = 0.25
    private_constant :WAIT_SLICE

    # @return [Integer] a number that is another one whenever the content may have changed since
    def revision
      call { |slot, store| C.revision(store, slot.error) }
    end

    # Waits until the revision is another than this one. Timeout, Thread#kill and signals interrupt it.
    # @param timeout [Numeric, nil] seconds; nil: for ever
    # @return [Integer, nil] the new revision; nil: timed out
    def wait(revision, timeout = nil)
      seen = FFI::MemoryPointer.new(:uint64).write_uint64(revision)
      give_up = timeout && C.now + timeout
      loop do
        left = give_up ? (give_up - C.now).clamp(0, WAIT_SLICE) : WAIT_SLICE
        changed = call { |slot, store| C.wait(store, seen, (left * 1000).ceil, slot.error) }
        return seen.read_uint64 if changed
        return if give_up && C.now >= give_up
      end
    end

    # Calls the block for each change from now on with key, old and new value, as Ruby has them, nil for none; changes in
    # quick succession come as one. It runs in a thread of the watch until the watch is closed, also after the store is.
    # What it raises is written to standard error. While the flags cannot be read the last good ones count.
    # A forked child has none of its parent's watches; it may start its own.
    # @param key [String, Symbol, nil] this one only; nil: every key
    # @return [Watch] which need not be kept
    def watch(key = nil, &block)
      raise ArgumentError, "no block given" unless block

      Watch.new(Store.new(C::Kept.new(@owner)), key && C.utf8(key), block)
    end
  end

  # Calls its block until it is closed. See Store#watch.
  class Watch
    # Seconds until what failed is tried again, and until the thread sees that the watch is closed.
    PAUSE = 0.25
    private_constant :PAUSE

    # @api private
    # @param store [Store] its own, of the same flags
    def initialize(store, key, block)
      @store = store
      @key = key
      @block = block
      @turn = Thread::Mutex.new
      revision = store.revision
      flags = read
      # A thread begins with the mask of the one that makes it, which may be inside a call.
      @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { follow(revision, flags) } }
      @thread.name = "flagstore watch"
    rescue StandardError
      store.close
      raise
    end

    # Ends it. Waits for a run of the block that is under way, unless that is what closes; then it runs no more.
    # @return [nil]
    def close
      @closed = true
      @turn.synchronize {} unless @turn.owned?
      @store.close unless @thread.alive? # in a forked child it is not there
      nil
    end

    def closed? = @closed == true || !@thread.alive?
    def inspect = "#<#{self.class}#{' (closed)' if closed?}>"

    private

    # There is no callback of the library: its threads could not call Ruby in a forked child.
    def follow(revision, flags)
      until @closed || C.ending?
        changed = try { @store.wait(revision, PAUSE) }
        next unless changed || @failed

        revision = changed || revision
        now = try { read } or next
        tell(flags, now)
        flags = now
      end
    ensure
      @store.close
    end

    # nil: it failed, which the library has logged, or a log block has in its own way.
    def try
      result = yield
      @failed = false
      result
    rescue StandardError
      @failed = true
      sleep(PAUSE) unless C.ending?
      nil
    end

    # What is watched, in JSON.
    def read
      return @store.snapshot.each_json.to_h unless @key

      json = @store.get_json(@key)
      json ? { @key => json } : {}
    end

    def tell(old, new)
      (old.keys | new.keys).sort.each do |key|
        next if old[key] == new[key]

        @turn.synchronize do
          return if @closed

          run(key, C.value(old[key]), C.value(new[key]))
        end
      end
    end

    def run(*change)
      @block.call(*change)
    rescue SystemExit, SignalException
      raise
    rescue Exception => e # the next change may fare better
      warn "flagstore: the watch's block failed: #{e.full_message}"
    end
  end
end
