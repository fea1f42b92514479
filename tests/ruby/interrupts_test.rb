# frozen_string_literal: true

require_relative "../../include/ruby/lib/flagstore"
require_relative "promises"
require_relative "waiting"
require "timeout"

# What Timeout, Thread#raise and Thread#kill do to calls: they come before or after them, and nothing is lost.
class InterruptsTest < Minitest::Test
  include Promises::Fixture, Waiting

  def library = Flagstore
  def open_store = Flagstore.memory

  class Stop < StandardError
  end

  # Counts the texts and handles that the library hands out and takes back.
  module Counting
    BALANCE = Hash.new(0)

    %i[get_n get_string_n list_all].each do |name|
      define_method(name) { |*arguments| super(*arguments).tap { |text| BALANCE[:texts] += 1 unless text.null? } }
    end
    %i[snapshot memory_open batch_new].each do |name|
      define_method(name) { |*arguments| super(*arguments).tap { BALANCE[:handles] += 1 } }
    end

    def free(pointer)
      BALANCE[:texts] -= 1 unless pointer.null?
      super
    end

    def free_handle(pointer)
      BALANCE[:handles] -= 1
      super
    end

    def error_code(...) = super.tap { BALANCE[:texts] += 1 } # its object is freed next
  end
  Flagstore::C.singleton_class.prepend(Counting)

  RAISED = 97_000
  KILLED = 1000
  TIMED_OUT = 2000

  def test_a_hundred_thousand_interrupted_calls_leave_nothing_behind
    interrupted(500, 100, 100) # until the heap has its size
    before = resident_mib
    texts = Counting::BALANCE[:texts]
    interrupted(RAISED, KILLED, TIMED_OUT)
    assert_equal texts, Counting::BALANCE[:texts], "texts were lost"
    eventually("the handles come back") { GC.start || Counting::BALANCE[:handles] < 50 }
    assert_operator resident_mib - before, :<, 100, "MiB"
  end

  def interrupted(raised, killed, timed_out)
    by_raise(raised)
    killed.times { |i| by_kill(i) }
    timed_out.times { |i| by_timeout(i) }
  end

  # One thread is thrown out of whatever call it is in, again and again; what it finds is always its own.
  def by_raise(times)
    interrupts = tries = 0
    thread = deferring do
      while interrupts < times
        begin
          Thread.handle_interrupt(Stop => :immediate) { loop { use("raise", tries += 1) } }
        rescue Stop
          interrupts += 1
        end
      end
    end
    while thread.alive?
      thread.raise(Stop)
      Thread.pass
    end
    begin
      thread.value
    rescue Stop
      nil # one that came after the last
    end
    assert_equal times, interrupts
  end

  # A thread that Stop reaches only where it says so: it begins with the mask of the one that makes it.
  def deferring(&work)
    Thread.handle_interrupt(Stop => :never) { Thread.new(&work) }.tap { |thread| thread.report_on_exception = false }
  end

  def by_kill(turn)
    started = false
    thread = Thread.new { loop { (started = true) && use("kill", turn) } }
    Thread.pass until started
    (turn % 3).times { Thread.pass } # into one call or another
    thread.kill
    assert thread.join(DEADLINE), "it hangs"
  end

  def by_timeout(turn)
    Timeout.timeout(0.000_01) { loop { use("timeout", turn) } }
  rescue Timeout::Error
    nil
  end

  def use(name, turn)
    @store.set_string(name, "#{name} #{turn}")
    found = [@store.get_string(name, nil), @store[name], @store.fetch(name)].uniq
    raise "#{name} #{turn}: #{found}" unless found == ["#{name} #{turn}"]

    raise "a mismatch was not told" unless mismatch?(name)

    @store.list_json
    @store.snapshot if (turn % 50).zero?
    Flagstore::Batch.new.set("a", 1) if (turn % 70).zero?
  end

  def mismatch?(name)
    @store.get_bool(name, true)
    false
  rescue Flagstore::Error::TypeMismatch
    true
  end

  def test_a_result_is_not_lost_to_who_defers_interrupts
    acknowledged = 0
    thread = deferring do
      loop do
        @store.set_int64("count", acknowledged + 1)
        acknowledged += 1
        Thread.handle_interrupt(Stop => :immediate) { Thread.pass }
      end
    end
    eventually("it counts") { acknowledged > 100 }
    thread.raise(Stop)
    assert_raises(Stop) { thread.value }
    assert_equal acknowledged, @store["count"]
  end

  def test_a_wait_can_be_interrupted
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { @store.wait(@store.revision) } }
    thread = Thread.new { @store.wait(@store.revision) }
    eventually("it waits") { thread.stop? }
    thread.kill
    assert thread.join(DEADLINE), "it hangs"
  end

  def test_a_change_that_waits_for_the_lock_can_be_interrupted_and_writes_nothing
    with_locked_file do |store, lock|
      assert_raises(Timeout::Error) { Timeout.timeout(0.05) { store["on"] = 2 } }
      thread = Thread.new { store.delete("on") }
      eventually("it waits") { thread.stop? }
      thread.kill
      assert thread.join(DEADLINE), "it hangs"
      lock.flock(File::LOCK_UN)
      assert_equal 1, store["on"]
      assert_equal 3, store["on"] = 3
    end
  end

  # It asks for the lock several times, which is nobody's business.
  def test_a_change_that_gets_no_lock_fails_and_is_logged_once
    with_locked_file(lock_timeout: 1.2) do |store, _|
      heard = []
      Flagstore.log { |_, message| heard << message }
      error = assert_refused(:LOCKED) { store["on"] = 2 }
      assert_match(/more than 1200 ms/, error.message)
      assert_equal 1, heard.size, heard.inspect
    ensure
      Flagstore.log
    end
  end

  private

  def with_locked_file(lock_timeout: Float::INFINITY)
    path = File.join(@directory, "flags.json")
    store = Flagstore.file(path, lock_timeout: lock_timeout, durability: :none)
    store["on"] = 1
    File.open(File.join(@directory, ".flags.json.lock")) do |lock|
      lock.flock(File::LOCK_EX)
      yield store, lock
    end
  end

  def resident_mib
    GC.start
    File.read("/proc/self/statm").split[1].to_i * Etc.sysconf(Etc::SC_PAGESIZE) >> 20
  end
