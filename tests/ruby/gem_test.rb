# frozen_string_literal: true

require "minitest/autorun"
require "open3"
require "rbconfig"
require "tmpdir"

# The gems as they are shipped: built, installed and used without the checkout; their types are those of the code.
class GemTest < Minitest::Test
  ROOT = File.expand_path("../../include/ruby", __dir__)

  PROGRAM = <<~'RUBY'
    require "flagstore"
    raise $LOADED_FEATURES.grep(/flagstore/).inspect unless $LOADED_FEATURES.grep(/flagstore/).all? { |f| f.start_with?(ENV["GEM_HOME"]) }
    raise "another version" unless Gem.loaded_specs["flagstore"].version.to_s == Flagstore.version
    Flagstore.open("flags.json") { |flags| flags.update("on" => true).watch { }.close }
    print File.read("flags.json")
  RUBY

  FLIPPER = <<~'RUBY'
    require "flipper-flagstore"
    Flipper.enable(:search)
    print File.read("flipper.json")
  RUBY

  def test_the_gems_can_be_built_installed_and_used
    Dir.mktmpdir do |home|
      gems = %w[flagstore flipper-flagstore].map { |name| build(name, home) }
      run_ruby(home, "-S", "gem", "install", "--local", "--no-document", gems.first)
      assert_equal "{\n  \"on\": true\n}\n", run_ruby(home, "-e", PROGRAM)
      skip "flipper is not installed" unless flipper?

      run_ruby(home, "-S", "gem", "install", "--local", "--no-document", gems.last)
      assert_equal "{\n  \"search\": {\n    \"boolean\": true\n  }\n}\n", run_ruby(home, "-e", FLIPPER)
    end
  end

  # The environment variable alone is enough, as it is for the other languages.
  def test_the_library_is_found_by_its_directory
    Dir.mktmpdir do |home|
      load = ["-I", File.join(ROOT, "lib"), "-rflagstore", "-e", "print Flagstore.version"]
      assert_equal Gem::Specification.load(File.join(ROOT, "flagstore.gemspec")).version.to_s, run_ruby(home, *load)
      output, status = Open3.capture2e({ "FLAGSTORE_LIB_DIR" => home }, RbConfig.ruby, *load)
      refute_predicate status, :success?
      assert_match(/LoadError/, output)
    end
  end

  def test_every_file_of_the_binding_is_in_a_gem
    specs = Dir[File.join(ROOT, "*.gemspec")].map { |file| Gem::Specification.load(file) }
    assert_equal Dir.chdir(ROOT) { Dir["{lib,sig}/**/*.*"].sort }, specs.flat_map(&:files).sort
  end

  private

  def build(name, home)
    file = File.join(home, "#{name}.gem")
    _, complaints, status = Open3.capture3(RbConfig.ruby, "-S", "gem", "build", "#{name}.gemspec", "-o", file, chdir: ROOT)
    assert_predicate status, :success?, complaints
    file
  end

  # In a directory of its own, with what is installed and nothing of the checkout.
  def run_ruby(home, *arguments)
    environment = { "GEM_HOME" => home, "GEM_PATH" => [home, *Gem.path].join(":"), "RUBYOPT" => nil, "RUBYLIB" => nil,
                    "LD_LIBRARY_PATH" => nil, "FLAGSTORE_LIB_DIR" => ENV.fetch("FLAGSTORE_LIB_DIR") }
    output, complaints, status = Open3.capture3(environment, RbConfig.ruby, *arguments, chdir: home)
    assert_predicate status, :success?, complaints
    output
  end

  def flipper?
    Gem::Specification.find_by_name("flipper")
  rescue Gem::MissingSpecError
    false
  end
end

# sig/flagstore.rbs says what there is, and what it takes and returns.
class TypesTest < Minitest::Test
  SIG = File.join(GemTest::ROOT, "sig")

  def setup
    require "rbs"
  rescue LoadError
    skip "rbs is not installed"
  end

  def test_the_types_are_valid
    _, complaints, status = Open3.capture3(RbConfig.ruby, Gem.bin_path("rbs", "rbs"), "-I", SIG, "validate", "--silent")
    assert_predicate status, :success?, complaints
  end

  def test_every_public_method_has_its_type_and_no_other_has
    require_relative "../../include/ruby/lib/flagstore"
    loader = RBS::EnvironmentLoader.new
    loader.add(path: Pathname(SIG))
    types = RBS::DefinitionBuilder.new(env: RBS::Environment.from_loader(loader).resolve_type_names)
    [Flagstore::Store, Flagstore::Snapshot, Flagstore::Batch, Flagstore::Watch, Flagstore::Error].each do |klass|
      name = RBS::TypeName.new(name: klass.name.split("::").last.to_sym, namespace: RBS::Namespace.parse("::Flagstore"))
      typed = types.build_instance(name).methods.select { |_, method| method.defined_in == name && method.public? }.keys
      assert_equal (klass.public_instance_methods(false) | [:initialize]).sort, (typed | [:initialize]).sort, klass
    end
    name = RBS::TypeName.new(name: :Flagstore, namespace: RBS::Namespace.root)
    typed = types.build_singleton(name).methods.select { |_, method| method.defined_in == name }.keys
    assert_equal Flagstore.singleton_methods(false).sort, typed.sort
  end

  # rbs wraps every method and compares what goes in and comes out.
  def test_the_calls_keep_to_their_types
    environment = { "RBS_TEST_TARGET" => "Flagstore::*", "RBS_TEST_OPT" => "-I #{SIG}", "RBS_TEST_RAISE" => "true",
                    "RBS_TEST_LOGLEVEL" => "error" }
    %w[hash_test.rb changes_test.rb].each do |program|
      output, status = Open3.capture2e(environment, RbConfig.ruby, "-r", File.join(GemTest::ROOT, "lib/flagstore"), "-r",
                                       "rbs/test/setup", program, "-n", "/memory|BlockForm/", chdir: __dir__)
      assert_predicate status, :success?, output
    end
  end
end
