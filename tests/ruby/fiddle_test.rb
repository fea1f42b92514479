# frozen_string_literal: true

require "fiddle"
require_relative "promises"
require_relative "waiting"

# The binding that Ruby's own Fiddle gives, without any gem: no struct, no callback type, only addresses.
module Fiddlestore
  LIBRARY = Fiddle.dlopen("libflagstore.so.0.2")
  FREE = Fiddle::Function.new(LIBRARY["flagstore_free"], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_VOID)

  # C's bool is one byte; P pointer, Z size_t, B bool, I int32_t, L int64_t, D double.
  TYPES = {
    "P" => Fiddle::TYPE_VOIDP, "Z" => Fiddle::TYPE_SIZE_T, "B" => Fiddle::TYPE_CHAR, "I" => Fiddle::TYPE_INT,
    "L" => Fiddle::TYPE_LONG_LONG, "D" => Fiddle::TYPE_DOUBLE, "v" => Fiddle::TYPE_VOID
  }.freeze

  FUNCTIONS = {
    memory_open: "P P", file_open: "PP P", file_open_with: "PPP P",
    error_code: "P I", error_name: "I P", error_message: "P P", error_os_code: "P I", set_log: "PPI v",
    get_n: "PPZPP P", set_n: "PPZPZP B", delete_n: "PPZP B", list_all: "PP P", len: "PP L",
    get_bool_n: "PPZBP B", get_int64_n: "PPZLP L", get_double_n: "PPZDP D", get_string_n: "PPZPP P",
    get_type: "PPP I", set_bool: "PPBP B", set_int64: "PPLP B", set_double: "PPDP B", set_string: "PPPP B",
    snapshot: "PP P", snapshot_count: "P Z", snapshot_find: "PPP P", revision: "PP L", wait: "PPIP B",
    batch_new: "P", batch_set: "PPPP B", batch_expect: "PPPP B", commit: "PPP B"
  }.to_h do |name, types|
    *arguments, result = TYPES.values_at(*types.delete(" ").chars)
    [name, Fiddle::Function.new(LIBRARY["flagstore_#{name}"], arguments, result)]
  end

  def self.call(name, *arguments) = FUNCTIONS.fetch(name).call(*arguments)

  # Makes a call whose last argument is the error, and raises that.
  def self.checked(name, *arguments)
    slot = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
    result = call(name, *arguments, slot)
    slot.ptr.null? ? result : raise(Error.new(owned(slot.ptr)))
  end

  # One line hands an object of the library over to the garbage collector.
  def self.owned(pointer)
    pointer.free = LIBRARY["flagstore_free"]
    pointer
  end

  def self.text(pointer, length = pointer.null? ? 0 : pointer.to_s.bytesize)
    pointer.null? ? nil : owned(pointer)[0, length].force_encoding(Encoding::UTF_8)
  end

  class Error < StandardError
    attr_reader :code, :name, :os_code

    def initialize(pointer)
      super(Fiddlestore.call(:error_message, pointer).to_s.force_encoding(Encoding::UTF_8))
      @code = Fiddlestore.call(:error_code, pointer)
      @name = Fiddlestore.call(:error_name, @code).to_s
      @os_code = Fiddlestore.call(:error_os_code, pointer)
    end
  end

  class Store
    def initialize(pointer)
      @pointer = Fiddlestore.owned(pointer)
    end

    def close
      @pointer = nil
    end

    def get_json(key) = text(:get_n, key)
    def get_string(key, fallback) = text(:get_string_n, key) || fallback
    def set_json(key, json) = truth(:set_n, key, key.bytesize, json, json.bytesize)
    def delete(key) = truth(:delete_n, key, key.bytesize)
    def list_json = Fiddlestore.text(checked(:list_all))
    def size = checked(:len)
    def type(key) = %i[absent null bool number string array object][checked(:get_type, key)]
    def get_bool(key, fallback) = truth(:get_bool_n, key, key.bytesize, fallback ? 1 : 0)
    def get_int64(key, fallback) = checked(:get_int64_n, key, key.bytesize, fallback)
    def get_double(key, fallback) = checked(:get_double_n, key, key.bytesize, fallback)
    def set_bool(key, value) = truth(:set_bool, key, value ? 1 : 0)
    def set_int64(key, value) = truth(:set_int64, key, value)
    def set_double(key, value) = truth(:set_double, key, value)
    def set_string(key, value) = truth(:set_string, key, value)
    def snapshot = Fiddlestore.owned(checked(:snapshot))
    def commit(batch) = truth(:commit, batch)
    def revision = checked(:revision)

    # The new revision; nil: timed out.
    def wait(revision, milliseconds)
      seen = [revision].pack("q")
      truth(:wait, seen, milliseconds) ? seen.unpack1("q") : nil
    end

    private

    def checked(name, *arguments) = Fiddlestore.checked(name, @pointer, *arguments)

    def truth(...) = checked(...) != 0

    def text(name, key)
      length = Fiddle::Pointer.malloc(Fiddle::SIZEOF_SIZE_T, Fiddle::RUBY_FREE)
      pointer = checked(name, key, key.bytesize, length)
      Fiddlestore.text(pointer, length[0, Fiddle::SIZEOF_SIZE_T].unpack1("J"))
    end
  end

  def self.memory = Store.new(checked(:memory_open))

  def self.file(path, **options)
    Store.new(options.empty? ? checked(:file_open, path) : checked(:file_open_with, path, packed(**options)))
  end

  # flagstore_file_options_t: size, read_mode, durability, flags, lock_timeout_ms, mode, reserved, max_bytes.
  def self.packed(read_mode: :fresh, durability: :full, existing: false, read_only: false, lock_timeout: 0, mode: 0,
                  max_bytes: 0)
    flags = (existing ? 1 : 0) | (read_only ? 2 : 0)
    [40, %i[fresh checked watched].index(read_mode), %i[full none ordered].index(durability), flags, (lock_timeout * 1000).ceil, mode, 0, max_bytes]
      .pack("JllLlLLQ")
  end

  def self.log(level = :warn, &block)
    @log = block
    call(:set_log, block ? LOG : nil, nil, %i[off error warn info debug].index(level))
  end

  LOG = Fiddle::Closure::BlockCaller.new(TYPES["v"], TYPES.values_at("P", "I", "P")) do |_, level, message|
    @log&.call(%i[off error warn info debug][level], message.to_s.force_encoding(Encoding::UTF_8))
  end
