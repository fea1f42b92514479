# frozen_string_literal: true

require "open3"
require "securerandom"
require_relative "engine"

# The Redis that tests may use: that of tests/redis/bindings.sh, whose URL is FLAGSTORE_REDIS. Without the feature in
# the library there is nothing to test on one; with it a server that is missing is a skip.
module RedisServer
  URL = ENV.fetch("FLAGSTORE_REDIS", "")

  def self.kinds
    return {} if URL.empty?

    { redis: :fresh, redis_checked: :checked, redis_watched: :watched }
      .transform_values { |mode| ->(library, _directory) { open(library, read_mode: mode) } }
  end

  def self.new_hash = "ruby:#{SecureRandom.hex}"

  def self.open(library, hash: new_hash, **options)
    library.redis(URL, hash: hash, **Engine::PATIENT, **options)
  end

  # What redis-cli says.
  def self.cli(*words)
    said, status = Open3.capture2e("redis-cli", "-u", URL, *words)
    raise "#{words}: #{said}" if !status.success? || said.start_with?("ERR")

    said.chomp
  end

  # The URL with these instead of what it has.
  def self.with_user(user, password) = URL.sub(%r{//(.*@)?}, "//#{user}:#{password}@")
end
