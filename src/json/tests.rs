//! The limits and boundaries that callers from outside reach only with files of their size.

use super::*;

fn too_large(json: &str, limit: usize) -> bool {
    compact(json, limit) == Err(ParseError::TooLarge)
}

#[test]
fn a_result_may_be_as_long_as_the_limit() {
    for json in ["true", "\"text\"", "[1,2]", "{\"a\":{},\"b\":\"\\u001f\"}", "\"\u{1f600}\"", "\"\\ud83d\""] {
        assert_eq!(compact(json, json.len()).as_deref(), Ok(json));
        assert!(too_large(json, json.len() - 1), "{json}");
    }
    assert_eq!(compact(" [ 1 , \"\\u0041\" ] ", 7).as_deref(), Ok("[1,\"A\"]"));
    // The same where room is made step by step.
    let mut writer = Writer::new(Style::File, 20);
    assert!((0..2).all(|_| writer.raw("0123456789").is_ok()));
    assert_eq!(writer.raw("0"), Err(ParseError::TooLarge));
    assert_eq!(writer.len(), 20);
}

#[test]
fn sorting_takes_no_more_than_three_quarters_of_the_limit() {
    // 12 bytes for the object, 4 for each member.
    let mut members: Vec<_> = (0..50).rev().map(|key| format!("\"{key:04}\":0")).collect();
    let object = format!("{{{}}}", members.join(","));
    let order = |object, room| member_order::MemberOrder::of(&mut Scanner::at(object, 0), false, room).map(drop);
    assert_eq!(order(&object, 12 + 50 * 4), Ok(()));
    assert_eq!(order(&object, 12 + 50 * 4 - 1), Err(ParseError::TooLarge));
    // The search takes as much for members that turn out to be in order.
    members.reverse();
    let sorted = format!("{{{}}}", members.join(","));
    assert_eq!(order(&sorted, 50 * 4), Ok(()));
    assert_eq!(order(&sorted, 50 * 4 - 1), Err(ParseError::TooLarge));
    // 60 objects of two members take 1200 bytes, and the open members of the last one 8.
    let small = format!("[{}]", vec!["{\"b\":0,\"a\":0}"; 60].join(","));
    assert!(too_large(&small, 1609));
    assert!(compact(&small, 1610).is_ok());
}

#[test]
fn members_of_one_key_are_the_last_of_them_at_every_level() {
    let cases = [
        ("{\"a\":1,\"a\":2}", "{\"a\":2}"),
        ("{\"a\":1,\"a\":2,\"a\":3}", "{\"a\":3}"),
        ("{\"b\":{\"d\":0,\"c\":1},\"a\":{\"d\":2,\"c\":3}}", "{\"a\":{\"c\":3,\"d\":2},\"b\":{\"c\":1,\"d\":0}}"),
        ("{\"a\":{\"d\":0,\"c\":1},\"b\":{\"d\":2,\"c\":3}}", "{\"a\":{\"c\":1,\"d\":0},\"b\":{\"c\":3,\"d\":2}}"),
        ("[{\"b\":1,\"a\":2},{\"c\":3},{\"b\":4,\"a\":5},{}]", "[{\"a\":2,\"b\":1},{\"c\":3},{\"a\":5,\"b\":4},{}]"),
        ("{\"a\":{\"z\":1,\"y\":[{\"b\":1,\"a\":1}]},\"a\":[{\"b\":2,\"a\":2}]}", "{\"a\":[{\"a\":2,\"b\":2}]}"),
        ("{ \"b\" : 1 , \"a\" : [ ] , \"c\" : { } } ", "{\"a\":[],\"b\":1,\"c\":{}}"),
        ("{\"b\":{\"z\":1},\"a\":1,\"b\":{\"y\":{\"q\":1,\"p\":2}}}", "{\"a\":1,\"b\":{\"y\":{\"p\":2,\"q\":1}}}"),
    ];
    for (json, expected) in cases {
        assert_eq!(compact(json, 1000).as_deref(), Ok(expected), "{json}");
    }
}

