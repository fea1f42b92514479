# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require "fileutils"
require "minitest/autorun"
require "pathname"
require "rbconfig"
require "socket"
require "tmpdir"
require_relative "redis_server"
require_relative "waiting"

module RedisTests
  Error = Flagstore::Error
  SECRET = "s3cret-word"
  IS_BUILT = Flagstore.feature?("redis")
  abort "FLAGSTORE_REDIS is set, but the library was built without Redis" if !IS_BUILT && !RedisServer::URL.empty?

  # What every test here needs.
  module Fixture
    def setup
      @directory = Dir.mktmpdir("flagstore")
      @opened = []
      @hash = RedisServer.new_hash
    end

    def teardown
      @opened.each(&:close)
      FileUtils.remove_entry(@directory)
    end

    def closed_later(store)
      @opened << store
      store
    end

    def redis(**options) = closed_later(RedisServer.open(Flagstore, hash: @hash, **options))
    def followed(**options) = redis(read_mode: :watched, **options)

    # Nothing that can be seen of the error has the password.
    def refused(expected, *words, &call)
      error = assert_raises(expected, &call)
      [error.inspect, error.full_message, error.cause.inspect].each { |seen| refute_includes seen, SECRET }
      words.each { |word| assert_includes error.message, word }
    end
  end
end

