# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"
require_relative "waiting"

# Snapshots, batches and changes, which every kind of store has.
module Changes
  include Waiting

  def test_a_snapshot_stays_as_it_is_while_the_store_changes
    { "é" => "1.10", "a\0b" => "true", "Z" => '{"b":1,"a":[]}' }.each { |key, json| @store.set_json(key, json) }
    snapshot = @store.snapshot
    @store.commit(Flagstore::Batch.new.clear.set("new", 1))
    @store.close
    assert_equal [%w[Z {"a":[],"b":1}], %W[a\0b true], %w[é 1.10]], snapshot.each_json.to_a
    assert_equal({ "Z" => { "a" => [], "b" => 1 }, "a\0b" => true, "é" => 1.1 }, snapshot.each.to_h)
    assert_equal [3, "1.10", 1.1, nil, nil], [snapshot.size, snapshot.find("é"), snapshot[:é], snapshot.find("new"), snapshot["new"]]
  end

  def test_a_snapshot_finds_every_key_and_no_other
    keys = ["", "a", "a\0", "a\0b", "é"]
    keys.each { |key| @store.set_json(key, JSON.generate(key)) }
    snapshot = @store.snapshot
    keys.each { |key| assert_equal [JSON.generate(key), key], [snapshot.find(key), snapshot[key]] }
    ["\0", "a\0a", "b", "é\0"].each { |key| assert_nil snapshot.find(key), key.inspect }
  end

  def test_a_snapshot_is_searched_by_prefix
    keys = ["ui", "ui\0", "ui\0a", "ui.a", "ui.é", "v"]
    keys.each { |key| @store.set_json(key, JSON.generate(key)) }
    snapshot = @store.snapshot
    { "" => 0..5, "u" => 0..4, "ui" => 0..4, "ui\0" => 1..2, "ui\0b" => 3...3, "ui." => 3..4, "ui.é" => 4..4,
      "v" => 5..5, "va" => 6...6, "é" => 6...6 }.each do |prefix, indexes|
      assert_equal indexes.begin, snapshot.seek(prefix), prefix.inspect
      assert_equal keys[indexes], snapshot.each(prefix).map { |key, _| key }, prefix.inspect
      assert_equal keys[indexes].map { |key| [key, JSON.generate(key)] }, snapshot.each_json(prefix).to_a
    end
  end

  def test_a_batch_takes_keys_with_nuls
    @store["a\0"] = @store["a"] = 1
    @store.commit(Flagstore::Batch.new.expect("a\0", 1).expect_absent("\0").delete("a\0").set("\0", [2]).set("", 3))
    assert_equal({ "" => 3, "\0" => [2], "a" => 1 }, @store.to_h)
  end

  def test_a_batch_is_made_whole_or_not_at_all
    @store.commit(Flagstore::Batch.new.set("a", 1).set("b", [2]).expect_absent("a").delete("absent"))
    assert_equal '{"a":1,"b":[2]}', @store.list_json
    before = @store.list_json
    assert_refused(:CONFLICT) { @store.commit(Flagstore::Batch.new.set("c", 3).expect("a", 2)) }
    assert_refused(:CONFLICT) { @store.commit(Flagstore::Batch.new.clear.expect_absent("b")) }
    assert_refused(:INVALID_JSON) { Flagstore::Batch.new.set_json("c", "!") }
    assert_equal before, @store.list_json
    @store.commit(Flagstore::Batch.new.clear.set("c", nil).expect_json("b", " [ 2 ] "))
    assert_equal '{"c":null}', @store.list_json
  end

  THREADS = 4
  ROUNDS = 25

  def test_threads_that_expect_what_they_read_lose_no_update
    @store["count"] = 0
    threads = Array.new(THREADS) { Thread.new { ROUNDS.times { increment } } }
    assert_ended threads
    assert_equal THREADS * ROUNDS, @store["count"]
  end

  def increment
    count = @store["count"]
    @store.commit(Flagstore::Batch.new.expect("count", count).set("count", count + 1))
  rescue Flagstore::Error => e
    e.code == Flagstore::Error::CONFLICT ? retry : raise
  end

  def changes
    [-> { @store["a"] = 1 }, -> { @store["a"] = 2 }, -> { @store.delete("a") },
     -> { @store.commit(Flagstore::Batch.new.clear.set("b", 1)) }]
  end

  def test_every_change_makes_a_new_revision_and_wakes_who_waits
    changes.each { |change| assert_wakes(@store, &change) }
    assert_equal @store.revision, @store.revision
  end

  def test_a_wait_ends_by_its_timeout
    assert_equal [nil, nil], [@store.wait(@store.revision, 0), @store.wait(@store.revision, 0.05)]
    refute_nil @store.wait(0, 0)
  end

  def test_a_watch_is_called_once_for_each_changed_key_until_closed
    @store["kept"] = 0
    one, all = watched(@store, "a"), watched(@store)
    @store.commit(Flagstore::Batch.new.set("a", [1]).set("b", "é").set("kept", 0))
    assert_equal [["a", nil, [1]], ["b", nil, "é"]], [all, all].map { |calls| told(calls) }
    # Each watch is told before the next change: changes in quick succession may come as one.
    assert_equal ["a", nil, [1]], told(one)
    @store["a"] = 2
    assert_equal [["a", [1], 2]] * 2, [one, all].map { |calls| told(calls) }
    @store.delete("b")
    assert_equal ["b", "é", nil], told(all)
    @watches.first.close # of `one`
    @store["a"] = 3
    assert_equal ["a", 2, 3], told(all)
    assert_predicate one, :empty?
    assert_predicate all, :empty?
  end

  def test_a_watch_may_use_the_store_and_close_itself
    calls = Queue.new
    watch = @store.watch("a") do |key, _, new|
      calls << [key, new, @store["a"]]
      watch.close
    end
    @store["a"] = 1
    assert_equal ["a", 1, 1], told(calls)
    after = watched(@store)
    @store["a"] = 2
    assert_equal ["a", 1, 2], told(after)
    assert_predicate calls, :empty?
  end

  def test_a_forked_child_is_not_hung_by_the_watch_of_its_parent
    calls = watched(@store)
    child = fork do
      @store["child"] = true
      @watches.each(&:close)
      exit!(@store["child"] && calls.empty? ? 0 : 1)
    end
    assert_equal 0, status(child), "nil: it hung"
    @store["parent"] = true
    calls = [calls].cycle.lazy.map { |queue| told(queue) }
    assert_equal ["parent", nil, true], calls.find { |key,| key != "child" }
  end
