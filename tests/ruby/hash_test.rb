# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"
require_relative "waiting"

# What a store has of a Hash, and the block forms.
module HashLike
  include Waiting

  def test_it_reads_like_a_hash
    @store.update(b: 1, "a" => [true, nil], null: nil)
    assert_equal [[true, nil], 1, nil], @store.values
    assert_equal %w[a b null], @store.keys
    assert_equal [["a", [true, nil]], ["b", 1], ["null", nil]], @store.to_a
    assert_equal [true, true, true, true, false], [@store.key?("a"), @store.has_key?(:b), @store.include?("null"),
                                                   @store.member?("null"), @store.key?("c")]
    assert_equal [1, nil, nil], @store.values_at("b", "c", "null")
    assert_equal({ "b" => 1, "null" => nil }, @store.slice(:b, "c", "null"))
    assert_equal [3, 3, false], [@store.size, @store.length, @store.empty?]
    assert_equal '{"a":[true,null],"b":1,"null":null}', JSON.generate(@store)
  end

  def test_fetch_tells_a_stored_null_from_absence
    @store["null"] = nil
    @store["on"] = false
    assert_equal [nil, false, 1, "absent!"],
                 [@store.fetch("null", 1), @store.fetch(:on), @store.fetch("absent", 1), @store.fetch("absent") { |k| "#{k}!" }]
    error = assert_raises(KeyError) { @store.fetch("absent") }
    assert_equal [@store, "absent"], [error.receiver, error.key]
    assert_raises(ArgumentError) { @store.fetch("absent", 1, 2) }
  end

  def test_each_goes_over_a_moment_in_the_order_of_keys
    @store.update("ui.b" => 2, "ui.a" => 1, "x" => 3, "é" => 4)
    seen = []
    same = @store.each do |key, value|
      @store.delete(key)
      seen << [key, value]
    end
    assert_equal [[["ui.a", 1], ["ui.b", 2], ["x", 3], ["é", 4]], true], [seen, same.equal?(@store)]
    assert_predicate @store, :empty?
    @store.update("ui.b" => 2, "ui.a" => 1, "x" => 3)
    assert_equal [["ui.a", 1], ["ui.b", 2]], @store.each("ui.").to_a
    assert_equal({ "x" => 3 }, @store.select { |key, _| key == "x" }.to_h)
    assert_equal [%w[ui.a ui.b x], 6], [@store.map { |key, _| key }, @store.sum { |_, value| value }]
    @store.each { break }
  end

  def test_update_and_clear_are_one_write_each
    @store["old"] = 1
    assert_same @store, @store.update("a" => 1, "b" => { "c" => nil })
    assert_equal({ "a" => 1, "b" => { "c" => nil }, "old" => 1 }, @store.to_h)
    assert_raises(JSON::GeneratorError) { @store.merge!("c" => 1, "d" => Float::NAN) }
    refute @store.key?("c")
    assert_same @store, @store.clear
    assert_equal 0, @store.size
  end

  def test_a_batch_is_committed_when_its_block_ends
    assert_equal true, @store.batch { |batch| batch.expect_absent("a").set("a", 1)["b"] = 2 }
    assert_equal({ "a" => 1, "b" => 2 }, @store.to_h)
    assert_raises(IOError) { @store.batch { |batch| batch.clear && raise(IOError) } }
    @store.batch { |batch| batch.clear && break }
    catch(:out) { @store.batch { |batch| batch.clear && throw(:out) } }
    assert_raises(Flagstore::Error::Conflict) { @store.batch { |batch| batch.expect("a", 2).clear } }
    assert_equal({ "a" => 1, "b" => 2 }, @store.to_h)
  end

  def test_modify_loses_no_update
    threads = Array.new(4) { Thread.new { 25.times { @store.modify("count") { |count| (count || 0) + 1 } } } }
    assert_ended threads
    assert_equal [100, 101], [@store["count"], @store.modify("count") { |count| count + 1 }]
    assert_raises(IOError) { @store.modify("count") { raise IOError } }
    assert_nil(@store.modify("count") { break })
    assert_equal 101, @store["count"]
  end
end

Promises::KINDS.each { |kind, open| Promises.test_class(Flagstore, "hash of #{kind}", open, HashLike) }

# What opens with a block is closed when that ends, however it ends.
class BlockFormTest < Minitest::Test
  include Promises::Fixture

  def library = Flagstore
  def open_store = Flagstore.memory

  def test_the_block_form_closes_its_store
    path = File.join(@directory, "flags.json")
    opens = [->(&block) { Flagstore.memory(&block) }, ->(&block) { Flagstore.file(path, &block) },
             ->(&block) { Flagstore.open(path, read_mode: :watched, &block) },
             ->(&block) { Flagstore.backend(Forwarding.new(@directory), &block) }]
    opens.each do |open|
      kept = nil
      assert_equal 1, open.call { |store| (kept = store) && store["a"] = 1 }
      assert_predicate kept, :closed?
      assert_raises(IOError) { open.call { |store| (kept = store) && raise(IOError) } }
      assert_predicate kept, :closed?
      refute_predicate open.call, :closed?
    end
  end

  def test_a_file_that_is_not_opened_does_not_run_the_block
    assert_raises(Flagstore::Error::Io) { Flagstore.open("#{@directory}/a/b") { flunk } }
  end

  def test_each_code_has_an_error_class
    Flagstore::Error::CODES.each do |name, code|
      kind = Flagstore::Error.const_get(name.to_s.split("_").map(&:capitalize).join)
      error = kind.new("text")
      assert_equal [code, "FLAGSTORE_#{name}", 0, "text", true],
                   [error.code, error.name, error.os_code, error.message, error.is_a?(Flagstore::Error)]
    end
    assert_kind_of Flagstore::Error::InvalidJson, assert_refused(:INVALID_JSON) { @store.set_json("a", "!") }
  end

  def test_the_library_is_the_one_the_gem_was_written_for
    assert_equal Flagstore::VERSION, Flagstore.version
    assert_equal [true, false], [Flagstore.feature?("watched"), Flagstore.feature?(:unheard_of)]
  end
end
