//! Writes include/flagstore.h from src/ffi and gives the shared library its name.

use std::{env, fs, path::PathBuf};

/// The files of src/ffi that C sees, in the header's order.
const SECTIONS: [&str; 11] =
    ["library", "error", "log", "open", "store", "typed", "with_length", "snapshot", "batch", "change", "backend"];

fn main() {
    println!("cargo::rerun-if-changed=src/ffi");
    println!("cargo::rerun-if-changed=include/flagstore.h");
    name_the_library();
    write_header();
}

/// The SONAME names the versions that are compatible: MAJOR, and for 0.x MAJOR.MINOR, as cargo-c has it.
fn name_the_library() {
    let (major, minor) = (variable("CARGO_PKG_VERSION_MAJOR"), variable("CARGO_PKG_VERSION_MINOR"));
    let version = if major == "0" { format!("0.{minor}") } else { major };
    let arguments = [
        format!("-soname,libflagstore.so.{version}"),
        // Calls inside the library stay inside it, whatever the host exports.
        "-Bsymbolic-functions".into(),
        // Thread-local data and threads outlive a dlclose; the code must too.
        "-z,nodelete".into(),
    ];
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
    }
}

fn write_header() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let mut builder = cbindgen::Builder::new().with_config(config());
    for section in SECTIONS {
        builder = builder.with_src(root.join("src/ffi").join(section).with_extension("rs"));
    }
    let mut header = Vec::new();
    builder.generate().expect("the C interface is readable").write(&mut header);
    let path = root.join("include/flagstore.h");
    if fs::read(&path).ok().as_deref() != Some(&header) {
        if let Err(error) = fs::write(&path, &header) {
            println!("cargo::warning=include/flagstore.h is out of date and cannot be written: {error}");
        }
    }
}

fn config() -> cbindgen::Config {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Type,
        cpp_compat: true,
        include_guard: Some("FLAGSTORE_H".into()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(String::from).to_vec(),
        header: Some(include_str!("src/ffi/header.txt").trim_end().into()),
        after_includes: Some(versions()),
        documentation_style: cbindgen::DocumentationStyle::C,
        line_length: 100,
        usize_is_size_t: true,
        ..Default::default()
    };
    config.function.args = cbindgen::Layout::Auto;
    config
}

fn versions() -> String {
    let number = |part: &str| variable(&format!("CARGO_PKG_VERSION_{part}"));
    format!(
        "\n/* The version of this header. */\n\
         #define FLAGSTORE_VERSION \"{}\"\n\
         #define FLAGSTORE_VERSION_MAJOR {}\n\
         #define FLAGSTORE_VERSION_MINOR {}\n\
         #define FLAGSTORE_VERSION_PATCH {}",
        variable("CARGO_PKG_VERSION"),
        number("MAJOR"),
        number("MINOR"),
        number("PATCH"),
    )
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
