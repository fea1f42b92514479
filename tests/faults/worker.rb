# frozen_string_literal: true

# One process of rows 9 and 20 in Ruby; what it does is said in worker.c.
require_relative "../../include/ruby/lib/flagstore"

OWN_KEYS = 3
COUNTERS = %w[c go python ruby].freeze
DURABILITIES = Flagstore::DURABILITIES.keys
READ_MODE = Flagstore::READ_MODES.key(Integer(ENV.fetch("READ_MODE")))

def die(message)
  $stderr.syswrite("VIOLATION in Ruby process #{Process.pid}: #{message}\n")
  exit!(1)
end

def open_store(path, durability)
  Flagstore.file(path, read_mode: READ_MODE, durability: DURABILITIES.fetch(Integer(durability)), lock_timeout: 60)
end

def thread
  Thread.new do
    yield
  rescue StandardError => e
    die(e.full_message(highlight: false))
  end
end

def count(store, name, thread, turns)
  (1..turns).each do |turn|
    key = "#{name}.#{thread}.#{turn % OWN_KEYS}"
    last = [turn - OWN_KEYS, 0].max
    found = store.get_int64(key, 0)
    die("lost update: #{key} is #{found}, was set to #{last}") unless found == last
    store.set_int64(key, turn)
  end
end

# Reads everything; it must be a whole document, in which no counter has gone back since `last` but by an edit.
def next_document(store, last)
  now = store.list_all
  edition = now["edition"]
  whole = now.keys == ["c", "edition", "go", "payload", "python", "ruby"] &&
          now["payload"] == "#{edition}." * (edition % 50 + 1)
  die("not a whole document: #{now}") unless whole
  back = last && last["edition"] == edition && COUNTERS.any? { |key| now[key] < last[key] }
  die("a counter went back: #{last} to #{now}") if back
  now
end

def soak(path, name, durability)
  thread do
    store = open_store(path, durability)
    last = nil
    loop { last = next_document(store, last) }
  end
  store = open_store(path, durability)
  last = next_document(store, nil)
  loop do
    begin
      # Only in the edition that was read, as worker.c has it.
      store.commit(Flagstore::Batch.new.expect("edition", last["edition"]).set(name, last[name] + 1))
      last[name] += 1
      $stdout.syswrite(".")
    rescue Flagstore::Error => e
      raise unless e.os_code == Errno::ENOSPC::Errno || e.code == Flagstore::Error::CONFLICT
    end
    last = next_document(store, last)
  end
end

role, path, name, *rest = ARGV
if role == "count"
  threads, turns, durability = rest
  store = open_store(path, durability)
  Array.new(Integer(threads)) { |i| thread { count(store, name, i, Integer(turns)) } }.each(&:join)
else
  thread { soak(path, name, *rest) }.join
end
