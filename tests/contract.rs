//! One table of cases, run on every backend: a new backend is one more line in `each_store`.

use flagstore::{
    Batch, Durability, Error, FileFlagStore, FileOptions, FlagStore, InMemoryFlagStore, Kind, ReadMode, Value, Watch,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Runs the case on an empty store of each kind.
fn each_store(case: impl Fn(&str, &Arc<dyn FlagStore>)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, read_mode, durability| {
        let options = FileOptions { read_mode, durability, ..FileOptions::default() };
        let store = FileFlagStore::open_with(directory.path().join(name), options).expect("the file opens");
        Arc::new(store) as Arc<dyn FlagStore>
    };
    case("memory", &(Arc::new(InMemoryFlagStore::new()) as Arc<dyn FlagStore>));
    case("file", &file("full.json", ReadMode::Fresh, Durability::Full));
    case("file without sync", &file("none.json", ReadMode::Fresh, Durability::None));
    case("file in order", &file("ordered.json", ReadMode::Fresh, Durability::Ordered));
    case("file checked", &file("checked.json", ReadMode::Checked, Durability::None));
    case("file watched", &file("watched.json", ReadMode::Watched, Durability::None));
}

fn value(json: &str) -> Value {
    Value::parse(json).expect("the case is JSON")
}

#[test]
fn an_empty_store_has_nothing() {
    each_store(|kind, store| {
        assert_eq!(store.get("a"), Ok(None), "{kind}");
        assert_eq!(store.delete("a"), Ok(false), "{kind}");
        assert_eq!(store.len(), Ok(0), "{kind}");
        assert_eq!(store.is_empty(), Ok(true), "{kind}");
        assert_eq!(store.list_all().unwrap().to_json().unwrap(), "{}", "{kind}");
    });
}

#[test]
fn a_value_comes_back_compact_and_with_its_own_digits() {
    let cases = [
        (" true ", "true"),
        ("null", "null"),
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("-0", "-0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e400", "1e400"),
        ("\"\\u00e9\\ud83d\\ude00\\/\"", "\"é😀/\""),
        ("\"\\u0000\\u001f\\u007f\"", "\"\\u0000\\u001f\u{7f}\""),
        ("\"\\uD83D \\ude00\\uD83D\"", "\"\\ud83d \\ude00\\ud83d\""),
        ("[ ]", "[]"),
        ("{\"b\": 1, \"a\": {\"d\": [1, 2 ], \"c\": { }}, \"b\": 2}", "{\"a\":{\"c\":{},\"d\":[1,2]},\"b\":2}"),
        ("{\"\\uffff\": 1, \"\\ud83d\\ude00\": 2, \"\\n\": 3}", "{\"\\n\":3,\"\u{ffff}\":1,\"😀\":2}"),
    ];
    each_store(|kind, store| {
        for (given, kept) in cases {
            store.set("key", value(given)).unwrap();
            assert_eq!(store.get("key").unwrap().unwrap().as_json(), kept, "{kind}: {given}");
        }
        assert_eq!(store.len(), Ok(1), "{kind}");
    });
}

#[test]
fn any_text_is_a_key_and_keys_are_listed_in_byte_order() {
    each_store(|kind, store| {
        let keys = ["", "\0", "\n", "\"\\/", "a", "a.b", "é", "\u{ffff}", "😀"];
        for key in keys.iter().rev() {
            store.set(key, Value::try_from(*key).unwrap()).unwrap();
        }
        let snapshot = store.list_all().unwrap();
        assert_eq!(snapshot.iter().map(|(key, _)| key).collect::<Vec<_>>(), keys, "{kind}");
        for key in keys {
            assert_eq!(snapshot.get(key).unwrap().as_str().unwrap(), key, "{kind}");
            assert_eq!(store.delete(key), Ok(true), "{kind}");
        }
        assert_eq!(store.len(), Ok(0), "{kind}");
        assert_eq!(snapshot.len(), keys.len(), "{kind}: a snapshot stays as it is");
    });
}

#[test]
fn typed_reads_see_what_is_stored() {
    each_store(|kind, store| {
        store.set("n", value("3e2")).unwrap();
        store.visit("n", &mut |found| assert_eq!(found.unwrap().as_i64(), Some(300), "{kind}")).unwrap();
        store.visit("n", &mut |found| assert_eq!(found.unwrap().kind(), Kind::Number, "{kind}")).unwrap();
        store.visit("absent", &mut |found| assert!(found.is_none(), "{kind}")).unwrap();
        store.set("s", Value::from_serialize("a\"b").unwrap()).unwrap();
        assert_eq!(store.get("s").unwrap().unwrap().deserialize::<String>().unwrap(), "a\"b", "{kind}");
    });
}

#[test]
fn no_update_is_lost_between_threads_and_every_list_is_one_moment() {
    const THREADS: usize = 8;
    const SETS: usize = 20;
    each_store(|kind, store| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // Each writer sets its keys in order, so no list may have a later one without the earlier.
                    let snapshot = store.list_all().unwrap();
                    let is_set = |writer: usize, set: usize| snapshot.get(&format!("{writer}.{set}")).is_some();
                    for writer in 0..THREADS {
                        let count = (0..SETS).filter(|set| is_set(writer, *set)).count();
                        assert!((0..count).all(|set| is_set(writer, set)), "{kind}");
                    }
                }
            });
            let write =
                |writer| move || (0..SETS).for_each(|set| store.set(&format!("{writer}.{set}"), true.into()).unwrap());
            let writers: Vec<_> = (0..THREADS).map(|writer| scope.spawn(write(writer))).collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(store.len(), Ok(THREADS * SETS), "{kind}");
    });
}

