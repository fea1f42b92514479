# frozen_string_literal: true

module Flagstore
  # The flags in a hash of a Redis: a field is a key, its value is JSON.
  #
  #   Flagstore.redis("redis://localhost", read_mode: :watched) { |flags| flags.get_bool("dark-mode", false) }
  #
  # Only :watched connects now. Error::NotImplemented if the library was built without Redis (see Flagstore.feature?),
  # Error::Unavailable if the first flags of :watched do not come in time, Error::Backend with the words of a server
  # that refuses. No message has a password. A store that was opened before a fork serves parent and children.
  # @param url [String] redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE], rediss:// for TLS, or
  #   redis+unix:///PATH/OF/SOCKET[?db=DATABASE]
  # @param hash [String, nil] the name of the hash; nil: "flagstore"
  # @param username [String, nil] stands before that in the URL
  # @param password [String, nil] likewise
  # @param password_file [String, Pathname, nil] has the password, and is read at each connect
  # @param tls_ca_file [String, Pathname, nil] PEM, who is trusted; nil: whom the system trusts
  # @param tls_cert_file [String, Pathname, nil] PEM, what the server wants to see
  # @param tls_key_file [String, Pathname, nil] PEM, its key
  # @param tls_server_name [String, nil] whose certificate the server must have; nil: the host's
  # @param sentinel_master [String, nil] the name of the primary that the Sentinels know whom the URL names, separated
  #   by commas; user and password in the URL are then theirs
  # @param connections [Integer] how many there are for reads and changes at most; 0: 4
  # @param wait_replicas [Integer] a change that so many replicas have not confirmed is Error::NotDurable, though it is
  #   made
  # @param wait [Numeric, nil] within so many seconds; nil: 0.1
  # @param options those of Flagstore.remote
  # @yield [Store] which is closed when the block ends
  # @return [Store, Object] with a block what that returns
  def self.redis(url, hash: nil, username: nil, password: nil, password_file: nil, tls_ca_file: nil, tls_cert_file: nil,
                 tls_key_file: nil, tls_server_name: nil, sentinel_master: nil, connections: 0, wait_replicas: 0,
                 wait: nil, **options, &block)
    url = Redis.text(:url, url)
    given = C::RedisOptions.new
    given[:size] = C::RedisOptions.size
    given[:remote] = Backend.options(**options).to_ptr
    { hash: hash, username: username, password: password, tls_server_name: tls_server_name,
      sentinel_master: sentinel_master }.compact.each { |name, text| given[name] = Redis.text(name, text) }
    { password_file: password_file, tls_ca_file: tls_ca_file, tls_cert_file: tls_cert_file, tls_key_file: tls_key_file }
      .compact.each { |name, path| given[name] = Redis.text(name, File.path(path)) }
    given[:connections] = connections
    given[:wait_replicas] = wait_replicas
    given[:wait_ms] = wait ? Backend.milliseconds(:wait, wait) : 0
    opened(block) { Store.new(Redis.open(url, given)) }
  end

  # @api private
  module Redis
    # The first libraries of this ABI version did not have it.
    begin
      C.call :redis_open, [:pointer, C::RedisOptions.by_ref], :pointer
    rescue FFI::NotFoundError
      def C.redis_open(*)
        raise Error::NotImplemented, "flagstore_redis_open: the library, #{version}, does not have it yet"
      end
    end

    def self.open(url, options)
      C.checked { |slot| C::Owner.new(C.redis_open(url, options, slot.error)) }
    end

    # A terminated text for C. What is raised does not show it: it may be a password, or have one.
    def self.text(name, given)
      raise TypeError, "#{name} is not a String or Symbol" unless given.is_a?(Symbol) || String.try_convert(given)

      text = utf8(given)
      raise Error::InvalidArgument, "#{name} is not to be had in UTF-8" unless text
      raise Error::InvalidArgument, "#{name} contains a NUL" if text.include?("\0")

      FFI::MemoryPointer.from_string(text)
    end

    def self.utf8(given)
      C.utf8(given)
    rescue Error::InvalidArgument
      nil
    end
    private_class_method :utf8
  end
  private_constant :Redis
end
