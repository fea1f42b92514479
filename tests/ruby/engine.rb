# frozen_string_literal: true

# Somewhere else that flags are kept in, which fails or blocks on command. A backend with the basic methods.
class Engine
  # Nothing but the engine's doing ends calls with these.
  PATIENT = { open_timeout: 60, call_timeout: 60, spread: 0, retry_max: 0.02 }.freeze

  attr_reader :counts, :inside

  def initialize(flags = {})
    @lock = Thread::Mutex.new
    @changed = Thread::ConditionVariable.new
    @flags = flags
    @revision = 1
    @failure = nil # every call raises it
    @blocked = false # calls do not return
    @inside = 0 # those that are blocked
    @counts = Hash.new(0)
  end

  # Does something to the engine, as somebody else would.
  def with
    @lock.synchronize do
      yield
      @changed.broadcast
    end
  end

  def put(key, json) = with { store(key => json) }

  def failure=(failure)
    with { @failure = failure }
  end

  def blocked=(blocked)
    with { @blocked = blocked }
  end

  def get(key) = reach { @flags[key] }

  def set(key, json)
    reach do
      @counts[:set] += 1
      store(key => json)
    end
  end

  def remove(key)
    reach do
      existed = @flags.key?(key)
      store(key => nil)
      existed
    end
  end

  def list_all = reach { @flags.dup }
  def close = @counts[:close] += 1

  private

  def reach
    @lock.synchronize do
      @inside += 1
      @changed.wait(@lock) while @blocked
      @inside -= 1
      raise @failure if @failure

      yield
    end
  end

  def store(changes)
    changes.each { |key, json| json ? @flags[key] = json : @flags.delete(key) }
    @revision += 1
    @changed.broadcast
  end
end

# With everything.
class Complete < Engine
  attr_accessor :kept

  def concurrent? = true

  def commit(batch)
    reach do
      @counts[:commit] += 1
      @kept = batch
      batch.expectations.each do |key, json|
        found = @flags[key]
        equal = found && json ? Flagstore.json_equal?(found, json) : found == json
        raise Flagstore::Error::Conflict, "#{key} is another" unless equal
      end
      @flags.clear if batch.clears?
      store(batch.changes)
      @revision
    end
  end

  def load(seen)
    reach do
      next :gone if @gone

      seen == @revision ? :same : [@flags.dup, @revision]
    end
  end

  def vanish = with { @gone = true and @revision += 1 }

  def wait(seen, timeout)
    @lock.synchronize do
      @woken = false
      @waited = true
      give_up = now + timeout
      @changed.wait(@lock, give_up - now) while @revision == seen && !@woken && !@failure && now < give_up
      raise @failure if @failure

      @revision unless @revision == seen
    end
  end

  def wake = with { @woken = true }
  def waited? = @lock.synchronize { @waited }

  # A child has its own, at another revision.
  def forked
    @lock = Thread::Mutex.new
    @changed = Thread::ConditionVariable.new
    @flags = { "process" => '"child"' }
    @revision = 100
  end

  private

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
end
