//! The library's types as Rust programs use them.

use flagstore::{
    Batch, Durability, Error, FileFlagStore, FileOptions, FlagStore, Kind, OsError, ReadMode, Snapshot, Value, ValueRef,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::error::Error as _;
use std::io;
use std::time::Duration;

fn value(json: &str) -> Value {
    json.parse().expect("the case is JSON")
}

#[test]
fn values_come_from_what_a_program_has() {
    let cases: [(Value, &str); 9] = [
        (true.into(), "true"),
        (3.into(), "3"),
        (i64::MIN.into(), "-9223372036854775808"),
        (u64::MAX.into(), "18446744073709551615"),
        (7_u8.into(), "7"),
        ("a\"b".into(), "\"a\\\"b\""),
        (String::from("true").into(), "\"true\""),
        (Value::try_from(0.1).unwrap(), "0.1"),
        (Value::default(), "null"),
    ];
    for (made, json) in cases {
        assert_eq!(made.as_json(), json);
        assert_eq!(made.to_string(), json);
        assert_eq!(format!("{made:?}"), json);
    }
    assert!(matches!(Value::try_from(f64::NAN), Err(Error::InvalidArgument(_))));
    assert!(matches!("[1,]".parse::<Value>(), Err(Error::InvalidJson { line: 1, column: 4, .. })));
}

#[test]
fn values_are_read_by_type() {
    assert_eq!(value("true").as_bool(), Some(true));
    assert_eq!(value("3e2").as_i64(), Some(300));
    assert_eq!(value("0.5").as_f64(), Some(0.5));
    assert_eq!(value(r#""a\nb""#).as_str().as_deref(), Some("a\nb"));
    assert_eq!(value("\"true\"").as_bool(), None);
    let kinds = ["null", "true", "1", "\"\"", "[]", "{}"].map(|json| value(json).kind());
    assert_eq!(kinds, [Kind::Null, Kind::Bool, Kind::Number, Kind::String, Kind::Array, Kind::Object]);
    assert_eq!(kinds.iter().collect::<HashSet<_>>().len(), 6);
}

#[test]
fn values_are_keys_of_a_map() {
    let set = HashSet::from([value("{\"b\":1,\"a\":2}"), value("{ \"a\": 2, \"b\": 1 }"), value("1"), value("1.0")]);
    assert_eq!(set.len(), 3);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Rollout {
    percent: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    extra: Value,
}

#[test]
fn a_value_is_part_of_a_type_of_the_program() {
    let rollout =
        Rollout { percent: 10, note: None, extra: value("{\"rate\": 1.10, \"big\": 12345678901234567890123}") };
    let stored = Value::from_serialize(&rollout).unwrap();
    assert_eq!(stored.as_json(), r#"{"extra":{"big":12345678901234567890123,"rate":1.10},"percent":10}"#);
    assert_eq!(stored.deserialize_as::<Rollout>().unwrap(), rollout);
    assert!(stored.deserialize_as::<bool>().is_err());
}

#[test]
fn exact_digits_survive_serde_json() {
    let texts = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "1.10",
        "0.1",
        "1e5",
        "1E+5",
        "1e400",
        "-0.0",
        "1.0",
        "1e16",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "\"a\\\"\\u0000é😀\"",
        "[]",
        "{}",
        "[1.10,[null,{\"a\":1e400}]]",
        "{\"a\":[],\"b\":{\"\\n\":-0},\"é\":\"\"}",
    ];
    for json in texts {
        let value = value(json);
        assert_eq!(serde_json::to_string(&value).unwrap(), value.as_json());
        assert_eq!(serde_json::from_str::<Value>(&format!(" {json} ")).unwrap(), value);
        assert_eq!(serde_json::from_slice::<Value>(json.as_bytes()).unwrap(), value);
        assert_eq!(serde_json::from_reader::<_, Value>(json.as_bytes()).unwrap(), value);
        let nested: BTreeMap<String, Vec<Option<Value>>> =
            serde_json::from_str(&format!("{{\"k\": [{json}]}}")).unwrap();
        assert_eq!(nested["k"], [Some(value.clone()).filter(|value| value.kind() != Kind::Null)]);
        assert_eq!(value.deserialize_as::<Value>().unwrap(), value);
        assert_eq!(Value::from_serialize(&value).unwrap(), value);
    }
    assert!(serde_json::from_str::<Value>("[1,]").is_err());
    let lone = serde_json::from_str::<Value>(r#""\uD800""#).unwrap();
    assert_eq!(lone.as_json(), r#""\ud800""#);
}

/// A format that is not `serde_json`'s text: its tree of values.
#[test]
fn other_formats_get_a_value_like_any_other() {
    let cases = ["null", "true", "-3", "18446744073709551615", "0.5", "\"é\"", "[1,[2]]", "{\"a\":{\"b\":[null]}}"];
    for json in cases {
        let tree: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(value(json)).unwrap(), tree, "{json}");
        assert_eq!(serde_json::from_value::<Value>(tree.clone()).unwrap(), value(json));
        assert_eq!(Value::deserialize(&tree).unwrap(), value(json));
        assert_eq!(Value::deserialize(Plain(tree)).unwrap(), value(json));
    }
    assert!(Value::deserialize(serde::de::value::F64Deserializer::<serde_json::Error>::new(f64::NAN)).is_err());
}

/// Hands everything on to `deserialize_any`, as many formats do.
struct Plain(serde_json::Value);

impl<'de> serde::Deserializer<'de> for Plain {
    type Error = serde_json::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn snapshot(flags: &[(&str, &str)]) -> Snapshot {
    flags.iter().map(|(key, json)| (*key, value(json))).collect()
}

#[test]
fn a_snapshot_is_collected_from_pairs_in_any_order() {
    let flags = [("b", "1"), ("", "2"), ("a\0b", "\"\\u0000\""), ("b", "[3, {}]"), ("é", "4")];
    let made = snapshot(&flags);
    let pairs: Vec<_> = made.iter().map(|(key, value)| (key, value.to_string())).collect();
    let wanted = [("", "2"), ("a\0b", "\"\\u0000\""), ("b", "[3,{}]"), ("é", "4")];
    assert_eq!(pairs, wanted.map(|(key, json)| (key, json.to_owned())));
    assert_eq!(made.get("b").map(|value| value.to_value()), Some(Ok(value("[3,{}]"))));
    assert_eq!(made.get("c"), None);
    assert_eq!(made.to_json().as_deref(), Ok(r#"{"":2,"a\u0000b":"\u0000","b":[3,{}],"é":4}"#));
    assert_eq!(serde_json::to_string(&made).unwrap(), made.to_json().unwrap());
    assert_eq!(Snapshot::from_flags(Vec::<(String, Value)>::new()), Ok(Snapshot::default()));
    assert_eq!(format!("{:?}", snapshot(&[("a", "1.10")])), r#"{"a": 1.10}"#);
}

#[test]
fn snapshots_compare_by_their_flags_and_iterate_both_ways() {
    let made = snapshot(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let store = flagstore::InMemoryFlagStore::new();
    for (key, value) in &made {
        store.set(key, value.to_value().unwrap()).unwrap();
    }
    assert_eq!(store.list_all().unwrap(), made);
    assert_eq!(HashSet::from([made.clone(), store.list_all().unwrap()]).len(), 1);
    assert_ne!(made, snapshot(&[("a", "1"), ("b", "2.0"), ("c", "3")]));
    assert_ne!(made, snapshot(&[("a", "1"), ("b", "2")]));
    let mut iter = made.iter();
    assert_eq!(iter.len(), 3);
    assert_eq!(iter.next_back().map(|(key, _)| key), Some("c"));
    assert_eq!(iter.nth(1).map(|(key, _)| key), Some("b"));
    assert_eq!((iter.next(), iter.next_back(), iter.len()), (None, None, 0));
    assert_eq!(["", "a", "aa", "c", "d"].map(|key| made.seek(key)), [0, 0, 1, 2, 3]);
    assert_eq!(["", "a", "aa", "c", "d"].map(|key| store.list_all().unwrap().seek(key)), [0, 0, 1, 2, 3]);
}

#[test]
fn lent_values_are_equal_as_values_are() {
    let directory = Directory::new("lent");
    std::fs::write(directory.path("flags.json"), "{\"a\": {\"y\": [ 1 ], \"x\": \"\\u00e9\"}}").unwrap();
    let store = FileFlagStore::open(directory.path("flags.json")).unwrap();
    let expected = value("{\"x\":\"é\",\"y\":[1]}");
    store
        .visit("a", &mut |found| {
            let found = found.unwrap();
            assert_eq!(found, expected.as_ref());
            assert_eq!(found.to_string(), expected.to_string());
            assert_eq!(serde_json::to_string(&found).unwrap(), expected.as_json());
            assert_eq!(HashSet::from([found, ValueRef::from(&expected)]).len(), 1);
            #[derive(Deserialize)]
            struct Borrowed<'a> {
                #[serde(borrow)]
                x: std::borrow::Cow<'a, str>,
            }
            assert_eq!(found.deserialize_as::<Borrowed<'_>>().unwrap().x, "é");
        })
        .unwrap();
}

#[test]
fn a_batch_is_read_in_key_order_each_key_once() {
    let mut batch = Batch::new();
    batch.set("b", 1.into());
    batch.delete("a");
    batch.set("b", 2.into());
    batch.expect("d", Some(3.into()));
    batch.expect("c", Some(4.into()));
    batch.expect("d", None);
    assert!(!batch.clears());
    batch.clear();
    assert!(batch.clears());
    assert_eq!((batch.changes().len(), batch.expectations().len()), (2, 2));
    assert_eq!(batch.changes().collect::<Vec<_>>(), [("a", None), ("b", Some(&Value::from(2)))]);
    assert_eq!(batch.expectations().collect::<Vec<_>>(), [("c", Some(&Value::from(4))), ("d", None)]);
    assert_eq!(batch.clone(), batch);
    assert_ne!(batch, Batch::default());
}

#[test]
fn options_are_built() {
    let options = FileOptions::new()
        .read_mode(ReadMode::Checked)
        .durability(Durability::Ordered)
        .must_exist(true)
        .read_only(true)
        .lock_timeout(Duration::from_millis(5))
        .mode(0o600)
        .max_bytes(1 << 20);
    assert_eq!((options.read_mode, options.durability), (ReadMode::Checked, Durability::Ordered));
    assert!(options.must_exist && options.read_only);
    assert_eq!((options.lock_timeout, options.mode), (Some(Duration::from_millis(5)), Some(0o600)));
    assert_eq!(options.clone().lock_timeout(None).mode(None).lock_timeout, None);
    assert_eq!(options.max_bytes, 1 << 20);
    assert_eq!(FileOptions::default(), FileOptions::new());
}

#[test]
fn the_source_of_an_io_error_is_the_systems() {
    let error = FileFlagStore::open("/no/such/directory/flags.json").unwrap_err();
    let source = error.source().expect("the system refused").downcast_ref::<io::Error>().expect("it is std's");
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.errno(), source.raw_os_error());
    assert_eq!(error.clone(), error);
    assert!(error.to_string().ends_with(&format!(": {source}")), "{error}");
    assert!(matches!(&error, Error::Io { source, .. } if *source == OsError::from(source.errno())));
    assert!(Error::backend("no").source().is_none());
}

#[test]
fn what_is_too_large_is_one_error_however_it_is_changed() {
    let directory = Directory::new("large");
    let path = directory.path("flags.json");
    let store = FileFlagStore::open_with(&path, FileOptions::new().max_bytes(100)).unwrap();
    let long = Value::from("x".repeat(120));
    let mut batch = Batch::new();
    batch.set("a", long.clone());
    let too_large = Error::TooLarge { path: Some(path.clone()), key: None };
    assert_eq!(store.set("a", long), Err(too_large.clone()));
    assert_eq!(store.commit(&batch), Err(too_large.clone()));
    std::fs::write(&path, format!("{{}}{}", " ".repeat(120))).unwrap();
    assert_eq!(store.get("a"), Err(too_large.clone()));
    assert_eq!(store.list_all(), Err(too_large.clone()));
    assert_eq!(too_large.to_string(), format!("{}: larger than max_bytes", path.display()));
    assert_eq!(too_large.errno(), Some(27), "EFBIG");
}

#[test]
fn everything_can_be_shown_sent_and_shared() {
    fn check<T: std::fmt::Debug + Send + Sync + 'static>() {}
    check::<Value>();
    check::<Snapshot>();
    check::<Batch>();
    check::<Error>();
    check::<FileOptions>();
    fn check_store<T: FlagStore + std::fmt::Debug>() {}
    check_store::<FileFlagStore>();
    check_store::<flagstore::InMemoryFlagStore>();
}

/// A directory for one test, removed with it.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("flagstore-rust-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
