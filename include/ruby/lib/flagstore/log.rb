# frozen_string_literal: true

module Flagstore
  # Gives every log message of this level or a graver one to the block, on the thread that made the call; no block: off.
  # What the block raises is written to standard error, and the call goes on; but a Timeout, or throw, that leaves it is
  # an error of the call. Thread#kill waits for the block. At the end of the program the log goes off.
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

      message = message.force_encoding(Encoding::UTF_8)
      how, error = C.contained { C.outside { @block&.call(LOG_LEVELS.key(level), message) } }
      error = Error.new("the log block was left by throw, break or Thread.exit, or by Timeout") if how == :left
      if how == :left || (defined?(Timeout::Error) && error.is_a?(Timeout::Error))
        Thread.current.raise(error) # when the call has come back: it may be meant for the caller
      elsif how == :raised && error.is_a?(StandardError)
        warn "flagstore: the log block failed: #{error.full_message}"
      end
    end

    # One for good, whatever the block: a call in another thread may still use it when the block is replaced.
    CALL = FFI::Function.new(:void, %i[pointer int32 string]) do |_, level, message|
      C.contained { heard(level, message) }
    end
    at_exit { C.set_log(nil, nil, 0) } # before Ruby takes CALL away
  end
  private_constant :Log
end
