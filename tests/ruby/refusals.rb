# frozen_string_literal: true

# What every kind of store refuses, how it says so, and that nothing changes by it.
module Refusals
  # Every call that takes a key, and those that take none.
  KEYED = {
    get_json: ->(store, key) { store.get_json(key) },
    set_json: ->(store, key) { store.set_json(key, "1") },
    delete: ->(store, key) { store.delete(key) },
    type: ->(store, key) { store.type(key) },
    get_bool: ->(store, key) { store.get_bool(key, true) },
    get_int64: ->(store, key) { store.get_int64(key, 1) },
    get_double: ->(store, key) { store.get_double(key, 1.5) },
    get_string: ->(store, key) { store.get_string(key, "else") },
    set_bool: ->(store, key) { store.set_bool(key, true) },
    set_int64: ->(store, key) { store.set_int64(key, 1) },
    set_double: ->(store, key) { store.set_double(key, 1.5) },
    set_string: ->(store, key) { store.set_string(key, "text") }
  }.freeze
  KEYLESS = { list_json: ->(store) { store.list_json }, size: ->(store) { store.size } }.freeze

  BAD_JSON = {
    "nothing" => "", "blanks" => " \n", "half an object" => '{"a":', "two values" => "1 2", "a NUL after it" => "1\0",
    "NaN" => "NaN", "half an escape" => '"\ud80"', "a raw newline" => "\"a\nb\"", "128 levels" => "[" * 128 + "]" * 128
  }.freeze

  def test_a_refused_change_changes_nothing
    @store.set_string("key", "kept")
    BAD_JSON.each { |what, json| assert_refused(:INVALID_JSON, what) { @store.set_json("key", json) } }
    assert_refused(:INVALID_ARGUMENT, "JSON not UTF-8") { @store.set_json("key", "\"\xff\"") }
    assert_refused(:INVALID_ARGUMENT, "text not UTF-8") { @store.set_string("key", "\xc3") }
    [Float::NAN, Float::INFINITY, -Float::INFINITY].each do |double|
      assert_refused(:INVALID_ARGUMENT, double) { @store.set_double("key", double) }
    end
    assert_equal '{"key":"kept"}', @store.list_json
  end

  def test_invalid_json_is_named_by_line_and_column
    error = assert_refused(:INVALID_JSON) { @store.set_json("key", "{\n  \"a\": !\n}") }
    assert_match(/line 2\b.*column 8\b/, error.message)
  end

  def test_a_key_that_is_not_utf8_is_refused_by_every_call
    ["\xff", "caf\xc3", "\xed\xa0\x80"].each do |key|
      KEYED.each { |name, call| assert_refused(:INVALID_ARGUMENT, name) { call[@store, key] } }
    end
    assert_equal 0, @store.size
  end

  def test_a_closed_store_refuses_every_call
    2.times { @store.close }
    KEYED.each { |name, call| assert_refused(:INVALID_ARGUMENT, name) { call[@store, "key"] } }
    KEYLESS.each { |name, call| assert_refused(:INVALID_ARGUMENT, name) { call[@store] } }
  end

  def test_each_refusal_is_logged_once_while_a_log_is_wanted
    heard = []
    library.log(:warn) { |level, message| heard << [level, message] }
    error = assert_refused(:INVALID_JSON) { @store.set_json("key", "!") }
    library.log
    assert_refused(:INVALID_JSON) { @store.set_json("key", "!") }
    assert_equal 1, heard.size, heard.inspect
    level, message = heard.first
    assert_includes %i[error warn], level
    assert_includes message, error.message
  ensure
    library.log
  end

  # The block runs Ruby on threads that wait in the library, some of them for each other.
  def test_a_log_block_may_take_its_time_while_other_threads_read_and_write
    heard = Queue.new
    library.log(:warn) { |_, message| 3.times { Thread.pass } && heard << message }
    threads = Array.new(4) do |i|
      Thread.new do
        25.times do |round|
          @store.set_int64("thread #{i}", round)
          assert_refused(:TYPE_MISMATCH) { @store.get_bool("thread #{i}", true) }
        end
      end
    end
    assert threads.all? { |thread| thread.join(30) }, "threads hang"
    assert_equal 100, heard.size
  ensure
    library.log
  end
end
