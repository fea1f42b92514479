# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require "fileutils"
require "minitest/autorun"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "engine"

# Backends with options: what they are asked, what is served while they are lost, deadlines; layers, status and sync.
class RemoteTest < Minitest::Test
  Error = Flagstore::Error
  PATIENCE = 60

  def setup
    @directory = Dir.mktmpdir("flagstore")
    @opened = []
  end

  def teardown
    @opened.each(&:close)
    FileUtils.remove_entry(@directory)
  end

  def test_a_batch_reaches_it_as_a_whole
    %i[fresh checked watched].each do |mode|
      engine = Complete.new
      store = remote(engine, read_mode: mode)
      store.batch { |batch| batch.set("a", 1).set("b", {}).expect_absent("a") }
      assert_equal 1, engine.counts[:commit]
      error = assert_raises(Error::Conflict) { store.batch { |batch| batch.set("b", 2).expect_json("a", "1.0") } }
      assert_includes error.message, "a is another"
      store.batch { |batch| batch.clear.set("c", []).expect_json("b", " { } ") }
      assert_equal [{ "c" => [] }, 0], [store.to_h, engine.counts[:set]]
    end
  end

  def test_the_batch_is_only_to_be_read_and_gone_after_the_commit
    engine = Complete.new
    keeping = Class.new(Complete) { define_method(:commit) { |batch| batch.set("x", 1) && super(batch) } }.new
    error = assert_raises(Error::InvalidArgument) { remote(keeping).batch { |batch| batch.set("a", 1) } }
    assert_includes error.message, "only to be read"
    remote(engine).batch { |batch| batch.set("a", 1) }
    assert_raises(Error::Closed) { engine.kept.changes }
  end

  def test_a_change_by_others_reaches_wait_and_watch
    engine = Complete.new
    store = watched(engine)
    told = Thread::Queue.new
    watch = store.watch { |*change| told << change }
    revision = store.revision
    engine.put("key", "1")
    refute_nil store.wait(revision, PATIENCE)
    wait_until("the watch is told") { !told.empty? }
    assert_equal ["key", nil, 1], told.pop
    assert_equal [1, :announced], [store["key"], store.status.push]
    wait_until("it is counted") { store.status.refreshes.positive? }
  ensure
    watch&.close
  end

  def test_a_lost_one_is_stale_and_then_live_again
    engine = Complete.new("key" => "1")
    store = watched(engine)
    strict = watched(engine, when_lost: :fail)
    assert_equal :live, store.status.state
    engine.failure = Error::Unavailable.new("is away")
    wait_until("stale") { store.status.state == :stale }
    assert_equal 1, store["key"]
    assert_includes assert_raises(Error::Unavailable) { store["key"] = 2 }.message, "is away"
    wait_until("lost") { strict.status.state != :live }
    assert_raises(Error::Unavailable) { strict["key"] }
    wait_until("it ages") { store.status.age.positive? }
    engine.put("key", "3")
    engine.failure = nil
    wait_until("live") { store.status.state == :live && store["key"] == 3 }
    assert_equal [1, store.revision], [store.status.reconnects, store.status.revision]
  end

  def test_what_it_raises_keeps_its_code
    { Error::Unavailable => Error::Unavailable, Error::Uncertain => Error::Uncertain,
      Error::Conflict => Error::Conflict, KeyError => Error::Backend, Interrupt => Error::Backend }.each do |raised, expected|
      engine = Complete.new
      engine.failure = raised.new("is away")
      store = remote(engine)
      [-> { store["key"] }, -> { store["key"] = 1 }, -> { store.update("key" => 1) }].each do |call|
        assert_includes assert_raises(expected, &call).message, "is away"
      end
    end
  end

  def test_a_call_ends_at_its_deadline
    { Error::Unavailable => ->(store) { store["key"] }, Error::Uncertain => ->(store) { store["key"] = 1 } }
      .each do |expected, call|
        engine = Complete.new
        engine.blocked = true
        store = remote(engine, call_timeout: 0.3)
        assert_raises(expected) { call.call(store) }
        assert_equal 1, engine.inside
        engine.blocked = false
        store.close
        wait_until("it is closed") { engine.counts[:close] == 1 }
      end
  end

  def test_calls_overlap_if_it_says_so
    engine = Complete.new
    engine.blocked = true
    store = remote(engine)
    threads = Array.new(2) { Thread.new { store["a"] } }
    wait_until("two calls are inside") { engine.inside == 2 }
    engine.blocked = false
    threads.each(&:join)
  end

  def test_it_is_closed_after_a_failed_open
    engine = Complete.new
    [{ verify: -1 }, { spread: Float::NAN }, { fallback_path: "a\0b" }].each do |wrong|
      assert_raises(Error::InvalidArgument, ArgumentError) { watched(engine, **wrong) }
    end
    assert_raises(KeyError) { watched(engine, when_lost: :panic) }
    assert_raises(ArgumentError) { watched(engine, patience: 1) }
    assert_equal 0, engine.counts[:close] # it was asked nothing
    engine.failure = Error::InvalidArgument.new("its own")
    assert_includes assert_raises(Error::InvalidArgument) { watched(engine) }.message, "its own"
    assert_equal 1, engine.counts[:close]
    lazy = watched(engine, lazy: true, read_only: true)
    assert_raises(Error::Unavailable) { lazy["key"] }
    assert_raises(Error::ReadOnly) { lazy["key"] = 1 }
  end

  def test_the_basic_methods_will_do
    engine = Engine.new("key" => "1")
    store = watched(engine, verify: 0.02)
    store.update("key" => 2, "other" => 3)
    assert_equal [{ "key" => 2, "other" => 3 }, 2], [store.to_h, engine.counts[:set]]
    engine.put("key", "4")
    wait_until("it looks") { store["key"] == 4 }
    assert_equal :none, store.status.push
  end

  def test_what_has_vanished_is_not_believed_to_be_empty
    engine = Complete.new("key" => "1")
    store = watched(engine)
    engine.vanish
    wait_until("lost") { store.status.state == :lost }
    assert_equal 1, store["key"]
  end

  def test_the_fallback_file_serves_until_it_is_reached
    engine = Complete.new("key" => "1")
    path = File.join(@directory, "fallback.json")
    watched(engine, fallback_path: path)
    wait_until("the file") { File.exist?(path) && File.read(path).include?('"key": 1') }
    engine.failure = Error::Unavailable.new("is away")
    store = watched(engine, fallback_path: path, open_timeout: 0.001)
    assert_equal [:fallback, 1], [store.status.state, store["key"]]
    engine.failure = nil
    wait_until("live") { store.status.state == :live }
  end

  def test_after_a_sync_reads_see_what_was_done_before
    engine = Complete.new
    store = watched(engine, spread: PATIENCE) # by itself it would be late
    20.times do |number|
      engine.put("key", number.to_s)
      assert_equal [true, number], [store.sync(PATIENCE), store["key"]]
    end
    engine.failure = Error::Unavailable.new("is away")
    assert_raises(Error::Unavailable) { store.sync(0.5) } # it is tried until then
    file = closed_later(Flagstore.file(File.join(@directory, "flags.json"), read_mode: :watched))
    Flagstore.file(File.join(@directory, "flags.json")) { |other| other["key"] = 1 }
    file.sync
    assert_equal [1, :live], [file["key"], file.status.state]
  end

  def test_layers_are_read_from_the_top_and_one_is_written
    top = closed_later(Flagstore.file(File.join(@directory, "top.json")))
    bottom = closed_later(Flagstore.file(File.join(@directory, "bottom.json")))
    bottom.update("a" => 1, "b" => 1)
    top["b"] = nil
    store = closed_later(Flagstore.layered([top, bottom], write_to: 1))
    top.close # it is held
    assert_equal '{"a":1,"b":null}', store.list_json
    store["b"] = 2
    assert_equal [nil, 2], [store["b"], bottom["b"]]
    assert store.delete("a")
    refute bottom.key?("a")
    assert_equal [:live, true], [store.status.state, store.sync]
    [[], [bottom]].each { |wrong| assert_raises(Error::InvalidArgument) { Flagstore.layered(wrong, write_to: 1) } }
    assert_raises(Error::Closed) { Flagstore.layered([bottom, top]) }
    assert_raises(TypeError) { Flagstore.layered([bottom, {}]) }
    assert_equal 2, Flagstore.layered([Flagstore.memory, bottom]) { |both| both["b"] }
  end

  def test_layers_over_a_backend
    engine = Complete.new("key" => "1")
    store = closed_later(Flagstore.layered([Flagstore.memory, watched(engine)]))
    assert_equal 1, store["key"]
    engine.put("key", "2")
    wait_until("the change is seen") { store["key"] == 2 }
  end

  def test_a_child_of_fork_uses_its_own
    assert_equal "", run_program(<<~'RUBY')
      %i[fresh watched].each do |mode|
        engine = Complete.new("process" => '"parent"')
        store = Flagstore.remote(engine, read_mode: mode, spread: 0, call_timeout: 60)
        # Before 1.17.1 the ffi gem does not survive a fork while a call is on its way to Ruby.
        sleep 0.001 until mode == :fresh || engine.waited?
        child = fork do
          seen = (1..60_000).any? { store["process"] == "child" || !sleep(0.001) }
          store["new"] = 1
          abort "in the child: #{store.to_h}" unless seen && store.to_h == { "process" => "child", "new" => 1 }
          own = Flagstore.remote(Complete.new("a" => "1"), read_mode: :watched)
          abort "its own" unless own["a"] == 1
        end
        Process.wait(child)
        abort "#{mode}: #{$?}" unless $?.success?
        abort "the parent" unless store.to_h == { "process" => "parent" }
      end
    RUBY
  end

  def test_a_program_ends_with_open_stores
    assert_equal "", run_program(<<~'RUBY')
      stores = Array.new(3) { Flagstore.remote(Complete.new, read_mode: :watched, retry_max: 0.01) }
      stores << Flagstore.remote(Engine.new, read_mode: :watched, verify: 0.001, spread: 0)
      stores << Flagstore.layered([Flagstore.memory, stores[0]])
      plain = Flagstore.backend(Complete.new)
      plain.revision
      stores[1].watch { |*| nil }
      stores[2]["a"] = 1
    RUBY
  end

  private

  def closed_later(store)
    @opened << store
    store
  end

  def remote(engine, **options) = closed_later(Flagstore.remote(engine, **Engine::PATIENT, **options))
  def watched(engine, **options) = remote(engine, read_mode: :watched, **options)

  def wait_until(what)
    give_up = now + PATIENCE
    until yield
      flunk "not within #{PATIENCE} s: #{what}" if now > give_up
      sleep 0.001
    end
  end

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  # What a program of its own says, or what became of it.
  def run_program(source)
    library = File.expand_path("../../include/ruby/lib/flagstore", __dir__)
    program = "require #{library.inspect}\nrequire #{File.expand_path("engine", __dir__).inspect}\n#{source}"
    said, status = Open3.capture2e("timeout", "60", RbConfig.ruby, "-w", "-e", program)
    status.success? ? said : "#{said}#{status}"
  end
end
