# frozen_string_literal: true

module Flagstore
  # The version of the gem, and of the library that it was written for.
  VERSION = "0.2.0"
end
