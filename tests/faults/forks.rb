# frozen_string_literal: true

# Row 15 in Ruby; what it does is said in forks.c.
#
#   forks.rb serve PATH CHILDREN
#   forks.rb orphan PATH           a server whose child, once it is there, says so and lives on until the input ends
require_relative "../../include/ruby/lib/flagstore"

THREADS = 3
AT_ONCE = 3
DEADLINE = 60

def die(message)
  $stderr.syswrite("VIOLATION in Ruby process #{Process.pid}: #{message}\n")
  exit!(1)
end

def check(holds, what)
  die(what) unless holds
end

# Threads that use the stores, in the server and in its workers.
class Users
  def initialize(stores, name, turns = nil)
    @stores = stores
    @keys = Array.new(THREADS) { |i| "#{name}.thread#{i}" }
    @threads = @keys.map { |key| Thread.new { use(key, turns) } }
  end

  def use(key, turns)
    turn = 0
    until turn == turns || @stop
      turn += 1
      @stores.each do |store|
        store.set_int64(key, turn)
        check(store.get_int64(key, 0) == turn, "#{key} is not #{turn}")
      end
    end
  rescue StandardError => e
    die(e.full_message(highlight: false))
  end

  def stop
    @stop = true
  end

  def finish
    @threads.each { |thread| check(thread.join(DEADLINE), "a thread hangs") }
    @stores.each { |store| @keys.each { |key| check(store.delete(key), "#{key} was not there") } }
  end
end

def call_everything(stores, key)
  stores.each do |store|
    check(store["before"] == 1, "what was there before the fork is not")
    store[key] = [1]
    check(store.list_all[key] == [1], "#{key} is not listed")
    check(store.delete(key), "#{key} was not there to delete")
    check(store.get_json(key).nil?, "#{key} is still there")
    check(store.size >= 1, "no flags")
  end
end

# Leaves through exit!: whatever the server would do at its exit is not the child's.
def in_child
  fork do
    yield
    exit!(0)
  rescue StandardError => e
    die(e.full_message(highlight: false))
  end
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

def wait_for_child(pid)
  deadline = now + DEADLINE
  until (ended = Process.wait2(pid, Process::WNOHANG))
    if now > deadline
      Process.kill(:ABRT, pid)
      die("child #{pid} hangs")
    end
    sleep(0.001)
  end
  check(ended[1].success?, "a child ended with #{ended[1]}")
end

def worker(stores, name, depth)
  call_everything(stores, name)
  users = Users.new(stores, name, 3)
  wait_for_child(in_child { worker(stores, "#{name}.child", depth - 1) }) if depth.positive?
  call_everything(stores, name)
  users.finish
  stores.each(&:close)
  GC.start
end

def open_stores(path)
  mode = Flagstore::READ_MODES.key(Integer(ENV.fetch("READ_MODE")))
  stores = [Flagstore.memory, Flagstore.file(path, read_mode: mode, durability: :none, lock_timeout: DEADLINE)]
  stores.each { |store| store["before"] = 1 }
end

def serve(path, children)
  stores = open_stores(path)
  users = Users.new(stores, "server")
  alive = []
  depths = Array.new(Integer(children)) { |number| [2 - number % 5, 0].max }
  depths.each_with_index do |depth, number|
    wait_for_child(alive.shift) if alive.size == AT_ONCE
    alive << in_child { worker(stores, "child#{number}", depth) }
  end
  alive.each { |pid| wait_for_child(pid) }
  users.stop
  users.finish
  left = stores[1].list_all
  check(left == { "before" => 1 }, "left over: #{left}")
  puts(depths.sum { |depth| 1 + depth })
end

def orphan(path)
  stores = open_stores(path)
  Users.new(stores, "server")
  child = in_child do
    $stdout.syswrite("lives\n")
    $stdin.read
    call_everything(stores, "orphan")
    $stdout.syswrite("done\n")
  end
  wait_for_child(child)
end

role, *rest = ARGV
role == "serve" ? serve(*rest) : orphan(*rest)