end

# Ctrl-C and kill, as a program has them whose main thread is inside a call.
class SignalsTest < Minitest::Test
  include Promises::Fixture, Waiting

  def library = Flagstore
  def open_store = Flagstore.file(File.join(@directory, "flags.json"), lock_timeout: Float::INFINITY, durability: :none)

  WAYS = { INT: Interrupt, TERM: SignalException, USR1: IOError }.freeze

  WAYS.each do |signal, exception|
    define_method("test_#{signal}_interrupts_a_wait") do
      assert_interrupted(signal, exception) { @store.wait(@store.revision) }
    end

    define_method("test_#{signal}_interrupts_a_change_that_waits_for_the_lock_and_writes_nothing") do
      @store["on"] = 1
      File.open(File.join(@directory, ".flags.json.lock")) do |lock|
        lock.flock(File::LOCK_EX)
        assert_interrupted(signal, exception) { @store["on"] = 2 }
        assert_equal 1, @store["on"]
      end
      @store["on"] = 3
    end
  end

  def test_a_signal_handler_may_use_the_store
    child = child_of do
      trap(:USR1) { @store["from"] = "the handler" }
      yield_to_parent
      200.times { |i| @store["i"] = i } until @store["from"]
      true
    end
    @ready.read(1)
    Process.kill(:USR1, child)
    assert_equal 0, status(child)
    assert_equal "the handler", @store["from"]
  end

  private

  def assert_interrupted(signal, exception)
    child = child_of do
      trap(:USR1) { raise IOError, "from the handler" }
      trap(:INT, "DEFAULT")
      yield_to_parent
      yield
      false
    rescue exception
      @store.size == @store.keys.size # it still serves
    end
    @ready.read(1)
    eventually("it sleeps in the call") { File.read("/proc/#{child}/stat")[/\) (\w)/, 1] == "S" }
    Process.kill(signal, child)
    assert_equal 0, status(child), "nil: it hung"
  end

  def child_of
    @ready, @told = IO.pipe
    fork do
      exit!(yield ? 0 : 1)
    rescue Exception => e
      warn e.full_message
      exit!(2)
    end
  end

  def yield_to_parent = @told.write("x")
end
