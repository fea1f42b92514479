//! What a backend of four methods gets for nothing.

use flagstore::{Batch, Error, FlagStore, InMemoryFlagStore, Value, Watch};
use flagstore_rust_caller::{FourMethods, Unreachable};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn everything_but_the_four_methods_has_a_default() {
    let store = FourMethods::default();
    store.set("b", 2.into()).unwrap();
    store.set("a", "é".into()).unwrap();
    assert_eq!(store.len(), Ok(2));
    assert_eq!(store.is_empty(), Ok(false));
    assert_eq!(store.list_json().as_deref(), Ok(r#"{"a":"é","b":2}"#));
    let mut seen = None;
    store.visit("b", &mut |value| seen = value.and_then(|value| value.as_i64())).unwrap();
    assert_eq!(seen, Some(2));
}

#[test]
fn a_conflict_changes_nothing() {
    let store = FourMethods::default();
    store.set("a", 1.into()).unwrap();
    let mut batch = Batch::new();
    batch.set("b", 2.into());
    batch.expect("a", Some(2.into()));
    let conflict = Error::Conflict { key: "a".into(), expected: Some(2.into()), found: Some(1.into()) };
    assert_eq!(store.commit(&batch), Err(conflict));
    assert_eq!(store.list_json().as_deref(), Ok(r#"{"a":1}"#));
}

/// Reads while another thread clears and sets again.
#[test]
fn a_flag_that_a_clearing_batch_sets_again_is_never_absent() {
    let store = FourMethods::default();
    store.set("kept", 0.into()).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..500 {
                let mut batch = Batch::new();
                batch.clear();
                batch.set("kept", round.into());
                store.commit(&batch).unwrap();
            }
        });
        while !writer.is_finished() {
            assert!(store.get("kept").unwrap().is_some());
        }
    });
}

#[test]
fn the_revision_is_of_the_content() {
    let store = FourMethods::default();
    let empty = store.revision().unwrap();
    store.set("a", 1.into()).unwrap();
    let one = store.revision().unwrap();
    assert!(empty != one && empty != 0 && one != 0);
    store.delete("a").unwrap();
    assert_eq!(store.revision(), Ok(empty));
    assert_eq!(store.wait(one, None), Ok(Some(empty)));
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let store = FourMethods::default();
    let start = Instant::now();
    assert_eq!(store.wait(store.revision().unwrap(), Some(start + Duration::from_millis(70))), Ok(None));
    assert!(start.elapsed() >= Duration::from_millis(70));
}

#[test]
fn a_watch_of_a_backend_without_a_wait_ends_soon() {
    let watch = Watch::start(Arc::new(FourMethods::default()), None, |_| {}).unwrap();
    thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    drop(watch);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_failure_of_a_backend_is_the_failure_of_every_default() {
    let failure = Error::backend("flags.example: connection refused");
    assert_eq!(failure.to_string(), "flags.example: connection refused");
    let mut batch = Batch::new();
    batch.set("a", Value::default());
    assert_eq!(Unreachable.len(), Err(failure.clone()));
    assert_eq!(Unreachable.list_json(), Err(failure.clone()));
    assert_eq!(Unreachable.revision(), Err(failure.clone()));
    assert_eq!(Unreachable.wait(1, None), Err(failure.clone()));
    assert_eq!(Unreachable.commit(&batch), Err(failure.clone()));
    assert_eq!(Unreachable.visit("a", &mut |_| panic!("there is nothing to visit")), Err(failure.clone()));
    assert_eq!(Watch::start(Arc::new(Unreachable), None, |_| {}).map(drop), Err(failure));
}

#[test]
fn a_store_is_an_object() {
    let stores: [Box<dyn FlagStore>; 2] = [Box::new(FourMethods::default()), Box::new(InMemoryFlagStore::new())];
    for store in &stores {
        store.set("a", true.into()).unwrap();
    }
    assert_eq!(stores[0].list_all(), stores[1].list_all());
}
