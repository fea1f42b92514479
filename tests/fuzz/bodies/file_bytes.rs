//! Any bytes as the file: every reader agrees with the oracle, and what is corrupt stays as it is.

use super::oracle::{self, Flags, Json};
use super::scratch::Scratch;
use flagstore::{Error, FileFlagStore, FlagStore, ReadMode, Value, ValueRef};

pub fn check(bytes: &[u8]) {
    let file = Scratch::new();
    file.write(bytes);
    match oracle::document(bytes) {
        Some(flags) => {
            for mode in [ReadMode::Fresh, ReadMode::Checked, ReadMode::Watched] {
                reads(&file.store_that_reads(mode), &flags);
            }
            changes(&file, flags, bytes);
        }
        None => refuses(&file, bytes),
    }
}

fn reads(store: &FileFlagStore, flags: &Flags) {
    let snapshot = store.list_all().expect("the file is valid");
    assert_eq!(snapshot.to_json().unwrap(), oracle::compact(flags));
    assert!(snapshot.iter().map(|(key, value)| (key, value.as_str())).eq(flags.iter().map(text_of)));
    assert_eq!(store.len(), Ok(flags.len()));
    assert_eq!(store.get(&absent(flags)), Ok(None));
    for (key, value) in flags {
        let got = store.get(key).unwrap().expect("the flag is there");
        assert_eq!(got.as_json(), value.compact());
        typed(got.as_ref(), value);
        typed(snapshot.get(key).expect("the flag is there"), value);
        let mut visits = 0;
        let mut visit = |found: Option<ValueRef<'_>>| {
            typed(found.expect("the flag is there"), value);
            visits += 1;
        };
        store.visit(key, &mut visit).unwrap();
        assert_eq!(visits, 1);
    }
}

fn absent(flags: &Flags) -> String {
    let mut key = String::from("absent");
    while flags.contains_key(&key) {
        key.push('.');
    }
    key
}

fn text_of<'a>((key, value): (&'a String, &'a Json)) -> (&'a str, Option<std::borrow::Cow<'a, str>>) {
    (key, value.text().map(Into::into))
}

fn typed(got: ValueRef<'_>, value: &Json) {
    assert_eq!(got.as_bool(), value.bool());
    assert_eq!(got.as_i64(), value.int64());
    assert_eq!(got.as_f64().map(f64::to_bits), value.double().map(f64::to_bits));
    assert_eq!(got.as_str().as_deref(), value.text());
    assert_eq!(got.kind() as i32 + 1, value.type_code());
}

/// Changes rewrite the file canonically, and what changes nothing leaves it alone.
fn changes(file: &Scratch, mut flags: Flags, bytes: &[u8]) {
    let (store, absent) = (file.store(), absent(&flags));
    let before = file.identity();
    assert_eq!(store.delete(&absent), Ok(false));
    if let Some((key, value)) = flags.first_key_value() {
        store.set(key, Value::parse(&value.compact()).unwrap()).unwrap();
    }
    assert_eq!((file.identity(), file.read().as_slice()), (before, bytes));
    let value = flags.last_key_value().map_or(Json::Bool(true), |(_, value)| value.clone());
    store.set(&absent, Value::parse(&value.compact()).unwrap()).unwrap();
    flags.insert(absent, value);
    assert_eq!(String::from_utf8(file.read()).unwrap(), oracle::file(&flags));
    assert_eq!(oracle::document(&file.read()).as_ref(), Some(&flags));
    reads(&store, &flags);
    if let Some((key, _)) = flags.pop_first() {
        assert_eq!(store.delete(&key), Ok(true));
    }
    assert_eq!(String::from_utf8(file.read()).unwrap(), oracle::file(&flags));
}

fn refuses(file: &Scratch, bytes: &[u8]) {
    let store = file.store();
    let before = file.identity();
    for store in [ReadMode::Fresh, ReadMode::Checked, ReadMode::Watched].map(|mode| file.store_that_reads(mode)) {
        is_corrupt(bytes, store.get("a"));
        is_corrupt(bytes, store.list_all());
        is_corrupt(bytes, store.len());
        is_corrupt(bytes, store.visit("a", &mut |_| ()));
    }
    is_corrupt(bytes, store.set("a", true.into()));
    is_corrupt(bytes, store.delete("a"));
    assert_eq!((file.identity(), file.read().as_slice()), (before, bytes));
}

fn is_corrupt<T: std::fmt::Debug>(bytes: &[u8], result: flagstore::Result<T>) {
    match result {
        Err(Error::Corrupt { line, column, .. }) => is_a_place(bytes, line, column),
        other => panic!("not corrupt: {other:?}"),
    }
}

/// Whether the text has that line and column, or ends just before it; in characters where it is UTF-8.
pub fn is_a_place(bytes: &[u8], line: usize, column: usize) {
    let lines: Vec<_> = bytes.split(|&byte| byte == b'\n').collect();
    assert!((1..=lines.len()).contains(&line), "line {line} of {}", lines.len());
    let characters = lines[line - 1].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    assert!((1..=characters + 1).contains(&column), "column {column} of {characters}");
}
