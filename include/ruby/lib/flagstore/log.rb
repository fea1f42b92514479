# frozen_string_literal: true

module Flagstore
  # Gives every log message of this level or a graver one to the block, on the thread that made the call; no block: off.
  # Timeout and Thread#kill cannot interrupt the block, so it should be quick. At the end of the program the log goes off.
  #
  #   Flagstore.log(:warn) { |level, message| logger.public_send(level, message) }
  # @param level [Symbol] one of LOG_LEVELS
  # @return [nil]
  def self.log(level = :warn, &block)
    Log.to(LOG_LEVELS.fetch(level), block)
  end

  # Where the library's log comes to Ruby.
  # @api private
  module Log
    def self.to(level, block)
      @block = block
      C.set_log(block ? CALL : nil, nil, level)
    end

    # A change that waits on is no failure. Only what this thread hears is left out.
    def self.without_locked
      quiet = Thread.current[:flagstore_quiet]
      Thread.current[:flagstore_quiet] = true
      yield
    ensure
      Thread.current[:flagstore_quiet] = quiet
    end

    def self.heard(level, message)
      return if Thread.current[:flagstore_quiet] && message.match?(/: locked by another .* for more than \d+ ms\z/)

      how, error = C.contained { @block&.call(LOG_LEVELS.key(level), message.force_encoding(Encoding::UTF_8)) }
      warn "flagstore: the log block failed: #{error.full_message}" if how == :raised && error.is_a?(StandardError)
    end

    # One for good, whatever the block: a call in another thread may still use it when the block is replaced.
    CALL = FFI::Function.new(:void, %i[pointer int32 string]) do |_, level, message|
      C.contained { heard(level, message) }
    end
    at_exit { C.set_log(nil, nil, 0) } # before Ruby takes CALL away
  end
  private_constant :Log
end
