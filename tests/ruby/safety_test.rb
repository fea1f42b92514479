# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"
require_relative "waiting"
require "timeout"

# No program in Ruby alone brings the interpreter down or hangs it, whatever it does with its objects and callbacks.
class SafetyTest < Minitest::Test
  include Promises::Fixture, Waiting

  def library = Flagstore
  def open_store = Flagstore.memory

  # Every call on a store, and which arguments it takes.
  CALLS = {
    :[] => ["a"], :[]= => ["a", 1], get_json: ["a"], set_json: %w[a 1], delete: ["a"], list_json: [], list_all: [], size: [],
    type: ["a"], get_bool: ["a", true], get_int64: ["a", 1], get_double: ["a", 1.5], get_string: ["a", nil],
    set_bool: ["a", true], set_int64: ["a", 1], set_double: ["a", 1.5], set_string: %w[a b], fetch: ["a", 1], key?: ["a"],
    keys: [], values: [], values_at: ["a"], slice: ["a"], empty?: [], clear: [], update: [{ "a" => 1 }], to_json: [],
    snapshot: [], commit: [Flagstore::Batch.new.set("a", 1)], revision: [], to_a: [], store: ["a", 1], to_h: [], length: [],
    has_key?: ["a"], include?: ["a"], member?: ["a"], merge!: [{ "a" => 1 }], status: [], sync: []
  }.freeze
  WITH_BLOCK = { each: [], each_pair: [], batch: [], modify: ["a"], watch: [] }.freeze
  OTHERS = %i[close closed? inspect wait].freeze

  def test_every_call_on_a_closed_store_raises_closed
    assert_empty Flagstore::Store.public_instance_methods(false) - CALLS.keys - WITH_BLOCK.keys - OTHERS
    2.times { assert_nil @store.close }
    calls = CALLS.to_a.map { |name, arguments| -> { @store.public_send(name, *arguments) } } +
            WITH_BLOCK.map { |name, arguments| -> { @store.public_send(name, *arguments) { 1 } } } +
            [-> { @store.wait(0, 0) }]
    calls.each { |call| assert_kind_of Flagstore::Error::Closed, assert_refused(:INVALID_ARGUMENT, &call) }
    assert_equal [true, "#<Flagstore::Store (closed)>"], [@store.closed?, @store.inspect]
  end

  def test_a_store_may_be_closed_while_other_threads_are_inside_it
    Promises::KINDS.each_value do |open|
      10.times do |round|
        store = open.call(Flagstore, @directory)
        threads = Array.new(4) { |i| Thread.new { use_until_closed(store, i) } }
        waiter = Thread.new { store.wait(store.revision, 0.2) rescue Flagstore::Error::Closed }
        (round * 3).times { Thread.pass }
        closers = Array.new(3) { Thread.new { store.close } }
        assert_ended threads + closers + [waiter]
      end
    end
  end

  def use_until_closed(store, number)
    loop do
      store.set_int64("thread #{number}", 1)
      store.get_json("thread #{number}")
      store.snapshot
    end
  rescue Flagstore::Error::Closed
    nil
  end

  def test_closing_frees_at_once
    path = File.join(@directory, "flags.json")
    descriptors = -> { Dir.children("/proc/self/fd").size }
    GC.start
    before = descriptors.call
    GC.disable
    50.times { Flagstore.file(path, read_mode: :watched, durability: :none) { |store| store.wait(store.revision, 0) } }
    assert_operator descriptors.call, :<, before + 25
  ensure
    GC.enable
  end

  def test_objects_in_use_outlive_collections_and_compactions
    working = true
    collector = Thread.new { (GC.start && Thread.pass) || GC.compact while working }
    500.times do |i|
      assert_equal({ "a" => i }, Flagstore.memory.tap { |store| store["a"] = i }.snapshot.to_h)
      assert_equal({ "k#{i}" => "[1]" }, Flagstore::Batch.new.set("k#{i}", [1]).changes)
    end
  ensure
    working = false
    collector.join
  end

  def test_two_threads_at_one_batch_are_refused_not_mixed_up
    batch = Flagstore::Batch.new
    Flagstore.log { Thread.pass } # lets the other in
    refused = Queue.new
    threads = Array.new(4) do |i|
      Thread.new do
        200.times do |n|
          batch.set("#{i}.#{n % 9}", n)
          batch.set_json("bad", "!") if (n % 3).zero?
          @store.commit(batch) if (n % 5).zero?
        rescue Flagstore::Error::InvalidArgument, Flagstore::Error::InvalidJson => e
          refused << e
        end
      end
    end
    assert_ended threads
    assert_operator batch.changes.size, :<=, 36
    refute_predicate refused, :empty?
  ensure
    Flagstore.log
  end

  # What a callback may do instead of coming back.
  LEAVES = {
    "raise" => -> { raise IOError, "from the callback" },
    "an Exception" => -> { raise Exception, "from the callback" },
    "throw" => -> { throw :out },
    "Thread.exit" => -> { Thread.exit },
    "kill" => -> { Thread.current.kill },
    "Timeout" => -> { Timeout.timeout(0.01) { sleep } },
    "break" => proc { break },
    "a fiber's yield" => -> { Fiber.new { Fiber.yield }.resume }
  }.freeze

  def test_a_log_block_may_leave_as_it_likes
    LEAVES.each do |what, leave|
      capture_io do
        Flagstore.log { leave.call }
        error = Thread.new { outcome { @store.set_json("a", "!") } }.value
        # What may be meant for others is not to be swallowed: it comes when the call is over.
        want = { "an Exception" => Exception, "Timeout" => Timeout::Error }
        ["raise", "break", "a fiber's yield"].each { |name| want[name] = Flagstore::Error::InvalidJson }
        assert_equal want.fetch(what, Flagstore::Error), error.class, what
      ensure
        Flagstore.log
      end
      @store["a"] = 1
    end
    assert_equal 1, @store["a"]
  end

  def test_a_backend_may_leave_as_it_likes
    leave = nil
    backend = Object.new
    %i[get set remove list_all].each { |name| backend.define_singleton_method(name) { |*| leave.call } }
    store = Flagstore.backend(backend)
    calls = [-> { store["a"] }, -> { store["a"] = 1 }, -> { store.delete("a") }, -> { store.to_h }]
    LEAVES.except("a fiber's yield", "break").each do |what, how|
      leave = how
      calls.each do |call|
        assert_match(/Error|Exception/, Thread.new { outcome(&call) }.value.class.name, what)
      end
    end
    leave = -> { raise Flagstore::Error::Unavailable, "elsewhere" }
    error = assert_refused(:UNAVAILABLE, &calls.first)
    assert_kind_of Flagstore::Error::Unavailable, error.cause
  end

  # What the call raises.
  def outcome(&call)
    catch(:out, &call)
    nil
  rescue Exception => e
    e
  end

  def test_a_timeout_around_a_slow_log_block_is_not_lost
    Flagstore.log { sleep }
    assert_raises(Timeout::Error, Flagstore::Error) { Timeout.timeout(0.05) { @store.set_json("a", "!") } }
  ensure
    Flagstore.log
  end

  def test_exit_in_a_callback_ends_the_program
    child = fork do
      at_exit { exit!($!.is_a?(SystemExit) ? 7 : 8) }
      Flagstore.log { exit(3) }
      @store.set_json("a", "!")
    end
    assert_equal 7, status(child)
  end

  def test_a_timeout_around_a_slow_backend_ends_its_call
    backend = Object.new
    def backend.get(_) = sleep
    def backend.set(_, _) = Timeout.timeout(0.01) { sleep } # a timeout of its own works too
    store = Flagstore.backend(backend)
    assert_raises(Timeout::Error, Flagstore::Error) { Timeout.timeout(0.05) { store["a"] } }
    assert_match(/Timeout::Error/, assert_refused(:BACKEND) { store["a"] = 1 }.message)
  end

  def test_a_watch_survives_whatever_its_block_does_but_exit
    LEAVES.except("Thread.exit", "kill", "a fiber's yield").each do |what, leave|
      calls = Queue.new
      capture_io do
        @watches << @store.watch do |*change|
          calls << change
          leave.call if change[2] == 1
        end
        @store["a"] = 1
        assert_equal ["a", nil, 1], told(calls), what
        @store["a"] = 2
        assert_equal ["a", 1, 2], told(calls), what
        @watches.last.close
      end
      @store.delete("a")
    end
  end

  def test_a_watch_ends_with_its_thread
    watch = @store.watch { Thread.exit }
    @store["a"] = 1
    eventually("it ends") { watch.closed? }
    2.times { assert_nil watch.close }
  end

  def test_a_watch_may_be_closed_from_anywhere_any_number_of_times
    entered = Queue.new
    go = Queue.new
    ran = 0
    watch = @store.watch do
      entered << true
      go.pop
      watch.close
      ran += 1
    end
    @store["a"] = 1
    entered.pop
    closers = Array.new(3) { Thread.new { watch.close && ran } }
    eventually("they wait for the block") { closers.all?(&:stop?) }
    go << true
    assert_ended closers
    @store["a"] = 2
    assert_equal [1, true], [ran, watch.closed?]
  end

  def test_a_watch_outlives_its_store
    calls = watched(@store)
    other = Flagstore.file(File.join(@directory, "flags.json"), durability: :none)
    seen = watched(other)
    other.close
    @store.close
    Flagstore.file(File.join(@directory, "flags.json"), durability: :none) { |store| store["a"] = 1 }
    assert_equal ["a", nil, 1], told(seen)
    assert_predicate calls, :empty?
  end

  def test_a_watch_keeps_the_last_good_flags_while_there_are_none
    path = File.join(@directory, "flags.json")
    store = Flagstore.file(path, durability: :none)
    store["a"] = 1
    calls = watched(store)
    File.write(path, "{")
    store.wait(store.revision, 0.3)
    File.write(path, '{"a": 2}')
    assert_equal ["a", 1, 2], told(calls)
  end

  def test_a_forked_child_may_watch
    path = File.join(@directory, "flags.json")
    store = Flagstore.file(path, durability: :none)
    watched(store)
    child = fork do
      calls = watched(store)
      store["child"] = true
      exit!(told(calls) == ["child", nil, true] ? 0 : 1)
    end
    assert_equal 0, status(child), "nil: it hung"
  end

  def test_a_program_may_end_at_any_point
    programs = ['Flagstore.memory.watch { }', 'Flagstore.log { }; Thread.new { loop { m.set_json("a", "!") rescue 0 } }',
                'Thread.new { m.wait(m.revision) }', 'at_exit { m["a"] = 1; m.close }; 9.times { Thread.new { loop { m["a"] } } }',
                'b = Object.new; def b.get(_) = sleep; s = Flagstore.backend(b); Thread.new { s["a"] }',
                'fork { m.close }; m.watch { }; Process.wait']
    programs.each do |program|
      lib = File.expand_path("../../include/ruby/lib", __dir__)
      child = spawn(RbConfig.ruby, "-I", lib, "-rflagstore", "-e", "m = Flagstore.memory; #{program}; sleep 0.05")
      assert_equal 0, status(child), program
    end
  end
end
