# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../../include/ruby/lib", __dir__))
require_relative "promises"
require_relative "waiting"
require "flipper/adapters/flagstore"
begin
  require "flipper/test/shared_adapter_test"
rescue LoadError
  require_relative "flipper/shared_adapter_test"
end

# The adapter for Flipper, by Flipper's own tests and by what it adds.
module FlipperAdapter
  include Waiting
  include Flipper::Test::SharedAdapterTests

  def setup
    @directory = Dir.mktmpdir("flagstore")
    @store = open_store
    @adapter = Flipper::Adapters::Flagstore.new(@store)
    @flipper = Flipper.new(@adapter)
    super
  end

  def teardown
    super
    @store.close
    FileUtils.remove_entry(@directory)
  end

  def test_people_can_read_what_is_stored
    @flipper[:search].enable_percentage_of_actors(25)
    @flipper[:search].enable_actor(Flipper::Actor.new("User;22"))
    @flipper[:search].enable_actor(Flipper::Actor.new("User;2"))
    @flipper.enable(:stats)
    assert_equal({ "search" => { "actors" => ["User;2", "User;22"], "percentage_of_actors" => 25 },
                   "stats" => { "boolean" => true } }, @store.to_h)
  end

  def test_what_people_write_is_understood
    @store.update("on" => true, "off" => false, "text" => "?", "gates" => { "boolean" => false, "actors" => [22] })
    assert_equal [true, false, false], %w[on off text].map { |name| @flipper.enabled?(name) }
    assert_equal [false, true], [@flipper.enabled?("gates"), @flipper.enabled?("gates", Flipper::Actor.new("22"))]
    @flipper[:on].enable_percentage_of_time(0)
    assert_equal %w[gates off on text], @flipper.features.map(&:key).sort
  end

  def test_a_prefix_keeps_features_apart_from_other_flags
    @store["other"] = 1
    flipper = Flipper.new(Flipper::Adapters::Flagstore.new(@store, prefix: "flipper."))
    flipper.enable("naïve")
    assert_equal [["naïve"], ["naïve"]], [flipper.features.map(&:key), flipper.adapter.get_all.keys]
    assert_equal %w[flipper.naïve other], @store.keys
    flipper.remove("naïve")
    assert_equal({ "other" => 1 }, @store.to_h)
  end

  def test_threads_that_enable_at_once_lose_nothing
    threads = Array.new(4) do |i|
      Thread.new { 10.times { |n| @flipper[:search].enable_actor(Flipper::Actor.new("#{i}.#{n}")) } }
    end
    assert_ended threads
    assert_equal 40, @adapter.get(@flipper[:search])[:actors].size
  end
end

Promises::KINDS.slice(:memory, :file, :watched).each do |kind, open|
  Class.new(Minitest::Test) do
    include FlipperAdapter
    define_singleton_method(:name) { "Flipper on #{kind}" }
    define_method(:open_store) { open.call(Flagstore, @directory) }
  end
end

class FlipperDefaultTest < Minitest::Test
  def test_the_gem_becomes_flippers_adapter
    Dir.mktmpdir do |directory|
      ENV["FLIPPER_FLAGSTORE_PATH"] = path = File.join(directory, "flipper.json")
      require "flipper-flagstore"
      Flipper.enable(:search)
      assert_equal "{\n  \"search\": {\n    \"boolean\": true\n  }\n}\n", File.read(path)
      assert Flipper.enabled?(:search)
    end
  end
end
