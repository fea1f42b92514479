# frozen_string_literal: true

require_relative "lib/flagstore/version"

Gem::Specification.new do |gem|
  gem.name = "flagstore"
  gem.version = Flagstore::VERSION
  gem.summary = "Feature flags in one JSON file that people can read"
  gem.description = "A binding of libflagstore, which is installed on its own: flags in memory or in one JSON file, " \
                    "shared by any number of threads and processes, in several languages."
  gem.authors = ["The flagstore authors"]
  gem.licenses = ["MIT", "Apache-2.0"]
  gem.required_ruby_version = ">= 3.1"
  gem.files = Dir.chdir(__dir__) { Dir["lib/flagstore.rb", "lib/flagstore/**/*.rb", "sig/**/*.rbs"] }
  gem.add_dependency "ffi", "~> 1.15"
  gem.metadata = { "rubygems_mfa_required" => "true" }
end
