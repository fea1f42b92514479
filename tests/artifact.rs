//! The built library and its header as linkers, loaders and compilers see them.

mod common;

use common::{command, installed, library, library_directory, root, soname, succeed};
use std::collections::BTreeSet;
use std::fs;

fn header() -> String {
    fs::read_to_string(root().join("include/flagstore.h")).expect("the header is there")
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = header();
    let code = header.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect::<String>();
    let words = code.split(|character: char| !(character.is_alphanumeric() || "_(".contains(character)));
    let calls = words.filter_map(|word| word.split_once('(').map(|(name, _)| name));
    calls.filter(|name| name.starts_with("flagstore_")).map(str::to_owned).collect()
}

fn tool(program: &str, arguments: &[&str]) -> String {
    let output = succeed(command(program).args(arguments).arg(library()));
    String::from_utf8(output.stdout).expect("tools print text")
}

#[test]
fn exports_are_exactly_the_functions_of_the_header() {
    if !installed("exports", &["nm"]) {
        return;
    }
    let symbols = tool("nm", &["-D", "--defined-only"]);
    let exported: BTreeSet<_> = symbols.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, declared());
    assert!(exported.len() > 25, "{exported:?}");
}

#[test]
fn the_loader_finds_the_library_by_its_soname_and_never_unloads_it() {
    if !installed("SONAME", &["readelf"]) {
        return;
    }
    let dynamic = tool("readelf", &["-d"]);
    assert!(dynamic.contains(&format!("Library soname: [{}]", soname())), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let known = ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.musl"];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
}

/// The library as `./install.sh build` makes it: FLAGSTORE_SHIPPED is its directory.
#[test]
fn what_is_shipped_names_no_path_of_its_builder() {
    let Some(directory) = std::env::var_os("FLAGSTORE_SHIPPED") else {
        assert!(std::env::var_os("FLAGSTORE_TESTS").is_none_or(|tests| tests != "all"), "FLAGSTORE_SHIPPED is not set");
        return;
    };
    let shipped = fs::read(std::path::Path::new(&directory).join("libflagstore.so")).expect("it has been built");
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
    for path in [root().to_str().expect("text"), &home, "/.cargo/", "/.rustup/"] {
        let found = shipped.windows(path.len()).any(|bytes| bytes == path.as_bytes());
        assert!(!found, "{path}");
    }
}

#[test]
fn calls_inside_the_library_cannot_be_intercepted() {
    if !installed("relocations", &["readelf"]) {
        return;
    }
    let relocations = tool("readelf", &["-r", "--wide"]);
    let open: Vec<_> = relocations.lines().filter(|line| line.contains(" flagstore_")).collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_header_compiles_without_a_warning_in_every_standard() {
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
    let languages: [(&str, &str, &[&str]); 2] = [
        ("cc", "c", &["c89", "c99", "c11", "c17", "c2x"]),
        ("c++", "c++", &["c++98", "c++11", "c++14", "c++17", "c++20"]),
    ];
    for (compiler, language, standards) in languages {
        if !installed("header", &[compiler]) {
            continue;
        }
        for standard in standards {
            let standard = format!("-std={standard}");
            succeed(
                command(compiler)
                    .args(strict)
                    .args(["-x", language, &standard])
                    .arg(root().join("include/flagstore.h")),
            );
        }
    }
}

#[test]
fn the_committed_header_is_current() {
    // build.rs rewrites the header when it differs from the source, so what git has must be what is there.
    if !installed("header drift", &["git"]) || !root().join(".git").exists() {
        return;
    }
    succeed(command("git").args(["diff", "--exit-code", "--", "include/flagstore.h"]).current_dir(root()));
}

#[test]
fn the_version_is_one() {
    let version = format!("#define FLAGSTORE_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(header().contains(&version));
    assert!(library_directory().join(soname()).exists());
}

/// `if let ... && ...` needs Rust 1.88, and no lint tells. The parser of the edition before does.
#[test]
fn no_syntax_is_newer_than_the_rust_version() {
    if !installed("syntax", &["rustfmt"]) {
        return;
    }
    let tests = fs::read_dir(root().join("tests")).expect("tests is there").map(|entry| entry.unwrap().path());
    let tests = tests.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    // Each with the modules that it names.
    let roots = ["build.rs", "src/lib.rs"].map(|path| root().join(path));
    for path in roots.into_iter().chain(tests) {
        succeed(command("rustfmt").args(["--edition", "2021", "--emit", "stdout", "--quiet"]).arg(path));
    }
}
