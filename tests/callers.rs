//! Callers of the library in C, C++, Go, Ruby, Python and Rust: compiled and run as their users would.

mod common;

use common::{command, compile, installed, root, run_script, succeed};
use std::fs;
use std::path::PathBuf;

/// The C programs whose first line asks for this way of being run: `/* run: plain valgrind sanitizers */`.
fn c_programs(way: &str) -> Vec<PathBuf> {
    let sources = fs::read_dir(root().join("tests/c")).expect("tests/c is there").map(|entry| entry.unwrap().path());
    let wants = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source is readable");
        let ways = text.lines().next().and_then(|line| line.strip_prefix("/* run:")).unwrap_or("");
        path.extension().is_some_and(|extension| extension == "c") && ways.split_whitespace().any(|word| word == way)
    };
    let programs: Vec<_> = sources.filter(wants).collect();
    assert!(!programs.is_empty(), "no C program asks to be run {way}");
    programs
}

fn run_c(way: &str, flags: &[&str], runner: &[&str]) {
    let built = tempfile::tempdir().expect("a temporary directory");
    for source in c_programs(way) {
        let program = built.path().join(source.file_stem().expect("a source has a name"));
        compile("cc", &source, &program, &[&["-std=c99", "-D_GNU_SOURCE", "-g"], flags].concat());
        match runner {
            [] => succeed(&mut command(&program)),
            [tool, arguments @ ..] => succeed(command(tool).args(arguments).arg(&program)),
        };
    }
}

#[test]
fn c_programs_keep_the_contract() {
    if installed("C", &["cc"]) {
        run_c("plain", &[], &[]);
    }
}

/// Whoever looks at the file at every read sees what whoever reads it sees.
#[test]
fn c_programs_keep_the_contract_with_checked_reads() {
    if installed("C", &["cc"]) {
        run_c("checked", &["-DREAD_MODE=FLAGSTORE_READ_CHECKED"], &[]);
    }
}

#[test]
fn c_programs_are_clean_under_valgrind() {
    if installed("C under valgrind", &["cc", "valgrind"]) {
        // valgrind runs one thread at a time; unless it is fair, one that never waits can keep the others out for minutes.
        let checks = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--trace-children=yes"];
        run_c(
            "valgrind",
            &[],
            &[&checks[..], &["--errors-for-leak-kinds=definite,possible", "--fair-sched=yes"]].concat(),
        );
    }
}

#[test]
fn c_programs_are_clean_with_sanitizers_in_the_host() {
    if installed("C with sanitizers", &["cc"]) {
        run_c("sanitizers", &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], &[]);
    }
}

// The other languages bring a script each. The longest begin first: tests run in the order of their names.
#[test]
fn cpp_keeps_the_contract() {
    run_script("tests/cpp/run.sh", &["c++"]);
}

#[test]
fn a_go_program_keeps_the_contract() {
    run_script("tests/go/run.sh", &["go", "cc"]);
}

#[test]
fn a_ruby_program_keeps_the_contract() {
    run_script("tests/ruby/run.sh", &["ruby"]);
}

#[test]
fn a_python_program_keeps_the_contract() {
    run_script("tests/python/run.sh", &["python3"]);
}

#[test]
fn a_rust_program_brings_its_own_backend() {
    run_script("tests/rust/run.sh", &["cargo"]);
}

#[test]
fn the_documents_are_true() {
    run_script("tests/docs.sh", &["cc", "c++"]);
}

#[test]
fn flagctl_does_what_its_help_says() {
    run_script("tests/flagctl.sh", &["cc"]);
}

#[test]
fn what_is_installed_is_found_and_works() {
    run_script("tests/install/run.sh", &["cc", "c++", "pkg-config", "readelf"]);
}

#[test]
fn a_store_in_postgresql_keeps_the_contract() {
    run_script("tests/postgres/run.sh", &["cc", "pg_config"]);
}

#[test]
fn the_examples_run_where_it_is_not_as_usual() {
    run_script("tests/examples.sh", &["cc"]);
}

#[test]
fn the_binary_interface_is_as_listed() {
    run_script("tests/abi/run.sh", &["cc", "nm", "python3"]);
}
