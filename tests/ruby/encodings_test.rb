# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"

# Text is treated alike in every call that takes one: UTF-8 in and out, what can be had in UTF-8 is transcoded, anything
# else is refused in the same words.
class EncodingsTest < Minitest::Test
  include Promises::Fixture

  def library = Flagstore
  def open_store = Flagstore.memory

  # Every call with a key: does something to the flag that is there, or looks it up; true if it found that one.
  KEYED = {
    "[]" => ->(store, key) { store[key] == "é" },
    "[]=" => ->(store, key) { (store[key] = "é") && store.size == 1 },
    "store" => ->(store, key) { store.store(key, "é") && store.size == 1 },
    "get_json" => ->(store, key) { store.get_json(key) == '"é"' },
    "set_json" => ->(store, key) { store.set_json(key, '"é"') && store.size == 1 },
    "delete" => ->(store, key) { store.delete(key) },
    "type" => ->(store, key) { store.type(key) == :string },
    "get_bool" => ->(store, key) { mismatch? { store.get_bool(key, true) } },
    "get_int64" => ->(store, key) { mismatch? { store.get_int64(key, 1) } },
    "get_double" => ->(store, key) { mismatch? { store.get_double(key, 1.5) } },
    "get_string" => ->(store, key) { store.get_string(key, nil) == "é" },
    "set_bool" => ->(store, key) { store.set_bool(key, true) && store.size == 1 },
    "set_int64" => ->(store, key) { store.set_int64(key, 1) && store.size == 1 },
    "set_double" => ->(store, key) { store.set_double(key, 1.5) && store.size == 1 },
    "set_string" => ->(store, key) { store.set_string(key, "é") && store.size == 1 },
    "fetch" => ->(store, key) { store.fetch(key, nil) == "é" },
    "key?" => ->(store, key) { store.key?(key) },
    "include?" => ->(store, key) { store.include?(key) },
    "each" => ->(store, key) { store.each(key).count == 1 },
    "values_at" => ->(store, key) { store.values_at(key) == ["é"] },
    "slice" => ->(store, key) { store.slice(key).values == ["é"] },
    "update" => ->(store, key) { store.update(key => "é").size == 1 },
    "modify" => ->(store, key) { store.modify(key) { |was| was } == "é" },
    "watch" => ->(store, key) { store.watch(key) {}.close.nil? },
    "Snapshot#[]" => ->(store, key) { store.snapshot[key] == "é" },
    "Snapshot#find" => ->(store, key) { store.snapshot.find(key) == '"é"' },
    "Snapshot#key?" => ->(store, key) { store.snapshot.key?(key) },
    "Snapshot#seek" => ->(store, key) { store.snapshot.seek(key).zero? },
    "Snapshot#each" => ->(store, key) { store.snapshot.each(key).count == 1 },
    "Snapshot#each_json" => ->(store, key) { store.snapshot.each_json(key).count == 1 },
    "Batch#set" => ->(store, key) { committed(store) { |batch| batch.set(key, "é") } },
    "Batch#[]=" => ->(store, key) { committed(store) { |batch| batch[key] = "é" } },
    "Batch#set_json" => ->(store, key) { committed(store) { |batch| batch.set_json(key, "1") } },
    "Batch#delete" => ->(store, key) { committed(store, 0) { |batch| batch.delete(key) } },
    "Batch#expect" => ->(store, key) { committed(store) { |batch| batch.expect(key, "é") } },
    "Batch#expect_json" => ->(store, key) { committed(store) { |batch| batch.expect_json(key, '"é"') } },
    "Batch#expect_absent" => lambda do |store, key|
      committed(store) { |batch| batch.expect_absent(key) }
    rescue Flagstore::Error::Conflict
      true
    end
  }.freeze

  # Every call with a value, which comes back equal.
  VALUED = {
    "[]=" => ->(store, text) { store["v"] = text },
    "[]= in an Array" => ->(store, text) { store["v"] = [text] },
    "[]= as a key" => ->(store, text) { store["v"] = { text => 1 } },
    "set_json" => ->(store, text) { store.set_json("v", "\"".encode(text.encoding) + text + "\"".encode(text.encoding)) },
    "set_string" => ->(store, text) { store.set_string("v", text) },
    "update" => ->(store, text) { store.update("v" => text) },
    "modify" => ->(store, text) { store.modify("v") { text } },
    "Batch#set" => ->(store, text) { store.batch { |batch| batch.set("v", text) } },
    "Batch#expect" => ->(_, text) { Flagstore::Batch.new.expect("v", text) },
    "json_equal?" => ->(_, text) { Flagstore.json_equal?(text, "1") }
  }.freeze

  def self.mismatch?
    yield
    false
  rescue Flagstore::Error::TypeMismatch
    true
  end

  def self.committed(store, left = 1, &block)
    store.batch(&block)
    store.size == left
  end

  %w[US-ASCII ISO-8859-1 Windows-1252 UTF-16LE UTF-16BE UTF-32LE ASCII-8BIT].each do |encoding|
    define_method("test_a_key_in_#{encoding}_is_the_same_flag_in_every_call") do
      key = %w[US-ASCII ASCII-8BIT].include?(encoding) ? "kay" : "kéy"
      given = key.encode(encoding)
      [given, given.dup].each do |text|
        each_call(KEYED) do |name, call|
          @store.clear
          @store[key] = "é"
          assert call[@store, text], "#{name} with #{encoding}"
          assert_equal given, text, "#{name} changed its argument"
        end
      end
    end
  end

  def test_a_symbol_is_a_key_as_its_name_is
    each_call(KEYED) do |name, call|
      @store.clear
      @store["kéy"] = "é"
      assert call[@store, :kéy], name
    end
  end

  BAD = ["\xff", "caf\xc3", "\xed\xa0\x80", "\xe9".b, "caf\xc3\xa9".b, "\xff".dup.force_encoding("US-ASCII"),
         "\x00\xd8".dup.force_encoding("UTF-16LE"), "\x81".dup.force_encoding("Windows-1252")].freeze

  def test_what_cannot_be_had_in_utf8_is_refused_by_every_call_alike
    BAD.each do |text|
      each_call(KEYED) { |name, call| assert_not_utf8("#{name} with #{text.inspect}") { call[@store, text] } }
      each_call(VALUED) { |name, call| assert_not_utf8("#{name} of #{text.inspect}") { call[@store, text] } }
    end
    assert_predicate @store, :empty?
  end

  def test_values_are_transcoded_by_every_call
    text = "é€".encode("UTF-16LE")
    each_call(VALUED) do |name, call|
      call[@store, text]
      assert_includes [nil, "é€", ["é€"], { "é€" => 1 }], @store["v"], name
    end
  end

  def test_text_comes_out_in_valid_utf8
    @store["kéy"] = ["é", { "ö" => "ü" }]
    @store["s"] = "é"
    snapshot = @store.snapshot
    texts = [@store.get_json("kéy"), @store.list_json, @store.get_string("s", nil), @store["s"], *@store["kéy"][1].flatten,
             *@store.keys, snapshot.find("kéy"), *snapshot.each_json.to_a.flatten, Flagstore.version, @store.to_json,
             *assert_refused(:INVALID_JSON) { @store.set_json("é", "é") }.then { |error| [error.name, error.message] },
             *Flagstore::Batch.new.set("é", "é").changes.flatten]
    texts.each { |text| assert_equal [Encoding::UTF_8, true], [text.encoding, text.valid_encoding?], text }
  end

  # JSON can spell it, and files of others may have it.
  def test_half_a_surrogate_pair_is_no_text
    @store.set_json("half", '"\ud800"')
    assert_equal '"\ud800"', @store.get_json("half")
    [-> { @store["half"] }, -> { @store.to_h }, -> { @store.snapshot["half"] }, -> { @store.get_string("half", nil) }]
      .each { |call| assert_refused(:TYPE_MISMATCH, &call) }
  end

  def test_a_key_that_another_thread_changes_meanwhile_does_no_harm
    key = +"key that is long enough to have memory of its own #{'x' * 1000}"
    done = false
    changer = Thread.new { key.replace("y" * (900 + rand(200))) && Thread.pass until done }
    2000.times do |i|
      @store.set_int64(key, i)
      @store.get_json(key)
    end
    done = true
    changer.join
    assert(@store.keys.all? { |stored| stored.match?(/\A(y+|key that .* x*)\z/) })
  end

  private

  def each_call(calls)
    calls.each { |name, call| yield name, call }
  end

  def assert_not_utf8(what, &call)
    assert_match(/UTF-8/, assert_refused(:INVALID_ARGUMENT, what, &call).message)
  end
end
