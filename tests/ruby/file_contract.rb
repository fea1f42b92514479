# frozen_string_literal: true

require "json"
require_relative "refusals"

# What a file store promises beyond the contract. @store is one on flags.json with all defaults.
module FileContract
  PYTHON = <<~'JSON'
    {
      "Z": true,
      "\u00e9\u0000": {
        "a": "\ud83d\ude00",
        "b": [
          1.10,
          {}
        ]
      }
    }
  JSON

  def test_the_file_is_what_python_would_write_whatever_the_durability
    %i[full none ordered].each do |durability|
      store = open_with(durability: durability, name: "#{durability}.json")
      assert_equal "{}\n", File.read(path("#{durability}.json"))
      store.set_json("é\0", '{"b":[1.10,{}],"a":"😀"}')
      store.set_bool("Z", true)
      assert_equal PYTHON, File.read(path("#{durability}.json")), durability
    end
  end

  def test_every_handle_sees_what_others_wrote
    other = open_with
    @store.set_bool("on", true)
    assert_equal "true", other.get_json("on")
    File.write(path("new"), '{ "on" : 2 }')
    File.rename(path("new"), path)
    assert_equal %w[2 2], [@store.get_json("on"), other.get_json("on")]
    File.unlink(path)
    assert_nil @store.get_json("on")
  end

  def test_a_corrupt_file_is_reported_by_every_call_and_kept
    ["", "[]", '{"a":1', "{} {}", "\ufeff{}", "{\"a\":\"\xff\"}"].each do |content|
      File.write(path("bad.json"), content)
      store = open_with(name: "bad.json")
      Refusals::KEYED.each { |name, call| assert_refused(:CORRUPT, "#{name} on #{content}") { call[store, "key"] } }
      Refusals::KEYLESS.each { |name, call| assert_refused(:CORRUPT, "#{name} on #{content}") { call[store] } }
      assert_equal content.b, File.binread(path("bad.json"))
    end
  end

  def test_a_read_only_store_refuses_every_change_and_creates_nothing
    store = open_with(name: "absent.json", read_only: true)
    assert_nil store.get_json("key")
    %i[set_json delete set_bool set_int64 set_double set_string].each do |name|
      assert_refused(:READ_ONLY, name) { Refusals::KEYED[name][store, "key"] }
    end
    assert_empty Dir.glob("*absent*", File::FNM_DOTMATCH, base: @directory)
  end

  def test_what_the_system_refuses_carries_its_errno_and_creates_nothing
    assert_refused(:IO, "a missing directory", errno: Errno::ENOENT) { open_with(name: "missing/flags.json") }
    assert_refused(:IO, "a missing file", errno: Errno::ENOENT) { open_with(name: "missing.json", existing: true) }
    assert_refused(:IO, "an empty path", errno: Errno::ENOENT) { library.file("") }
    assert_refused(:IO, "a directory", errno: Errno::EISDIR) { open_with(name: ".") }
    assert_refused(:IO, "a directory to be", errno: Errno::EISDIR) { open_with(name: "missing/") }
    assert_empty Dir.glob("*missing*", File::FNM_DOTMATCH, base: @directory)
  end

  def test_a_path_that_is_not_utf8_is_an_invalid_argument
    assert_refused(:INVALID_ARGUMENT) { open_with(name: "\xff.json") }
  end

  def test_max_bytes_limits_what_is_read_and_written
    store = open_with(max_bytes: 40)
    store.set_string("a", "short")
    assert_refused(:IO, errno: Errno::EFBIG) { store.set_string("b", "this is more than fits into forty bytes") }
    assert_equal "{\n  \"a\": \"short\"\n}\n", File.read(path)
    File.write(path, '{"a": "somebody else wrote more than forty bytes"}')
    assert_refused(:IO, errno: Errno::EFBIG) { store.get_json("a") }
  end

  def test_the_mode_of_a_new_file_is_as_asked_for
    open_with(name: "new.json", mode: 0o600).set_bool("on", true)
    assert_equal 0o100600, File.stat(path("new.json")).mode
  end

  def test_a_change_waits_for_the_lock_no_longer_than_told
    store = open_with(lock_timeout: 0.05)
    store.set_bool("on", true)
    locked { assert_refused(:LOCKED) { store.set_bool("on", false) } }
    assert_equal true, store.get_bool("on", false)
    store.set_bool("on", false)
  end

  # Were the interpreter's lock held while a change waits, nobody could let go of the file's.
  def test_other_threads_run_while_a_change_waits_for_the_lock
    store = open_with(lock_timeout: 20)
    store.set_bool("on", true)
    change = nil
    locked do
      change = Thread.new { store.set_bool("on", false) }
      Thread.pass until change.stop?
      assert_equal true, store.get_bool("on", false)
    end
    assert change.join(30), "the change hangs"
    assert_equal false, store.get_bool("on", true)
  end

  private

  def path(name = "flags.json") = File.join(@directory, name)

  def open_with(name: "flags.json", **options) = library.file(path(name), **options)

  def locked
    File.open(path(".flags.json.lock")) do |lock|
      lock.flock(File::LOCK_EX)
      yield
      lock.flock(File::LOCK_UN)
    end
  end
end
