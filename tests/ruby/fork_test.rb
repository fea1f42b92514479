# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"

# A store opened before fork, with threads inside it at that moment, serves every child as well as its parent.
class ForkTest < Minitest::Test
  CHILDREN = 20
  DEADLINE = 60 # seconds, far more than it takes

  Promises::SHARED_KINDS.each do |kind, open|
    define_method("test_children_of_a_#{kind}_store_do_not_hang") do
      Dir.mktmpdir("flagstore") do |directory|
        store = open.call(Flagstore, directory)
        while_threads_use(store) do
          children = Array.new(CHILDREN) { |i| fork { in_child(store, i) } }
          assert_equal [0], statuses(children).uniq, "0: did as promised, 1: did not, nil: hung and was killed"
        end
        CHILDREN.times { |i| assert_equal "true", store.get_json("child #{i}") } unless kind == :memory
      end
    end
  end

  private

  def while_threads_use(store)
    working = true
    threads = Array.new(4) do |i|
      Thread.new do
        store.set_int64("thread #{i}", store.get_int64("thread #{i}", 0) + 1) while working
      end
    end
    Thread.pass until (0..3).all? { |i| store.get_int64("thread #{i}", 0) > 2 }
    yield
  ensure
    working = false
    threads.each(&:join)
  end

  # Leaves through exit!, past the parent's test run at_exit, but frees its store as any program would.
  def in_child(store, number)
    store.set_bool("child #{number}", true)
    store.set_json("passing #{number}", "[1]")
    as_promised = store.get_bool("child #{number}", false) && store.get_int64("thread 0", 0) > 2 &&
                  store.delete("passing #{number}") && JSON.parse(store.list_json)["child #{number}"] == true
    store.close
    GC.start
    exit!(as_promised ? 0 : 1)
  rescue StandardError => e
    warn e.full_message
    exit!(1)
  end

  def statuses(children)
    give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + DEADLINE
    children.map do |child|
      Thread.pass until (done = Process.wait2(child, Process::WNOHANG)) ||
                        Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up
      next done[1].exitstatus if done

      Process.kill(:KILL, child)
      Process.wait(child)
      nil
    end
  end
end
