//! include/flagstore.h is all that a C programmer reads: what it must say of everything in it.

use std::fs;
use std::path::Path;

/// A comment and the code from there to the next comment.
struct Item {
    comment: String,
    code: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is readable")
}

fn header() -> String {
    read("include/flagstore.h")
}

/// Everything behind the first definition of a constant.
fn items() -> Vec<Item> {
    let header = header();
    let (_, body) = header.split_once("extern \"C\" {\n#endif\n").expect("the declarations are for C++ too");
    let (body, _) = body.rsplit_once("\n#ifdef __cplusplus").expect("they end");
    let comments = body.split("/*").skip(1).map(|item| item.split_once("*/").expect("comments end"));
    comments.map(|(comment, code)| Item { comment: comment.trim().into(), code: code.into() }).collect()
}

/// The function that the code declares, if it does.
fn function(item: &Item) -> Option<&str> {
    let code = item.code.trim_start();
    let (before, _) =
        code.split_once('(').filter(|_| !code.starts_with("typedef") && !item.code.starts_with("\n  "))?;
    before.split(|character: char| !(character.is_alphanumeric() || character == '_')).next_back()
}

#[test]
fn every_function_constant_field_and_type_has_a_comment() {
    for Item { comment, code } in items() {
        // The end of a struct is no item of its own.
        let code_lines: Vec<_> = code.lines().filter(|line| !line.starts_with('}')).collect();
        let defines = code_lines.iter().filter(|line| line.starts_with("#define")).count();
        let declarations = code_lines.concat().matches(';').count();
        let begins = code.matches("typedef struct {").count();
        assert!(defines + declarations + begins <= 1, "one of these has no comment:{code}");
        if defines + declarations + begins == 0 {
            continue;
        }
        assert!(code.starts_with('\n') && !code.starts_with("\n\n"), "no comment stands right above{code}");
        assert!(comment.chars().any(char::is_alphanumeric), "an empty comment above{code}");
    }
}

#[test]
fn every_functions_comment_names_what_failure_returns() {
    let items = items();
    let functions: Vec<_> = items.iter().filter_map(|item| Some((function(item)?, item))).collect();
    assert!(functions.len() > 50, "{} functions", functions.len());
    for (name, item) in functions {
        let is_mark = |character: char| ".,;:()".contains(character);
        let words: Vec<_> = item.comment.split_whitespace().map(|word| word.trim_matches(is_mark)).collect();
        let failures = ["NULL", "false", "-1", "0", "`fallback`"];
        let named = failures.iter().any(|failure| words.contains(failure));
        assert!(named || words.join(" ").contains("cannot fail"), "what does {name} return on failure?");
    }
}

#[test]
fn every_owned_result_is_said_to_be_freed() {
    for item in items() {
        let code = item.code.trim_start();
        let is_borrowed = code.starts_with("const char *");
        let Some(name) = function(&item).filter(|name| code.contains(&format!("*{name}("))) else {
            continue;
        };
        let comment = item.comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = if is_borrowed {
            comment.contains("borrowed") || comment.contains("static")
        } else {
            comment.contains("flagstore_free")
        };
        // The twin of a function that says it.
        assert!(said || comment.starts_with("As flagstore_"), "whose is what {name} returns?");
    }
}

/// What a file of src/ffi says for C programmers stands in the header, or nowhere: in the `//!` text of a section that
/// is above it in the header, in other files there is none for them.
#[test]
fn what_a_section_says_stands_in_the_header() {
    let header = header();
    let build = read("build.rs");
    let (_, list) = build.split_once("const SECTIONS").expect("build.rs lists the sections");
    let (list, _) = list.split_once("];\n\n").expect("the list ends");
    let mut sections = 0;
    for files in list.lines().filter(|line| line.trim().starts_with("&[\"")) {
        let file = files.rsplit('"').nth(1).expect("a section has a file");
        let source = read(&format!("src/ffi/{file}.rs"));
        let text = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        for line in text.filter(|line| !line.is_empty()) {
            assert!(header.contains(line), "the header lacks what {file}.rs says: {line}");
        }
        sections += 1;
    }
    assert_eq!(sections, 14);
}

#[test]
fn it_is_easy_to_read() {
    for line in header().lines() {
        assert!(line.chars().count() <= 100, "longer than 100 columns: {line}");
        let without_urls = line.replace("://", "");
        assert!(!["/*", "*/"].contains(&line.trim()) && !without_urls.contains("//"), "a line for nothing: {line}");
        assert!(line.trim_end() == line, "white space at the end: {line}");
    }
}