end

Promises.check(Fiddlestore)

# What the binding leaves to its callers: handles as they come.
module FiddleChanges
  include Waiting

  def test_a_snapshot_stays_as_it_is
    @store.set_json("a", "1.10")
    snapshot = @store.snapshot
    @store.delete("a")
    assert_equal 1, library.call(:snapshot_count, snapshot)
    assert_equal "1.10", library.call(:snapshot_find, snapshot, "a", nil).to_s
    assert_predicate library.call(:snapshot_find, snapshot, "b", nil), :null?
  end

  def test_a_batch_is_made_whole_or_not_at_all
    batch = library.owned(library.call(:batch_new))
    library.checked(:batch_expect, batch, "a", nil)
    %w[a b].each { |key| library.checked(:batch_set, batch, key, "[1]") }
    assert @store.commit(batch)
    assert_equal '{"a":[1],"b":[1]}', @store.list_json
    @store.delete("b")
    assert_refused(:CONFLICT) { @store.commit(batch) }
    assert_equal '{"a":[1]}', @store.list_json
  end

  def test_a_change_wakes_a_thread_that_waits
    assert_nil @store.wait(@store.revision, 20)
    before = @store.revision
    waiter = Thread.new { @store.wait(before, -1) }
    eventually("the thread waits") { waiter.stop? }
    @store.set_bool("on", true)
    assert_ended [waiter]
    refute_includes [nil, 0, before], waiter.value
  end
end

Promises.kinds_of(Fiddlestore).each do |kind, open|
  Promises.test_class(Fiddlestore, "changes of #{kind}", open, FiddleChanges)
end
