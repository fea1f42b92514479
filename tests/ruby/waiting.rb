# frozen_string_literal: true

# How the tests wait for what has to come: not for a time, but for the thing, and only so long.
module Waiting
  DEADLINE = 60 # seconds, far more than it takes

  def before_setup
    super
    @watches = []
  end

  def before_teardown
    @watches.each(&:close)
    super
  end

  # The queue that a new watch fills.
  def watched(store, key = nil)
    calls = Queue.new
    @watches << store.watch(key) { |*change| calls << change }
    calls
  end

  def told(queue)
    eventually("a call of the watch") { !queue.empty? }
    queue.pop
  end

  # The change makes a new revision and wakes a thread that waits; other threads of Ruby run meanwhile.
  def assert_wakes(store)
    before = store.revision
    waiter = Thread.new { store.wait(before, DEADLINE) }
    eventually("the thread waits") { waiter.stop? }
    yield
    assert_ended [waiter]
    refute_includes [nil, 0, before], waiter.value
    assert_equal store.revision, store.wait(before, 0)
  end

  def assert_ended(threads)
    assert threads.all? { |thread| thread.join(DEADLINE) }, "threads hang"
  end

  # The exit status of the child; nil: it hung and was killed.
  def status(child)
    done = nil
    eventually("the child ends") { done = Process.wait2(child, Process::WNOHANG) }
    done[1].exitstatus
  rescue Minitest::Assertion
    Process.kill(:KILL, child)
    Process.wait(child)
    nil
  end

  def eventually(what)
    give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + DEADLINE
    until yield
      flunk "not within #{DEADLINE} s: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up
      sleep 0.001
    end
  end
end
