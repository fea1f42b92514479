# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"
require "pathname"

Promises.check(Flagstore)

# What flagstore.rb adds in Ruby's own terms.
class BindingTest < Minitest::Test
  def setup
    @store = Flagstore.memory
  end

  VALUES = [true, false, nil, 0, -7, 2**70, 1.5, "", "naïve 😀\0", [], [1, [nil]], {}, { "é" => { "a" => "b" } }].freeze

  def test_ruby_values_come_back_as_they_were
    VALUES.each_with_index { |value, i| @store["key \0 #{i}"] = value }
    want = VALUES.each_with_index.to_h { |value, i| ["key \0 #{i}", value] }
    assert_equal [want, want], [@store.list_all, @store.to_h]
    want.each { |key, value| value.nil? ? assert_nil(@store[key]) : assert_equal(value, @store[key]) }
    assert_equal [VALUES.size, VALUES.size], [@store.size, @store.length]
  end

  def test_a_value_may_nest_as_deep_as_the_library_allows
    deep = 126.times.inject([]) { |inner, _| [inner] }
    @store["deep"] = deep
    assert_equal [deep, { "deep" => deep }], [@store["deep"], @store.to_h]
  end

  def test_an_absent_key_is_nil_and_a_stored_null_is_told_apart
    @store["null"] = nil
    assert_equal [nil, nil, "null", nil],
                 [@store["null"], @store["absent"], @store.get_json("null"), @store.get_json("absent")]
  end

  def test_keys_are_utf8_whatever_their_encoding_and_may_be_symbols
    @store["é".encode("ISO-8859-1")] = "latin"
    @store["é€".encode("UTF-16LE")] = "é".encode("UTF-16LE")
    @store[:symbol] = :value
    assert_equal({ "é" => "latin", "é€" => "é", "symbol" => "value" }, @store.to_h)
    assert_equal "value", @store.get_string(:symbol, nil)
  end

  def test_what_cannot_be_a_key_or_a_value_is_refused_by_ruby
    [nil, 1, ["a"]].each { |key| assert_raises(TypeError) { @store[key] } }
    [1, nil, "true"].each { |value| assert_raises(TypeError) { @store.set_bool("a", value) } }
    [1.0, nil, "1"].each { |value| assert_raises(TypeError) { @store.set_int64("a", value) } }
    [2**63, -2**63 - 1].each { |value| assert_raises(RangeError) { @store.set_int64("a", value) } }
    [nil, :text].each { |value| assert_raises(TypeError) { @store.set_double("a", value) } }
    [nil, 1].each { |value| assert_raises(TypeError) { @store.set_string("a", value) } }
    assert_raises(JSON::GeneratorError) { @store["a"] = Float::NAN }
    assert_equal 0, @store.size
  end

  # The C calls that take a terminated key are not the ones that Ruby users meet.
  def test_typed_calls_take_keys_and_text_with_nuls
    @store.set_bool("\0b", true)
    @store.set_int64("\0i", -7)
    @store.set_double("\0d", 1e16)
    @store.set_string("\0s", "a\0")
    @store["\0n"] = nil
    assert_equal %w[true -7 1e+16 "a\u0000" null], %w[b i d s n].map { |key| @store.get_json("\0#{key}") }
    assert_equal %i[bool number number string null absent], %w[b i d s n x].map { |key| @store.type("\0#{key}") }
    @store.update("\0a" => [], "\0o" => {})
    assert_equal %i[array object], %w[a o].map { |key| @store.type("\0#{key}") }
  end

  def test_a_file_may_be_named_by_a_pathname
    Dir.mktmpdir do |directory|
      Flagstore.file(Pathname(directory) / "naïve.json")["on"] = true
      assert_equal "{\n  \"on\": true\n}\n", File.read(File.join(directory, "naïve.json"))
      assert_raises(ArgumentError) { Flagstore.file("#{directory}/a\0b") }
    end
  end

  def test_the_codes_are_those_of_the_library
    Promises::Fixture::CODES.each do |name, code|
      assert_equal code, Flagstore::Error.const_get(name)
      assert_equal "FLAGSTORE_#{name}", Flagstore::C.error_name(code)
    end
  end

  def test_a_log_block_that_raises_does_not_break_the_call
    Flagstore.log { raise "from the log block" }
    _, complaint = capture_io { assert_raises(Flagstore::Error) { @store.set_json("key", "!") } }
    assert_includes complaint, "from the log block"
  ensure
    Flagstore.log
  end
end
