# frozen_string_literal: true

require "json"

# What every kind of store promises about values, keys, types and threads.
module Contract
  DEEPEST = "[" * 127 + "]" * 127
  VALUES = {
    "true" => "true",
    " \r\n\tfalse " => "false",
    "null" => "null",
    "1.10" => "1.10",
    "1e5" => "1e5",
    "-0" => "-0",
    "1e400" => "1e400",
    "12345678901234567890123" => "12345678901234567890123",
    '""' => '""',
    '"naïve 日本語 😀"' => '"naïve 日本語 😀"',
    '"\u00e9\ud83d\ude00\/"' => '"é😀/"',
    '"half an emoji \uD83D"' => '"half an emoji \ud83d"',
    '"a\u0000b"' => '"a\u0000b"',
    '"\"\\\\\n"' => '"\"\\\\\n"',
    "[1, [ ] ,{ }]" => "[1,[],{}]",
    '{"b": 1, "a": {"z": 1, "y": 2}}' => '{"a":{"y":2,"z":1},"b":1}',
    '{"😀": 4, "\uffee": 3, "é": 2, "z": 1}' => "{\"z\":1,\"é\":2,\"\uffee\":3,\"😀\":4}",
    '{"a": 1, "a": 2}' => '{"a":2}',
    DEEPEST => DEEPEST
  }.freeze

  def test_a_value_comes_back_as_compact_sorted_json_with_its_digits
    VALUES.each do |given, want|
      @store.set_json("key", given)
      assert_equal want, @store.get_json("key")
    end
  end

  KEYS = ["", "plain", "with space", "naïve", "日本語", "😀", "\uffee", "a\0b", "a\0", "\0", '"quoted\"', "line\nbreak",
          "\u007f", "\u2028", "long" * 5000].freeze

  def test_any_utf8_text_is_a_key_of_its_own
    KEYS.each_with_index { |key, i| @store.set_json(key, i.to_s) }
    assert_equal KEYS.each_with_index.to_h, JSON.parse(@store.list_json)
    KEYS.each_with_index do |key, i|
      assert_equal i.to_s, @store.get_json(key)
      assert_equal i, @store.get_int64(key, -1)
      assert_equal [true, false], [@store.delete(key), @store.delete(key)], key.inspect
      assert_nil @store.get_json(key)
      assert_equal KEYS.size - i - 1, @store.size
    end
  end

  def test_an_empty_store_lists_nothing
    assert_equal ["{}", 0], [@store.list_json, @store.size]
  end

  def test_list_json_is_one_sorted_object_of_everything
    { "b" => '[ "é" ]', "\0" => "1.10", "a" => "null" }.each { |key, json| @store.set_json(key, json) }
    assert_equal '{"\u0000":1.10,"a":null,"b":["é"]}', @store.list_json
  end

  FALLBACKS = { get_bool: true, get_int64: -99, get_double: 0.25, get_string: "else" }.freeze
  # JSON, its type, and what the typed getters find; those not named find another type.
  TYPED = [
    ["true", :bool, { get_bool: true }],
    ["false", :bool, { get_bool: false }],
    ["3", :number, { get_int64: 3, get_double: 3.0 }],
    ["-7", :number, { get_int64: -7, get_double: -7.0 }],
    ["3.0", :number, { get_int64: 3, get_double: 3.0 }],
    ["3e2", :number, { get_int64: 300, get_double: 300.0 }],
    ["1.5", :number, { get_double: 1.5 }],
    ["9223372036854775807", :number, { get_int64: 2**63 - 1, get_double: 2.0**63 }],
    ["-9223372036854775808", :number, { get_int64: -2**63, get_double: -2.0**63 }],
    ["9223372036854775808", :number, { get_double: 2.0**63 }],
    ["1e400", :number, {}],
    ['"on"', :string, { get_string: "on" }],
    ['""', :string, { get_string: "" }],
    ['"a\u0000é😀"', :string, { get_string: "a\0é😀" }],
    ["null", :null, {}],
    ["[true]", :array, {}],
    ['{"a":1}', :object, {}]
  ].freeze

  def test_typed_getters_take_their_type_or_say_mismatch
    TYPED.each do |json, type, found|
      @store.set_json("kéy", json)
      assert_equal type, @store.type("kéy"), json
      FALLBACKS.each do |getter, fallback|
        if found.key?(getter)
          assert_equal found[getter], @store.public_send(getter, "kéy", fallback), "#{getter} of #{json}"
        else
          assert_refused(:TYPE_MISMATCH, "#{getter} of #{json}") { @store.public_send(getter, "kéy", fallback) }
        end
      end
    end
  end

  def test_typed_getters_fall_back_on_an_absent_key
    FALLBACKS.each { |getter, fallback| assert_equal fallback, @store.public_send(getter, "absent", fallback) }
    assert_equal false, @store.get_bool("absent", false)
    assert_equal :absent, @store.type("absent")
  end

  # Each is stored under the text of its JSON.
  def test_typed_setters_write_their_json
    @store.set_bool("true", true)
    @store.set_bool("false", false)
    [-2**63, 2**63 - 1].each { |integer| @store.set_int64(integer.to_s, integer) }
    { "0.1" => 0.1, "100000.0" => 1e5, "1e+16" => 1e16, "1e-05" => 1e-5, "1.7976931348623157e+308" => Float::MAX }
      .each { |json, double| @store.set_double(json, double) }
    { '""' => "", '"\"naïve\"\n\\\\ 😀"' => "\"naïve\"\n\\ 😀" }.each { |json, text| @store.set_string(json, text) }
    wants = JSON.parse(@store.list_json).keys
    assert_equal 11, wants.size
    wants.each { |want| assert_equal want, @store.get_json(want) }
  end

  WORKERS = 8
  ROUNDS = 12

  def test_threads_lose_nothing_and_read_only_whole_values
    whole = ->(worker, round) { JSON.generate([worker, round, "#{worker}-#{round} " * 50]) }
    Array.new(WORKERS) do |self_|
      Thread.new do
        newest = Array.new(WORKERS, -1)
        ROUNDS.times do |round|
          @store.set_json("worker \0 #{self_}", whole[self_, round])
          newest[self_] = round
          newest.each_with_index do |least, worker|
            json = @store.get_json("worker \0 #{worker}")
            seen = json ? JSON.parse(json)[1] : -1
            assert_operator seen, :>=, least
            assert_equal whole[worker, seen], json if json
            newest[worker] = seen
          end
        end
      end
    end.each(&:join)
    WORKERS.times { |worker| assert_equal whole[worker, ROUNDS - 1], @store.get_json("worker \0 #{worker}") }
    assert_equal WORKERS, @store.size
  end
end
