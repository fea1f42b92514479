# frozen_string_literal: true

require_relative "promises"
require_relative "waiting"
require "json"
require "net/http"
require "socket"

# The shapes in which Ruby serves: a store opened before the workers are forked, threads in pools, at_exit; in Puma and
# Unicorn themselves.
module Serving
  include Waiting

  APP = <<~'RUBY'
    require "flagstore"
    FLAGS = Flagstore.file(ENV.fetch("FLAGS"), durability: :none, read_mode: :%<read_mode>s)
    FLAGS.watch { } # in the parent
    FLAGS["booted"] = Process.pid
    at_exit { FLAGS["ended #{Process.pid}"] = true }
    run(lambda do |env|
      name = "requests #{Process.pid}"
      count = FLAGS.modify(name) { |was| (was || 0) + 1 }
      sleep 0.001 # lets the pool's other threads in
      answer = { pid: Process.pid, count: count, booted: FLAGS.fetch("booted"), size: FLAGS.snapshot.size }
      [200, { "content-type" => "application/json" }, [JSON.generate(answer)]]
    end)
  RUBY

  CLIENTS = 6
  REQUESTS = 15

  def serve(server, configuration, read_mode)
    Dir.mktmpdir("flagstore") do |directory|
      write(directory, "config.ru", format(APP, read_mode: read_mode))
      port = free_port
      write(directory, "config.rb", format(configuration, port: port, directory: directory))
      flags = File.join(directory, "flags.json")
      environment = { "FLAGS" => flags, "RUBYLIB" => File.expand_path("../../include/ruby/lib", __dir__) }
      log = File.join(directory, "log")
      pid = spawn(environment, *server, chdir: directory, %i[out err] => log)
      begin
        eventually("#{server[0]} answers: #{File.read(log)}") { answers?(port) }
        yield port, Flagstore.file(flags)
        Process.kill(:TERM, pid)
        assert_includes [0, 15, nil], status(pid), "#{File.read(log)} nil: it hung"
        pid = nil
        @after&.call(Flagstore.file(flags))
      ensure
        pid && Process.kill(:KILL, pid) && Process.wait(pid)
      end
      refute_match(/\[BUG\]|Segmentation|double free/, File.read(log))
    end
  end

  def check(port, flags, at_exit: true)
    answers = Array.new(CLIENTS) { Thread.new { Array.new(REQUESTS) { answer(port) } } }.flat_map(&:value)
    by_worker = answers.group_by { |told| told["pid"] }
    by_worker.each do |pid, told|
      counts = told.map { |one| one["count"] }
      assert_equal counts.uniq.sort, counts.sort, "a count came twice"
      assert_operator flags["requests #{pid}"], :>=, counts.max
    end
    total = flags.select { |key, _| key.start_with?("requests ") }.sum { |_, count| count }
    assert_operator total, :>=, CLIENTS * REQUESTS
    assert_equal [flags["booted"]], answers.map { |one| one["booted"] }.uniq, "it was opened before the fork"
    return unless at_exit

    workers = by_worker.keys
    @after = ->(left) { assert(workers.all? { |pid| left["ended #{pid}"] }, left.to_h.to_s) }
  end

  def answers?(port)
    answer(port)
  rescue SystemCallError, EOFError, Net::ReadTimeout
    false
  end

  def answer(port) = JSON.parse(Net::HTTP.get(URI("http://127.0.0.1:#{port}/")))

  def write(directory, name, text) = File.write(File.join(directory, name), text)

  def free_port
    server = TCPServer.new("127.0.0.1", 0)
    server.local_address.ip_port
  ensure
    server.close
  end

  def need(program)
    return if ENV.fetch("PATH").split(":").any? { |directory| File.executable?(File.join(directory, program)) }

    flunk "#{program} is not installed" if ENV["FLAGSTORE_TESTS"] == "all"
    skip "#{program} is not installed"
  end
end

require_relative "../../include/ruby/lib/flagstore"

class ServersTest < Minitest::Test
  include Serving

  %i[fresh watched].each do |read_mode|
    define_method("test_puma_with_workers_and_threads_over_a_#{read_mode}_store") do
      need("puma")
      configuration = <<~'RUBY'
        bind "tcp://127.0.0.1:%<port>d"
        workers 2
        threads 5, 5
        preload_app!
        worker_shutdown_timeout 20
      RUBY
      serve(%w[puma -C config.rb], configuration, read_mode) { |port, flags| check(port, flags) }
    end
  end

  def test_puma_in_one_process
    need("puma")
    configuration = "bind \"tcp://127.0.0.1:%<port>d\"\nthreads 5, 5\n"
    serve(%w[puma -C config.rb], configuration, :checked) { |port, flags| check(port, flags) }
  end

  def test_unicorn_whose_workers_run_requests_in_their_main_thread
    need("unicorn")
    configuration = <<~'RUBY'
      listen "127.0.0.1:%<port>d"
      worker_processes 3
      preload_app true
      pid "%<directory>s/pid"
    RUBY
    serve(%w[unicorn -c config.rb], configuration, :checked) do |port, flags|
      check(port, flags, at_exit: false) # its workers leave by exit!
    end
  end

  # Sidekiq's: a pool of threads takes jobs, is told to be quiet, and what does not end is killed in the middle.
  def test_a_pool_of_threads_that_is_killed_loses_nothing_that_was_acknowledged
    Dir.mktmpdir("flagstore") do |directory|
      flags = Flagstore.file(File.join(directory, "flags.json"), durability: :none, read_mode: :watched)
      jobs = Queue.new
      300.times { |i| jobs << i }
      done = Queue.new
      pool = Array.new(8) do
        Thread.new do
          while (job = jobs.pop)
            Thread.handle_interrupt(Object => :never) do
              flags["job #{job}"] = true
              done << job
            end
          end
        end
      end
      eventually("some are done") { done.size > 50 }
      pool.each(&:kill)
      assert_ended pool
      acknowledged = Array.new(done.size) { done.pop }
      assert_equal acknowledged.sort, flags.keys.map { |key| key.delete_prefix("job ").to_i }.sort
    end
  end
end