end

Promises::KINDS.each { |kind, open| Promises.test_class(Flagstore, "changes of #{kind}", open, Changes) }

class BatchTest < Minitest::Test
  include Promises::Fixture

  def library = Flagstore
  def open_store = Flagstore.memory

  def test_a_batch_can_be_read_back
    batch = Flagstore::Batch.new
    assert_equal [{}, {}, false], [batch.changes, batch.expectations, batch.clears?]
    batch.set_json("é", '{"y": null, "x": 1.10}').set("b", 1).delete("b").delete("a\0").set("", nil)
    batch.expect_json("e", "[ ]").expect_absent("d\0")
    assert_equal [["", "null"], ["a\0", nil], ["b", nil], ["é", '{"x":1.10,"y":null}']], batch.changes.to_a
    assert_equal [["d\0", nil], ["e", "[]"]], batch.expectations.to_a
    refute_predicate batch, :clears?
    assert_predicate batch.clear, :clears?
  end

  def test_what_a_batch_refuses_leaves_it_as_it_was
    batch = Flagstore::Batch.new.set("a", 1)
    ["!", "", "1\0"].each { |json| assert_refused(:INVALID_JSON, json.inspect) { batch.set_json("b", json) } }
    assert_refused(:INVALID_ARGUMENT) { batch.delete("\xff") }
    assert_equal({ "a" => "1" }, batch.changes)
  end

  def test_json_is_equal_as_values
    [['{"a": 1, "b": "\u00e9"}', '{"b":"é","a":1}', true], ["null", " null\n", true], ["1", "1.0", false],
     ["[1,2]", "[2,1]", false], ["tru", "tru", false], ["", "", false],
     ["1\0", "1\0", false]].each do |one, other, equal|
      assert_equal equal, Flagstore.json_equal?(one, other), "#{one} and #{other}"
    end
  end
end

# Changes that others make.
module FileChanges
  include Waiting

  def path = File.join(@directory, "flags.json")

  def replace(json)
    File.write("#{path}.new", json)
    File.rename("#{path}.new", path)
  end

  def test_changes_by_others_wake_who_waits
    assert_wakes(@store) { Flagstore.file(path)["other"] = 1 }
    assert_wakes(@store) { replace('{"renamed": 1}') }
    child = nil
    assert_wakes(@store) { child = fork { Flagstore.file(path)["child"] = 1 and exit!(0) } }
    assert_equal 0, status(child)
  end

  def test_changes_by_others_are_watched
    calls = watched(@store)
    Flagstore.file(path)["other"] = 1
    assert_equal ["other", nil, 1], told(calls)
    replace('{"renamed": 1}')
    assert_equal [["other", 1, nil], ["renamed", nil, 1]], [told(calls), told(calls)]
  end
end

Promises.test_class(Flagstore, "changes by others", Promises::KINDS[:file], FileChanges)

class BackendTest < Minitest::Test
  include Promises::Fixture, Waiting

  def library = Flagstore
  def open_store = Flagstore.memory

  def test_an_exception_of_a_backend_comes_through_with_code_and_message
    backend = Object.new
    def backend.get(_) = raise(IndexError, "no f\0lag \xff é")
    def backend.set(key, _) = Flagstore.memory.get_bool(key, 0.1) && raise("unreached")
    def backend.remove(key) = Flagstore.memory.set_json(key, "!")
    def backend.list_all = { "a" => "1", "b" => "!" }
    store = Flagstore.backend(backend)
    assert_equal "IndexError: no f\ufffdlag \ufffd é", assert_refused(:BACKEND) { store["a"] }.message
    assert_match(/TypeError/, assert_refused(:BACKEND) { store["a"] = 1 }.message)
    assert_match(/line 1/, assert_refused(:INVALID_JSON) { store.delete("a") }.message)
    assert_match(/"b"/, assert_refused(:BACKEND) { store.list_json }.message)
  end

  def test_a_method_that_is_missing_is_not_implemented
    store = Flagstore.backend(Object.new)
    [-> { store["a"] }, -> { store["a"] = 1 }, -> { store.delete("a") }, -> { store.size }, -> { store.snapshot },
     -> { store.watch {} }].each { |call| assert_refused(:NOT_IMPLEMENTED, &call) }
  end

  def test_a_backend_that_uses_its_own_store_is_refused_not_hung
    store = nil
    backend = Object.new
    backend.define_singleton_method(:get) { |key| store.get_json(key) }
    store = Flagstore.backend(backend)
    assert_match(/serves/, assert_refused(:BACKEND) { store["a"] }.message)
  end

  def test_a_backend_is_closed_once_when_its_store_is_gone
    backends = Array.new(20) { Forwarding.new(@directory) }
    Thread.new { backends.each { |backend| Flagstore.backend(backend)["a"] = 1 } }.join
    eventually("a store was collected") { GC.start || backends.sum(&:closed) >= 10 }
    assert_operator backends.map(&:closed).max, :<=, 1
  end
end
