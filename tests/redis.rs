//! Flags on Redis: on servers that the tests start, called as users would.

mod common;

use common::run_script;

#[test]
fn a_store_on_redis_keeps_the_contract_through_faults() {
    run_script("tests/redis/run.sh", &["redis-server", "redis-cli", "cc", "python3"]);
}

#[test]
fn bindings_open_stores_on_redis() {
    run_script("tests/redis/bindings.sh", &["redis-server", "cc", "c++", "go", "ruby", "python3"]);
}

#[test]
fn fleets_keep_their_flags_on_redis() {
    run_script("tests/redis/fleet.sh", &["redis-server", "redis-sentinel", "redis-cli", "cc", "openssl", "python3"]);
}

#[test]
fn mirrors_keep_a_file_equal_to_redis() {
    run_script("tests/redis/mirror.sh", &["redis-server", "redis-cli", "cc"]);
}
