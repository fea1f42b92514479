# frozen_string_literal: true

# One client of faults.py in Ruby; what it does is said in worker.c.
require_relative "../../include/ruby/lib/flagstore"

def die(*words)
  $stderr.syswrite("worker: #{words.join(" ")}\n")
  exit!(2)
end

# The options by the names and numbers that C has for them.
module Options
  WHEN_LOST = { "0" => :serve, "1" => :fail }.freeze
  TEXTS = %w[fallback_path hash username password password_file tls_ca_file tls_cert_file tls_key_file tls_server_name
             sentinel_master].freeze
  NUMBERS = %w[max_bytes connections wait_replicas].freeze
  TIMES = %w[open_timeout_ms call_timeout_ms max_stale_ms verify_ms spread_ms retry_max_ms wait_ms].freeze

  def self.of(words) = words.map { |word| of_word(word) }.reduce({}, :merge)

  def self.of_word(word)
    name, value = word.split("=", 2)
    case name
    when "read_mode" then { read_mode: Flagstore::READ_MODES.key(Integer(value)) }
    when "when_lost" then { when_lost: WHEN_LOST.fetch(value) }
    when "flags" then { read_only: Integer(value).anybits?(2), lazy: Integer(value).anybits?(4) }
    when *TEXTS then { name.to_sym => value }
    when *NUMBERS then { name.to_sym => Integer(value) }
    when *TIMES then { name.delete_suffix("_ms").to_sym => seconds(name, Integer(value)) }
    else die("no option", word)
    end
  end

  # The binding says "at once" with 0 seconds, and has no 0 for the default.
  def self.seconds(name, milliseconds)
    return [milliseconds, 0].max / 1000.0 if name == "spread_ms" && milliseconds.negative?

    milliseconds.zero? ? nil : milliseconds / 1000.0
  end
end

# A handle.
class Client
  CALLS = { "get" => 1, "set" => 2, "delete" => 1, "list" => 0, "commit" => 3, "revision" => 0, "wait" => 1,
            "watch" => 0, "seen" => 0, "status" => 0, "sync" => 1, "close" => 0 }.freeze
  STATES = %i[none live stale fallback lost].freeze
  PUSHES = %i[none announced tracked].freeze

  def initialize(url, *options)
    @store = Flagstore.redis(url, **Options.of(options))
    @after = 1
    @told = Thread::Queue.new
  end

  def get(key) = @store.get_json(key) || "absent"
  def delete(key) = @store.delete(key)
  def list = @store.list_json
  def revision = @after = @store.revision
  def seen = Array.new(@told.size) { @told.pop }.join(" ")

  def set(key, json)
    @store.set_json(key, json)
    nil
  end

  def commit(key, expected, json)
    batch = Flagstore::Batch.new
    expected == "absent" ? batch.expect_absent(key) : batch.expect_json(key, expected)
    @store.commit(batch.set_json(key, json))
    nil
  end

  def wait(timeout)
    revision = @store.wait(@after, Integer(timeout) / 1000.0)
    @after = revision || @after
    !revision.nil?
  end

  # The block gets values as Ruby has them, which do for the flags of these tests.
  def watch
    @watch = @store.watch { |key, _, now| @told << "#{key}=#{now.nil? ? "absent" : JSON.generate(now)}" }
    nil
  end

  def status
    now = @store.status
    [STATES.index(now.state), PUSHES.index(now.push), (now.age * 1000).round, now.reconnects, now.refreshes].join(" ")
  end

  def sync(timeout)
    @store.sync(Integer(timeout) / 1000.0)
    nil
  end

  def close
    @watch&.close
    @store.close
  end
end

CLIENTS = {}

def result_of(command, handle, words)
  if command == "open"
    CLIENTS[handle] = Client.new(*words)
    return
  end
  known = Client::CALLS[command] == words.size && CLIENTS.key?(handle)
  die("what is", command, handle, *words) unless known
  client = command == "close" ? CLIENTS.delete(handle) : CLIENTS.fetch(handle)
  client.public_send(command, *words)
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_millisecond)

def answer(command, handle, *words)
  code = 0
  start = now
  begin
    value = result_of(command, handle, words)
  rescue Flagstore::Error => e
    code = e.code
    value = e.message
  end
  $stdout.syswrite(format("%d %.3f %s\n", code, now - start, value.to_s.gsub(/[\0-\x1f]/, " ")))
end

$stdin.set_encoding("UTF-8")
$stdin.each_line do |line|
  words = line.split
  die("not a command") if words.size < 2
  answer(*words)
end
CLIENTS.each_value(&:close)
