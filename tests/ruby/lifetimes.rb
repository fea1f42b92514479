# frozen_string_literal: true

require "etc"

# That what the library hands out is given back to it. Each use would leave 100 MiB behind, were it not. Long keys are
# cheap to store.
module Lifetimes
  LONG = "x" * (1 << 20)

  def test_nothing_handed_out_leaks
    @store.set_string(LONG, LONG)
    assert_no_growth("get_json") { @store.get_json(LONG) }
    assert_no_growth("get_string") { @store.get_string(LONG, nil) }
    assert_no_growth("an error that names a long key") do
      assert_includes assert_refused(:TYPE_MISMATCH) { @store.get_bool(LONG, true) }.message, LONG
    end
  end

  def test_a_forgotten_store_is_freed
    assert_no_growth("a store") { library.memory.set_bool(LONG, true) }
  end

  private

  def assert_no_growth(what, &use)
    repeat(&use) # until the heap has its size
    before = resident_mib
    repeat(&use)
    grown = resident_mib - before
    assert_operator grown, :<, 50, "100 times #{what} left #{grown} MiB behind"
  end

  def repeat
    100.times do |i|
      yield
      GC.start if (i % 10).zero?
    end
  end

  def resident_mib
    GC.start
    File.read("/proc/self/statm").split[1].to_i * Etc.sysconf(Etc::SC_PAGESIZE) >> 20
  end
end
