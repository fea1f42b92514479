# frozen_string_literal: true

require "fileutils"
require "minitest/autorun"
require "tmpdir"
require_relative "contract"
require_relative "refusals"
require_relative "lifetimes"
require_relative "file_contract"
require_relative "forwarding"
require_relative "engine"
require_relative "redis_server"

# Makes the test classes for a binding (a module with the methods of flagstore.rb): each kind of store with its promises.
module Promises
  # A new kind of store is one more line.
  KINDS = {
    memory: ->(library, _directory) { library.memory },
    file: ->(library, directory) { library.file(File.join(directory, "flags.json")) },
    checked: ->(library, directory) { cached(library, directory, :checked) },
    watched: ->(library, directory) { cached(library, directory, :watched) },
    backend: ->(library, directory) { library.backend(Forwarding.new(directory)) },
    remote: ->(library, _directory) { library.remote(Complete.new, **Engine::PATIENT) },
    followed: ->(library, _directory) { library.remote(Complete.new, read_mode: :watched, **Engine::PATIENT) },
    **RedisServer.kinds
  }.freeze
  # Of what a parent and its children share.
  SHARED_KINDS = KINDS.slice(:memory, :file, :checked, :watched, :backend, *RedisServer.kinds.keys).freeze

  def self.cached(library, directory, mode)
    library.file(File.join(directory, "flags.json"), read_mode: mode, durability: :none)
  end

  def self.check(library)
    kinds_of(library).each { |kind, open| test_class(library, kind, open, Contract, Refusals) }
    test_class(library, :lifetimes, KINDS[:memory], Lifetimes) # every kind hands out the same objects
    test_class(library, :options, KINDS[:file], FileContract)
  end

  # A binding without callbacks that return something has no backends.
  def self.kinds_of(library)
    library.respond_to?(:backend) ? KINDS : KINDS.slice(:memory, :file, :checked, :watched)
  end

  def self.test_class(library, kind, open, *promises)
    Class.new(Minitest::Test) do
      include Fixture, *promises
      define_singleton_method(:name) { "#{library} #{kind}" }
      singleton_class.alias_method :to_s, :name # what the option -n looks at
      define_method(:library) { library }
      define_method(:open_store) { open.call(library, @directory) }
    end
  end

  # A fresh @store in a fresh @directory for every test, and what it means to be refused.
  module Fixture
    CODES = {
      INVALID_ARGUMENT: 1, INVALID_JSON: 2, CORRUPT: 3, IO: 4, LOCKED: 5, READ_ONLY: 6, NOT_IMPLEMENTED: 7,
      TYPE_MISMATCH: 8, CONFLICT: 9, BACKEND: 10, NOT_DURABLE: 11, UNAVAILABLE: 12, UNCERTAIN: 13,
      INTERNAL: 99
    }.freeze

    def setup
      @directory = Dir.mktmpdir("flagstore")
      @store = open_store
    end

    def teardown
      @store.close
      FileUtils.remove_entry(@directory)
    end

    def assert_refused(code, what = nil, errno: nil, &call)
      error = assert_raises(library::Error, what, &call)
      assert_equal ["FLAGSTORE_#{code}", CODES.fetch(code)], [error.name, error.code], "#{what}: #{error.message}"
      refute_empty error.message
      assert_predicate error.message, :valid_encoding?
      assert_equal errno::Errno, error.os_code, what if errno
      error
    end
  end
end
