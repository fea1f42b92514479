# frozen_string_literal: true

module Flagstore
  # What every call that fails raises. Each code has a class of its own, so that one kind can be rescued:
  #
  #   rescue Flagstore::Error::Conflict    # or: rescue Flagstore::Error => e and e.code == Flagstore::Error::CONFLICT
  #
  # A backend in Ruby raises them too; of all but the message there are defaults.
  class Error < StandardError
    CODES = {
      INVALID_ARGUMENT: 1, INVALID_JSON: 2, CORRUPT: 3, IO: 4, LOCKED: 5, READ_ONLY: 6, NOT_IMPLEMENTED: 7,
      TYPE_MISMATCH: 8, CONFLICT: 9, BACKEND: 10, NOT_DURABLE: 11, UNAVAILABLE: 12, UNCERTAIN: 13, INTERNAL: 99
    }.freeze
    CODES.each { |name, code| const_set(name, code) } # Error::CONFLICT == 9

    # The code of this class.
    CODE = BACKEND

    # @return [Integer] one of CODES, or one that a later library has
    attr_reader :code
    # @return [String] its name in the header, such as "FLAGSTORE_CORRUPT"
    attr_reader :name
    # @return [Integer] the errno behind Error::Io, else 0
    attr_reader :os_code

    def initialize(message = nil, code = self.class::CODE, os_code = 0)
      super(message)
      @code = code
      @name = C.error_name(code).force_encoding(Encoding::UTF_8)
      @os_code = os_code
    end

    # Error::Conflict for CONFLICT, and so on.
    CLASSES = CODES.to_h do |name, code|
      kind = const_set(name.to_s.split("_").map(&:capitalize).join, Class.new(self))
      kind.const_set(:CODE, code)
      [code, kind]
    end.freeze
    private_constant :CLASSES

    # The store was closed; what IOError is to a closed file.
    class Closed < InvalidArgument
      def initialize(message = "closed store", ...) = super
    end

    # An error object of the library, which is freed.
    # @api private
    def self.take(pointer)
      code = C.error_code(pointer)
      message = C.error_message(pointer).force_encoding(Encoding::UTF_8)
      CLASSES.fetch(code, self).new(message, code, C.error_os_code(pointer))
    ensure
      C.free(pointer)
    end
  end
end