class LibraryWithoutRedisTest < Minitest::Test
  include RedisTests::Fixture, RedisTests

  OLDER = <<~'RUBY'
    begin
      Flagstore.redis("redis://:s3cret-word@localhost", password: "s3cret-word")
    rescue Flagstore::Error::NotImplemented => e
      puts e.name, e.message.include?("flagstore_redis_open"), e.full_message.include?("s3cret-word")
    end
    Flagstore.memory { |store| puts store.update("a" => 1).to_h }
  RUBY

  unless RedisTests::IS_BUILT
    def test_opening_says_so_and_all_else_works
      refused(Error::NotImplemented, "redis") { Flagstore.redis("redis://:#{SECRET}@localhost", password: SECRET) }
      assert_equal({ "a" => 1 }, Flagstore.memory { |store| store.update("a" => 1).to_h })
    end
  end

  def test_an_older_library_says_so_too
    assert system(File.expand_path("../common/older.sh", __dir__), @directory)
    library = File.expand_path("../../include/ruby/lib/flagstore", __dir__)
    said, = Open3.capture2e({ "FLAGSTORE_LIB_DIR" => @directory }, RbConfig.ruby, "-w", "-r", library, "-e", OLDER)
    assert_equal "FLAGSTORE_NOT_IMPLEMENTED\ntrue\nfalse\n#{{ "a" => 1 }}\n", said
  end

  def test_the_options_are_laid_out_as_in_the_header
    folder = ENV["FLAGSTORE_INCLUDE_DIR"] || File.expand_path("../../include", __dir__)
    header = File.read(File.join(folder, "flagstore.h"))
    struct = header[/\A.*?^} flagstore_redis_options_t;/m][/.*typedef struct \{(.*)/m, 1]
    declared = struct.gsub(%r{/\*.*?\*/}m, "").scan(/([a-z_0-9 ]+?[ *]+)([a-z_]+);/)
    word = FFI::Type::POINTER.size
    at = 0
    offsets = declared.map do |type, name|
      offset = at
      at += type.strip == "int32_t" ? 4 : word
      [name.to_sym, offset]
    end
    assert_equal [offsets, at], [Flagstore::C::RedisOptions.offsets, Flagstore::C::RedisOptions.size]
  end
end

return unless RedisTests::IS_BUILT # there is no more to test

class RedisOptionsTest < Minitest::Test
  include RedisTests::Fixture, RedisTests, Waiting

  def test_what_cannot_be_is_refused
    ["", "localhost", "http://localhost", "redis://", "redis://localhost:99999", "redis://localhost/x",
     "redis://:#{SECRET}@localhost:x", "redis://local\0host", "redis://:#{SECRET}@\xff"].each do |url|
      refused(Error::InvalidArgument) { Flagstore.redis(url) }
    end
    [{ connections: -1 }, { wait_replicas: -1 }, { wait: -1 }, { hash: "{" },
     { password: "#{SECRET}\0" }, { password: "#{SECRET}\xff" }, { username: "\xff" }, { verify: -1 }].each do |wrong|
      refused(Error::InvalidArgument) { Flagstore.redis("redis://localhost", **wrong) }
    end
    refused(TypeError, "password") { Flagstore.redis("redis://localhost", password: [SECRET]) }
    refused(TypeError, "url") { Flagstore.redis(nil) }
    assert_raises(TypeError) { Flagstore.redis("redis://localhost", connections: "4") }
    assert_raises(RangeError) { Flagstore.redis("redis://localhost", connections: 2**40) }
    assert_raises(ArgumentError) { Flagstore.redis("redis://localhost", wait: Float::NAN) }
    assert_raises(KeyError) { Flagstore.redis("redis://localhost", read_mode: :stale) }
    assert_raises(ArgumentError) { Flagstore.redis("redis://localhost", patience: 1) }
  end

  def test_files_that_are_not_there_are_an_error
    missing = File.join(@directory, "missing.pem")
    [{ tls_ca_file: missing }, { tls_cert_file: Pathname(missing), tls_key_file: missing }].each do |options|
      refused(Error::Io, missing) { Flagstore.redis("rediss://127.0.0.1:1", read_mode: :watched, **options) }
    end
  end

  def test_nobody_listens
    nobody = Socket.new(:INET, :STREAM)
    nobody.bind(Addrinfo.tcp("127.0.0.1", 0)) # the port stays taken
    url = "redis://127.0.0.1:#{nobody.local_address.ip_port}"
    store = closed_later(Flagstore.redis(url)) # it does not connect
    [-> { store["key"] }, -> { store["key"] = 1 }, -> { store.size }, -> { store.update("a" => 1) }].each do |call|
      refused(Error::Unavailable, &call)
    end
    refused(Error::Unavailable) { Flagstore.redis(url, read_mode: :watched, open_timeout: 0.1) }
    lazy = closed_later(Flagstore.redis(url, read_mode: :watched, lazy: true))
    assert_equal :lost, lazy.status.state
    refused(Error::Unavailable) { lazy["key"] }
    path = Pathname(@directory) / "flags.json"
    path.write('{"key": 1}')
    fallback = closed_later(Flagstore.redis(url, read_mode: :watched, open_timeout: 0.1, fallback_path: path))
    assert_equal [:fallback, 1], [fallback.status.state, fallback["key"]]
  ensure
    nobody&.close
  end
end

class RedisTest < Minitest::Test
  include RedisTests::Fixture, RedisTests, Waiting

  def setup
    skip "FLAGSTORE_REDIS names no server: see tests/redis/bindings.sh" if RedisServer::URL.empty?
    super
  end

  def teardown = super unless RedisServer::URL.empty?

  def test_what_people_change_is_seen
    fresh = redis
    store = followed
    told = watched(store)
    revision = store.revision
    RedisServer.cli("HSET", @hash, "dark-mode", '{"on":  true}')
    assert_equal({ "on" => true }, fresh["dark-mode"])
    refute_nil store.wait(revision, DEADLINE)
    assert_equal ["dark-mode", nil, { "on" => true }], told(told)
    assert_equal [{ "on" => true }, :live, :tracked], [store["dark-mode"], store.status.state, store.status.push]
    assert_equal store.revision, store.status.revision
    eventually("it is counted") { store.status.refreshes.positive? }
    fresh["max-items"] = 12
    assert_equal "12", RedisServer.cli("HGET", @hash, "max-items")
  end

  def test_after_a_sync_reads_see_what_was_done_before
    fresh = redis
    store = followed(spread: DEADLINE)
    10.times do |number|
      fresh["key"] = number
      assert_equal [true, number], [store.sync(DEADLINE), store["key"]]
    end
  end

  def test_a_batch_is_for_what_was_expected
    store = redis(connections: 1)
    store.update("a" => 1, "b" => { "c" => 1.0 })
    batch = Flagstore::Batch.new.expect_json("b", '{ "c": 1.0 }').set("a", 2).delete("b")
    store.commit(batch)
    assert_equal({ "a" => 2 }, store.to_h)
    refused(Error::Conflict) { store.commit(batch) }
    Array.new(4) { Thread.new { 10.times { store.modify("count") { |count| (count || 0) + 1 } } } }.each(&:join)
    assert_equal 40, store["count"]
  end

  def test_layers_over_it
    memory = closed_later(Flagstore.memory)
    below = followed
    store = closed_later(Flagstore.layered([memory, below], write_to: 1))
    revision = store.revision
    redis["key"] = 1
    refute_nil store.wait(revision, DEADLINE)
    eventually("the change is seen") { store["key"] == 1 }
    store["key"] = 2
    memory["key"] = 3
    assert_equal [3, 2, "2"], [store["key"], below["key"], RedisServer.cli("HGET", @hash, "key")]
    assert_equal :tracked, store.status.push
  end

  def test_what_has_vanished_is_not_believed_to_be_empty
    store = followed
    store["key"] = 1
    RedisServer.cli("DEL", @hash, "{#{@hash}}:meta")
    eventually("lost") { store.status.state == :lost }
    assert_equal 1, store["key"]
  end

  def test_a_field_that_is_no_json_is_alone
    store = redis
    store["good"] = 1
    RedisServer.cli("HSET", @hash, "bad", "{")
    refused(Error::Corrupt, "bad") { store["bad"] }
    assert_equal({ "good" => 1 }, store.to_h)
  end

  def test_a_user_his_password_and_a_file_with_it
    user = "u#{@hash.delete(":")}"
    RedisServer.cli("ACL", "SETUSER", user, "on", ">#{SECRET}", "~*", "&*", "+@all")
    file = Pathname(@directory) / "password"
    file.write("#{SECRET}\n")
    [[RedisServer::URL, { username: user, password: SECRET }],
     [RedisServer.with_user("nobody", "wrong"), { username: user.to_sym, password: SECRET }],
     [RedisServer::URL, { username: user, password_file: file }],
     [RedisServer.with_user(user, SECRET), {}]].each do |url, options|
      store = closed_later(Flagstore.redis(url, hash: @hash, **Engine::PATIENT, **options))
      store["by"] = user
      assert_equal user, store["by"]
    end
    [[RedisServer::URL, { username: user, password: "#{SECRET}!" }],
     [RedisServer.with_user(user, "#{SECRET}!"), {}]].each do |url, options|
      store = closed_later(Flagstore.redis(url, hash: @hash, **options))
      refused(Error::Backend, "WRONGPASS") { store["by"] }
      refute_includes store.inspect, SECRET
    end
  ensure
    RedisServer.cli("ACL", "DELUSER", user) if user
  end

  def test_tls_with_certificates_of_both_sides
    certificates = Pathname(ENV.fetch("FLAGSTORE_REDIS_CERTIFICATES"))
    right = { hash: @hash, tls_ca_file: certificates / "ca.pem", tls_cert_file: certificates / "client.pem",
              tls_key_file: (certificates / "client.key").to_s, tls_server_name: "flags.test", **Engine::PATIENT }
    url = ENV.fetch("FLAGSTORE_REDIS_TLS")
    closed_later(Flagstore.redis(url, **right))["key"] = 1
    assert_equal 1, redis["key"]
    [{ tls_server_name: "other.test" }, { tls_server_name: nil }, { tls_ca_file: right[:tls_cert_file] },
     { tls_cert_file: nil, tls_key_file: nil }].each do |wrong|
      refused(Error::Backend) { closed_later(Flagstore.redis(url, **right, **wrong))["key"] }
    end
  end

  def test_replicas_that_do_not_confirm
    store = redis(wait_replicas: 1, wait: 0.02)
    refused(Error::NotDurable) { store["key"] = 1 }
    assert_equal 1, store["key"]
  end

  def test_other_options
    refused(Error::ReadOnly) { redis(read_only: true)["key"] = 1 }
    other = closed_later(Flagstore.redis("#{RedisServer::URL.chomp("/")}/4", hash: @hash, **Engine::PATIENT))
    other["key"] = 1
    assert_equal [{ "key" => 1 }, {}], [other.to_h, redis.to_h]
    store = closed_later(Flagstore.redis(RedisServer::URL, sentinel_master: "flags"))
    error = assert_raises(Error) { store["key"] } # it is no Sentinel
    assert_includes [Error::Backend, Error::Unavailable], error.class
  end

  def test_a_child_of_fork_uses_what_it_inherits
    { fresh: redis, watched: followed }.each do |mode, store|
      store["parent"] = 1
      5.times do
        child = fork do
          seen = store["parent"] == 1
          store["child"] = 2
          revision = store.revision
          store["child"] = 3
          heard = store.wait(revision, DEADLINE)
          eventually("live") { store.status.state == :live }
          store.close
          exit!(seen && heard ? 0 : 1)
        rescue Exception => e # an assertion too
          warn e.full_message
          exit!(2)
        end
        assert_equal 0, status(child), mode
        eventually("the child's change is seen") { store["child"] == 3 }
        assert store.delete("child")
      end
    end
  end

  def test_a_program_ends_with_open_stores
    library = File.expand_path("../../include/ruby/lib/flagstore", __dir__)
    program = <<~'RUBY'
      url, hash = ARGV
      options = { hash: hash, call_timeout: 60, open_timeout: 60 }
      stores = %i[fresh checked watched].map { |mode| Flagstore.redis(url, read_mode: mode, **options) }
      stores[2].watch { |*| nil }
      Flagstore.layered([Flagstore.memory, stores[2]])
      stores[1]["key"] = 1
    RUBY
    ruby = [RbConfig.ruby, "-w", "-r", library, "-e", program, RedisServer::URL, @hash]
    said, status = Open3.capture2e("timeout", "60", *ruby)
    assert_equal ["", true], [said, status.success?]
  end
end
