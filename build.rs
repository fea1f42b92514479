//! Writes include/flagstore.h from src/ffi and gives the shared library its name.

use std::env;

fn main() {
    name_the_library();
    #[cfg(feature = "capi")]
    header::write();
}

/// The SONAME names the versions that are compatible: MAJOR, and for 0.x MAJOR.MINOR, as cargo-c has it.
fn name_the_library() {
    // Apple's linker and those of Windows know none of these arguments.
    if variable("CARGO_CFG_TARGET_FAMILY") != "unix" || variable("CARGO_CFG_TARGET_VENDOR") == "apple" {
        return;
    }
    let (major, minor) = (variable("CARGO_PKG_VERSION_MAJOR"), variable("CARGO_PKG_VERSION_MINOR"));
    let version = if major == "0" { format!("0.{minor}") } else { major };
    let arguments = [
        format!("-soname,libflagstore.so.{version}"),
        // Calls inside the library stay inside it, whatever the host exports. It exports functions alone, so this is the
        // same as -Bsymbolic-functions, which zig's linker does not know.
        "-Bsymbolic".into(),
        // Thread-local data and threads outlive a dlclose; the code must too.
        "-z,nodelete".into(),
    ];
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

#[cfg(feature = "capi")]
mod header {
    use super::variable;
    use std::fmt::Write;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The sections of the header, each with the files of src/ffi that it is made from. The last file's `//!` text,
    /// a title and what a C programmer has to know, stands above the section.
    const SECTIONS: [&[&str]; 14] = [
        &["library"],
        &["error"],
        &["log"],
        &["open"],
        &["store"],
        &["typed"],
        &["with_length"],
        &["snapshot"],
        &["batch"],
        &["change"],
        &["backend_table", "remote_options", "backend"],
        &["layered"],
        &["redis"],
        &["status"],
    ];

    pub fn write() {
        println!("cargo::rerun-if-changed=src/ffi");
        println!("cargo::rerun-if-changed=include/flagstore.h");
        let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
        let (header, path) = (generate(&root.join("src/ffi")), root.join("include/flagstore.h"));
        if fs::read_to_string(&path).is_ok_and(|current| current == header) {
            return;
        }
        if let Err(error) = fs::write(&path, &header) {
            println!("cargo::warning=include/flagstore.h is out of date and cannot be written: {error}");
        }
    }

    fn generate(directory: &Path) -> String {
        let mut header = format!("{}\n\n{}", include_str!("src/ffi/header.txt").trim_end(), beginning());
        for files in SECTIONS {
            let files: Vec<_> = files.iter().map(|name| directory.join(name).with_extension("rs")).collect();
            let _ = write!(header, "\n{}\n{}\n", heading(&files[files.len() - 1]), declarations(&files));
        }
        header + END
    }

    fn beginning() -> String {
        let number = |part: &str| variable(&format!("CARGO_PKG_VERSION_{part}"));
        format!(
            "#ifndef FLAGSTORE_H\n\
             #define FLAGSTORE_H\n\
             \n\
             #include <stdbool.h>\n\
             #include <stddef.h>\n\
             #include <stdint.h>\n\
             \n\
             #ifdef __cplusplus\n\
             extern \"C\" {{\n\
             #endif\n\
             \n\
             /* The version of this header, as text. */\n\
             #define FLAGSTORE_VERSION \"{}\"\n\
             /* The same as numbers: what changes the interface, */\n\
             #define FLAGSTORE_VERSION_MAJOR {}\n\
             /* what adds to it, */\n\
             #define FLAGSTORE_VERSION_MINOR {}\n\
             /* and what does neither. While MAJOR is 0, MINOR may change it too. */\n\
             #define FLAGSTORE_VERSION_PATCH {}\n",
            variable("CARGO_PKG_VERSION"),
            number("MAJOR"),
            number("MINOR"),
            number("PATCH"),
        )
    }

    const END: &str = "\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* FLAGSTORE_H */\n";

    /// The title and text above a section.
    fn heading(file: &Path) -> String {
        let source = fs::read_to_string(file).expect("a source file is readable");
        let lines: Vec<_> = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let (title, text) = lines.split_first().expect("a section has a title");
        let text: Vec<_> = text.iter().copied().skip_while(|line| line.is_empty()).collect();
        let title = format!("/* ---- {title} ---- */\n");
        if text.is_empty() { title } else { format!("{title}\n{}\n", comment("", &text)) }
    }

    /// Constants, types and functions of some files.
    fn declarations(files: &[PathBuf]) -> String {
        let config = cbindgen::Config {
            language: cbindgen::Language::C,
            style: cbindgen::Style::Type,
            no_includes: true,
            documentation_style: cbindgen::DocumentationStyle::C,
            line_length: 100,
            usize_is_size_t: true,
            ..Default::default()
        };
        let builder = cbindgen::Builder::new().with_config(config);
        let builder = files.iter().fold(builder, cbindgen::Builder::with_src);
        let mut text = Vec::new();
        builder.generate().expect("the C interface is readable").write(&mut text);
        tight_comments(String::from_utf8(text).expect("the C interface is text").trim())
    }

    /// cbindgen gives each comment a line for its beginning and one for its end; here they stand at the text.
    fn tight_comments(text: &str) -> String {
        let mut lines = text.lines();
        let mut tight = String::new();
        while let Some(line) = lines.next() {
            if line.trim() == "/*" {
                let inside = lines.by_ref().take_while(|line| line.trim() != "*/");
                let inside: Vec<_> = inside.map(str::trim).collect();
                tight += &comment(&line[..line.len() - 2], &inside);
            } else {
                tight += line;
            }
            tight.push('\n');
        }
        tight.truncate(tight.trim_end().len());
        tight
    }

    fn comment(indent: &str, lines: &[&str]) -> String {
        let between = format!("\n{indent}   ");
        let text = lines.join(&between).replace(&format!("{between}\n"), "\n\n");
        format!("{indent}/* {text} */")
    }
}