#[test]
fn keys_are_in_the_order_of_their_code_points() {
    // As they stand in the text, so that each spelling meets each other.
    let keys = [
        "",
        "\\u0000",
        "\\u001f",
        " ",
        "!",
        "\\\"",
        "#",
        "a",
        "a ",
        "a!",
        "a\\\"",
        "\\u0061#",
        "aa",
        "\\u0061b",
        "b",
        "\\\\",
        "\\u007f",
        "é",
        "\\u00ea",
        "\u{d7ff}",
        "\\ud800",
        "\\ud83d",
        "\\ud83d\\u0000",
        "\\uD83Da",
        "\\ud83d\\ud83d",
        "\\ud83d\\udbff\\udfff",
        "\\udc00",
        "\\udfff",
        "\u{e000}",
        "\\uffff",
        "\u{10000}",
        "\\ud83d\\ude00",
        "😀a",
        "\u{10ffff}",
    ];
    let mut keys: Vec<&str> = keys.to_vec();
    keys.sort_by_key(|key| string::code_points(key).collect::<Vec<_>>());
    for (left, left_key) in keys.iter().enumerate() {
        for (right, right_key) in keys.iter().enumerate() {
            let ends = |key: &str, end: &str| format!("{key}{end}");
            assert_eq!(
                string::compare(&ends(left_key, "\":1"), &ends(right_key, "\":{}")),
                left.cmp(&right),
                "{left_key} {right_key}"
            );
            let (left_text, right_text) = (unescape(left_key).unwrap(), unescape(right_key).unwrap());
            if let (Some(left_text), Some(right_text)) = (left_text, right_text) {
                assert_eq!(left_text.cmp(&right_text), left.cmp(&right), "{left_key} {right_key}");
                assert_eq!(compare_to(left_key, &right_text), left.cmp(&right), "{left_key} {right_key}");
            }
        }
    }
}

#[test]
fn a_lone_surrogate_is_found_where_its_escape_begins() {
    let cases = [
        ("", None),
        ("text \\n\\u0041 é😀", None),
        ("\\ud83d\\ude00", None),
        ("\\\\ud83d", None),
        ("\\ud83d", Some(0)),
        ("ab\\udc00", Some(2)),
        ("é\\n\\uDFFF\\ud83d\\ude00", Some(4)),
        ("\\ud83d\\ude00\\ude00", Some(12)),
        ("\\ud83d\\ud83d\\ude00", Some(0)),
        ("\\ud83d\\u0041", Some(0)),
        ("\\ud83d\\\\ude00", Some(0)),
        ("\\udbff\\udfff\\ud7ff\\ue000", None),
    ];
    for (escaped, expected) in cases {
        assert_eq!(string::lone_surrogate(escaped), expected, "{escaped}");
        assert_eq!(unescape(escaped).unwrap().is_none(), expected.is_some(), "{escaped}");
    }
}

#[test]
fn a_value_is_canonical_only_as_it_would_be_written() {
    let mut writer = Writer::new(Style::File, MAX_BYTES);
    let mut is_written = |text: &str| writer.would_write(text, Span::new(0, text.len())).unwrap();
    for text in
        ["1", "\"a\\u00e9\\ud83d\"", "[]", "{}", "[\n    1,\n    2\n  ]", "{\n    \"a\": 1,\n    \"b\": {}\n  }"]
    {
        assert!(is_written(text), "{text}");
    }
    let others = [
        "\"\\u00E9\"",
        "\"\\/\"",
        "\"é\"",
        "\"\u{7f}\"",
        "[ ]",
        "{ }",
        "[1]",
        "[\n    1\n]",
        "[\n   1\n  ]",
        "[\n    1 ,\n    2\n  ]",
        "{\n    \"a\":1\n  }",
        "{\n    \"a\" : 1\n  }",
        "{\n    \"b\": 1,\n    \"a\": 2\n  }",
        "{\n    \"a\": 1,\n    \"a\": 2\n  }",
        "{\n    \"a\": [\n      {\n        \"b\": 1,\n        \"a\": 1\n      }\n    ]\n  }",
    ];
    for text in others {
        assert!(!is_written(text), "{text}");
    }
}

#[test]
fn lines_and_columns_count_from_one_in_characters() {
    let text = "aé\n\n😀x".as_bytes();
    let expected =
        [(0, (1, 1)), (1, (1, 2)), (3, (1, 3)), (4, (2, 1)), (5, (3, 1)), (9, (3, 2)), (10, (3, 3)), (99, (3, 3))];
    for (at, position) in expected {
        assert_eq!(line_and_column(text, at), position, "{at}");
    }
}

#[test]
fn the_nearest_double_needs_every_digit() {
    // Half way between two doubles, and a 1 behind ever more zeros.
    let tie = "9007199254740993";
    for (zeros, double) in [(0, 9007199254740992.0), (100, 9007199254740994.0), (2000, 9007199254740994.0)] {
        let beyond = if zeros == 0 { String::new() } else { format!(".{}1", "0".repeat(zeros)) };
        assert_eq!(number::to_f64(&format!("{tie}{beyond}")), Some(double), "{zeros}");
    }
}
