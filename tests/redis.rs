//! Flags on Redis: on servers that the tests start, called as users would.

mod common;

use common::{command, installed, root, run_script, succeed};

fn run_python(script: &str, programs: &[&str]) {
    if installed(script, &[programs, &["python3"]].concat()) {
        succeed(command("python3").arg(root().join(script)));
    }
}

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
    run_python("tests/redis/fleet.py", &["redis-server", "redis-sentinel", "redis-cli", "cc", "openssl"]);
}

#[test]
fn counters_are_right_after_all_faults_at_once() {
    run_python("tests/redis/soak.py", &["redis-server", "redis-cli", "cc", "go", "ruby"]);
}

#[test]
fn mirrors_keep_a_file_equal_to_redis() {
    run_script("tests/redis/mirror.sh", &["redis-server", "redis-cli", "cc"]);
}