#[test]
fn a_batch_is_made_whole_or_not_at_all() {
    each_store(|kind, store| {
        let text = || store.list_all().unwrap().to_json().unwrap();
        let mut batch = Batch::new();
        batch.expect("a", None);
        batch.set("a", value("{\"y\":1,\"x\":[1]}"));
        batch.set("b", value("1"));
        batch.delete("c");
        assert_eq!(store.commit(&batch), Ok(()), "{kind}");
        assert!(matches!(store.commit(&batch), Err(Error::Conflict { .. })), "{kind}: a is there now");
        let mut refused = Batch::new();
        refused.expect("a", Some(value("{\"x\": [1], \"y\": 1}")));
        refused.expect("b", Some(value("1.0")));
        refused.clear();
        assert!(matches!(store.commit(&refused), Err(Error::Conflict { .. })), "{kind}: 1 is not 1.0");
        assert_eq!(text(), "{\"a\":{\"x\":[1],\"y\":1},\"b\":1}", "{kind}");
        let mut cleared = Batch::new();
        cleared.set("d", value("2"));
        cleared.expect("b", Some(value("1")));
        cleared.clear();
        assert_eq!(store.commit(&cleared), Ok(()), "{kind}");
        assert_eq!(text(), "{\"d\":2}", "{kind}");
        assert_eq!(store.commit(&Batch::new()), Ok(()), "{kind}");
    });
}

#[test]
fn a_revision_differs_after_a_change_and_a_wait_returns_with_it() {
    each_store(|kind, store| {
        let before = store.revision().unwrap();
        assert_ne!(before, 0, "{kind}");
        let soon = || Some(Instant::now() + Duration::from_millis(30));
        assert_eq!(store.wait(before, soon(), None), Ok(None), "{kind}");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| store.wait(before, None, None).unwrap().unwrap());
            store.set("a", true.into()).unwrap();
            let after = waiter.join().unwrap();
            assert_ne!(after, before, "{kind}");
        });
        let after = store.revision().unwrap();
        store.set("a", true.into()).unwrap();
        assert_eq!(store.revision().unwrap(), after, "{kind}: nothing has changed");
    });
}

#[test]
fn a_watch_calls_once_for_each_flag_that_changed_until_it_is_dropped() {
    each_store(|kind, store| {
        store.set("kept", true.into()).unwrap();
        store.set("gone", 1.into()).unwrap();
        let (sender, receiver) = mpsc::channel();
        let watch = Watch::start(Arc::clone(store), None, move |change| {
            let json = |text: Option<&str>| text.unwrap_or("-").to_owned();
            sender.send([change.key().to_owned(), json(change.old_json()), json(change.new_json())]).unwrap();
        });
        let mut batch = Batch::new();
        batch.set("kept", value("true"));
        batch.set("new", value("[1, 2]"));
        batch.delete("gone");
        store.commit(&batch).unwrap();
        let next = || receiver.recv_timeout(Duration::from_secs(20)).expect("a change is reported");
        assert_eq!([next(), next()], [["gone", "1", "-"], ["new", "-", "[1,2]"]], "{kind}");
        store.set("kept", false.into()).unwrap();
        assert_eq!(next(), ["kept", "true", "false"], "{kind}");
        drop(watch);
        store.set("kept", true.into()).unwrap();
        assert!(receiver.recv().is_err(), "{kind}: the callback is gone with the watch");
    });
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
