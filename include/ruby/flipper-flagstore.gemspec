# frozen_string_literal: true

require_relative "lib/flagstore/version"

Gem::Specification.new do |gem|
  gem.name = "flipper-flagstore"
  gem.version = Flagstore::VERSION
  gem.summary = "Flipper's features in a flagstore"
  gem.authors = ["The flagstore authors"]
  gem.licenses = ["MIT", "Apache-2.0"]
  gem.required_ruby_version = ">= 3.1"
  gem.files = Dir.chdir(__dir__) { Dir["lib/flipper-flagstore.rb", "lib/flipper/adapters/flagstore.rb"] }
  gem.add_dependency "flagstore", Flagstore::VERSION
  gem.add_dependency "flipper", ">= 0.25", "< 2"
  gem.metadata = { "rubygems_mfa_required" => "true" }
end
