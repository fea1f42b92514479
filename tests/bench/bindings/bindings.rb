# frozen_string_literal: true

# Row 14 in Ruby: get_bool of the gem, and the same call made bare. Prints the ns of both for each round.
# Usage: bindings.rb FILE ROUNDS NANOSECONDS
$LOAD_PATH.unshift(File.expand_path("../../../include/ruby/lib", __dir__))
require "flagstore"

WARM_UP = 100_000_000 # ns: a file that has just been written is cached a little later

# The functions themselves, and nothing around them.
module Bare
  extend FFI::Library
  ffi_lib "libflagstore.so.0.2"
  attach_function :open, :flagstore_file_open_with, %i[string buffer_in pointer], :pointer
  attach_function :get_bool, :flagstore_get_bool, %i[pointer string bool pointer], :bool
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)

def fastest(run, keys, nanoseconds)
  ends = now + nanoseconds
  best = nil
  loop do
    start = now
    run.call(keys)
    took = now - start
    best = took if !best || took < best
    return best.to_f / keys.size if start + took >= ends
  end
end

path, rounds, nanoseconds = ARGV
keys = JSON.parse(File.read(path)).select { |_, value| [true, false].include?(value) }.keys
keys.shuffle!(random: Random.new(14))

store = Flagstore.file(path, read_mode: :watched)
bare = Bare.open(path, [40, 2, 0, 0, 0, 0, 0, 0].pack("QllLlLLQ"), nil)
runs = [->(all) { all.each { |key| store.get_bool(key, false) } },
        ->(all) { all.each { |key| Bare.get_bool(bare, key, false, nil) } }]
runs.each { |run| fastest(run, keys, WARM_UP) }
rounds.to_i.times { puts runs.map { |run| fastest(run, keys, nanoseconds.to_i) }.join(" ") }
