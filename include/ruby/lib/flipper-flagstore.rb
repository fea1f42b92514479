# frozen_string_literal: true

require "flipper/adapters/flagstore"

# As other adapters do: the one that Flipper has unless it is told otherwise.
Flipper.configure do |config|
  config.adapter do
    path = ENV.fetch("FLIPPER_FLAGSTORE_PATH", "flipper.json")
    Flipper::Adapters::Flagstore.new(Flagstore.file(path, read_mode: :checked))
  end
end
