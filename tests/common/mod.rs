//! What the tests that call the built library from other languages share.
#![allow(dead_code)]

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The library that cargo built for this test run.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.parent().expect("a test stands in a directory").join("libflagstore.so")
}

/// A directory with the library under both of its names, as an installation has it.
pub fn library_directory() -> PathBuf {
    let directory = library().parent().expect("it stands in a directory").join("callers");
    fs::create_dir_all(&directory).expect("the build directory is writable");
    for name in ["libflagstore.so", &soname()] {
        match std::os::unix::fs::symlink(library(), directory.join(name)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => result.expect("the build directory takes links"),
        }
    }
    directory
}

/// MAJOR, and for 0.x MAJOR.MINOR: the rule that build.rs has from cargo-c.
pub fn soname() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    if major == "0" { format!("libflagstore.so.0.{minor}") } else { format!("libflagstore.so.{major}") }
}

/// A command that finds the library and the headers.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env("FLAGSTORE_LIB_DIR", library_directory())
        .env("FLAGSTORE_INCLUDE_DIR", root().join("include"))
        .env("LD_LIBRARY_PATH", library_directory())
        .env_remove("FLAGSTORE_LOG")
        .env_remove("FLAGSTORE_FILE");
    command
}

/// Runs to the end; what it printed is shown if it fails.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// Whether all the programs are installed. What is skipped for want of one is said, past the test runner's capture;
/// with FLAGSTORE_TESTS=all it is a failure.
pub fn installed(test: &str, programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(!all_wanted(), "{test} needs {missing:?}");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: not installed: {missing:?} (tests/run.sh installs them)");
    false
}

pub fn all_wanted() -> bool {
    std::env::var("FLAGSTORE_TESTS").is_ok_and(|value| value == "all")
}

/// A script that people can run too, if the programs that it needs are installed.
pub fn run_script(script: &str, programs: &[&str]) {
    if installed(script, programs) {
        succeed(command("bash").arg(root().join(script)));
    }
}

/// Compiles a C program against the header and the library.
pub fn compile(compiler: &str, source: &Path, output: &Path, arguments: &[&str]) {
    let directory = library_directory();
    succeed(
        command(compiler)
            .args(arguments)
            .arg("-I")
            .arg(root().join("include"))
            .args(["-Wall", "-Wextra", "-Werror", "-o"])
            .arg(output)
            .arg(source)
            .arg("-L")
            .arg(&directory)
            .arg(format!("-Wl,-rpath,{}", directory.display()))
            .args(["-lflagstore", "-lpthread", "-lm"]),
    );
}
