//! The contract, case by case. Who includes this file provides `each_store`, which runs a case on an empty store of
//! each of its kinds: tests/contract.rs, and tests/rust for a backend from outside.

use super::each_store;
use flagstore::{Batch, Error, Kind, Value, Watch};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub fn value(json: &str) -> Value {
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
            store.set(key, Value::from(*key)).unwrap();
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
        assert_eq!(store.get("s").unwrap().unwrap().deserialize_as::<String>().unwrap(), "a\"b", "{kind}");
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
        assert_eq!(store.wait(before, soon()), Ok(None), "{kind}");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| store.wait(before, None).unwrap().unwrap());
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
