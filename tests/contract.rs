//! One table of cases, run on every backend: a new backend is one more line in `each_store`.

#[path = "contract/cases.rs"]
mod cases;
#[path = "contract/engine.rs"]
mod engine;

use cases::value;
use engine::{Engine, FourMethods};
use flagstore::{Backend, Durability, Error, FileFlagStore, FileOptions, FlagStore, InMemoryFlagStore};
use flagstore::{ReadMode, RemoteFlagStore, RemoteOptions, Value};
use std::sync::Arc;

fn remote(backend: impl Backend + 'static, read_mode: ReadMode) -> Arc<dyn FlagStore> {
    Arc::new(RemoteFlagStore::open_with(backend, RemoteOptions::new().read_mode(read_mode)).expect("it is reached"))
}

/// Runs the case on an empty store of each kind.
fn each_store(case: impl Fn(&str, &Arc<dyn FlagStore>)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, read_mode, durability| {
        let options = FileOptions::new().read_mode(read_mode).durability(durability);
        let store = FileFlagStore::open_with(directory.path().join(name), options).expect("the file opens");
        Arc::new(store) as Arc<dyn FlagStore>
    };
    case("memory", &(Arc::new(InMemoryFlagStore::new()) as Arc<dyn FlagStore>));
    case("file", &file("full.json", ReadMode::Fresh, Durability::Full));
    case("file without sync", &file("none.json", ReadMode::Fresh, Durability::None));
    case("file in order", &file("ordered.json", ReadMode::Fresh, Durability::Ordered));
    case("file checked", &file("checked.json", ReadMode::Checked, Durability::None));
    case("file watched", &file("watched.json", ReadMode::Watched, Durability::None));
    case("remote", &remote(Engine::default(), ReadMode::Fresh));
    case("remote checked", &remote(Engine::default(), ReadMode::Checked));
    case("remote watched", &remote(Engine::default(), ReadMode::Watched));
    case("remote with four methods", &remote(FourMethods::default(), ReadMode::Fresh));
    case("remote with four methods, watched", &remote(FourMethods::default(), ReadMode::Watched));
}

#[test]
fn what_is_not_json_is_refused_with_line_and_column() {
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Value::parse(&deep(127)).is_ok());
    let refused = [
        ("", (1, 1)),
        ("{\"a\": 1,\n  \"é\" 2}", (2, 7)),
        ("01", (1, 2)),
        ("1.", (1, 3)),
        ("tru", (1, 1)),
        ("NaN", (1, 1)),
        ("-Infinity", (1, 2)),
        ("'a'", (1, 1)),
        ("[1,]", (1, 4)),
        ("{\"a\":1,}", (1, 8)),
        ("\"a\u{1}\"", (1, 3)),
        ("\"\\x\"", (1, 3)),
        ("\"\\ud80\"", (1, 7)),
        ("\"\\udc0g\"", (1, 7)),
        ("1 2", (1, 3)),
        ("\u{feff}1", (1, 1)),
        (&deep(128), (1, 128)),
    ];
    for (json, position) in refused {
        match Value::parse(json) {
            Err(Error::InvalidJson { line, column, .. }) => assert_eq!((line, column), position, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

#[test]
fn numbers_are_read_exactly_and_doubles_are_spelled_as_python_does() {
    let integers = [
        ("3", Some(3)),
        ("3.0", Some(3)),
        ("3e2", Some(300)),
        ("300e-2", Some(3)),
        ("0e999999999999999999999", Some(0)),
        ("-0.0", Some(0)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("-9223372036854775808.000e0", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("9007199254740993.0", Some(9007199254740993)),
        ("0.5", None),
        ("1e-1", None),
        ("1e19", None),
        ("1e99999999999999999999", None),
        ("1e-99999999999999999999", None),
        ("true", None),
    ];
    for (json, integer) in integers {
        assert_eq!(value(json).as_ref().as_i64(), integer, "{json}");
    }
    assert_eq!(value("1e400").as_ref().as_f64(), None);
    let doubles = [
        (0.1, "0.1"),
        (100000.0, "100000.0"),
        (1e16, "1e+16"),
        (9999999999999998.0, "9999999999999998.0"),
        (1e-5, "1e-05"),
        (0.0001, "0.0001"),
        (-0.0, "-0.0"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
    ];
    for (double, text) in doubles {
        assert_eq!(Value::from_f64(double).unwrap().as_json(), text);
    }
    assert_eq!(Value::from_f64(f64::NAN), None);
}
