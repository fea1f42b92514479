# frozen_string_literal: true

require "set"
require "flipper"
require "flagstore"

module Flipper
  module Adapters
    # Flipper's features in a flagstore: each is one flag, an object of what is enabled, which people can read.
    #
    #   Flipper.new(Flipper::Adapters::Flagstore.new(Flagstore.file("flags.json")))
    #
    #   { "search": { "actors": ["User;22"], "groups": [], "percentage_of_actors": 25 } }
    #
    # Any number of threads and processes may change a feature at once: no change is lost. get_multi and get_all read
    # all features as of one moment. Errors of the store come through as Flagstore::Error.
    class Flagstore
      include ::Flipper::Adapter

      # @return [Symbol] what Flipper calls the adapter
      attr_reader :name
      # @return [Flagstore::Store]
      attr_reader :store
      # @return [String]
      attr_reader :prefix

      # @param store [Flagstore::Store] of any kind; with read_mode :checked or :watched a read costs no parsing
      # @param prefix [String] of the flags that are features, where the store has others too, such as "flipper."
      def initialize(store, prefix: "")
        @name = :flagstore
        @store = store
        @prefix = prefix
      end

      def features = @store.snapshot.each_json(@prefix).to_set { |key, _| key.delete_prefix(@prefix) }

      def add(feature)
        @store.key?(flag(feature)) || change(feature) { |gates| gates }
      end

      def remove(feature)
        @store.delete(flag(feature))
        true
      end

      def clear(feature)
        change(feature) { {} }
      end

      def get(feature) = gate_values(feature, @store[flag(feature)])

      def get_multi(features)
        now = @store.snapshot
        features.to_h { |feature| [feature.key, gate_values(feature, now[flag(feature)])] }
      end

      def get_all(**)
        @store.snapshot.each(@prefix).to_h do |flag, value|
          feature = Feature.new(flag.delete_prefix(@prefix), self)
          [feature.key, gate_values(feature, value)]
        end
      end

      def enable(feature, gate, thing)
        change(feature) do |gates|
          case gate.data_type
          when :boolean then { gate.key.to_s => thing.value }
          when :integer, :number, :json then gates.merge(gate.key.to_s => thing.value)
          when :set then gates.merge(gate.key.to_s => (members(gates, gate) | [thing.value.to_s]).sort)
          else unsupported(gate)
          end
        end
      end

      def disable(feature, gate, thing)
        change(feature) do |gates|
          case gate.data_type
          when :boolean then {}
          when :integer, :number then gates.merge(gate.key.to_s => thing.value)
          when :set then gates.merge(gate.key.to_s => members(gates, gate) - [thing.value.to_s])
          when :json then gates.except(gate.key.to_s)
          else unsupported(gate)
          end
        end
      end

      def inspect = "#<#{self.class}:#{object_id} name=#{@name.inspect} store=#{@store.inspect} prefix=#{@prefix.inspect}>"

      private

      def flag(feature) = "#{@prefix}#{feature.key}"

      def change(feature)
        @store.modify(flag(feature)) { |gates| yield(gates.is_a?(Hash) ? gates : {}) }
        true
      end

      def members(gates, gate) = Array(gates[gate.key.to_s]).map(&:to_s)

      # What Flipper wants: texts, sets and objects. A flag that is not an object, which somebody wrote by hand, is off
      # unless it is true.
      def gate_values(feature, value)
        gates = value.is_a?(Hash) ? value : { "boolean" => value == true || nil }
        feature.gates.to_h do |gate|
          found = gates[gate.key.to_s]
          [gate.key, case gate.data_type
                     when :boolean, :integer, :number then found&.to_s
                     when :set then members(gates, gate).to_set
                     when :json then found
                     else unsupported(gate)
                     end]
        end
      end

      def unsupported(gate) = raise("#{gate} is not supported by this adapter yet")
    end
  end
end
