//! Any text as a value and as a key: memory and file agree with the oracle about what is taken, both canonical
//! spellings mean the same, and setting what was got changes nothing.

use super::file_bytes::is_a_place;
use super::interface;
use super::oracle::{self, Flags, Json};
use super::scratch::Scratch;
use flagstore::{Error, FlagStore, InMemoryFlagStore, Value};

const KEY: &str = "key";

pub fn check(bytes: &[u8]) {
    let expected = oracle::value(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert_eq!(expected, None);
        return interface::refuses_text(bytes);
    };
    assert_eq!(interface::json_equal(bytes, bytes), expected.is_some());
    let file = Scratch::new();
    match expected {
        Some(value) => {
            let given = Value::parse(text).expect("it is a value");
            assert_eq!(given.as_json(), value.compact());
            assert!(interface::json_equal(bytes, given.as_json().as_bytes()));
            assert_eq!(oracle::value(given.as_json().as_bytes()).as_ref(), Some(&value));
            keeps(&InMemoryFlagStore::new(), &given);
            keeps(&file.store(), &given);
            is_canonical(&file, [(KEY, value)]);
        }
        None => match Value::parse(text) {
            Err(Error::InvalidJson { line, column, .. }) => is_a_place(bytes, line, column),
            other => panic!("not JSON, but: {other:?}"),
        },
    }
    is_a_key(text);
}

/// A value comes back as it is from another handle too, and setting it again leaves the store alone.
fn keeps(store: &dyn FlagStore, given: &Value) {
    store.set(KEY, given.clone()).unwrap();
    let got = store.get(KEY).unwrap().expect("the flag is there");
    assert_eq!(&got, given);
    assert_eq!(Value::parse(got.as_json()).as_ref(), Ok(&got));
    assert_eq!(store.list_all().unwrap().to_json().unwrap(), format!("{{\"{KEY}\":{got}}}"));
}

fn is_canonical<const N: usize>(file: &Scratch, flags: [(&str, Json); N]) {
    let flags: Flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(String::from_utf8(file.read()).unwrap(), oracle::file(&flags));
    assert_eq!(oracle::document(&file.read()).as_ref(), Some(&flags));
    let (store, before) = (file.store(), file.identity());
    for key in flags.keys() {
        store.set(key, store.get(key).unwrap().expect("the flag is there")).unwrap();
    }
    assert_eq!(file.identity(), before);
}

fn is_a_key(text: &str) {
    let file = Scratch::new();
    let memory = InMemoryFlagStore::new();
    let string = Value::from(text);
    assert_eq!(string.as_json(), Json::Text(text.into()).compact());
    for store in [&memory as &dyn FlagStore, &file.store()] {
        store.set(text, string.clone()).unwrap();
        assert_eq!(store.get(text), Ok(Some(string.clone())));
        assert_eq!(store.list_all().unwrap().to_json().unwrap(), format!("{{{string}:{string}}}"));
    }
    is_canonical(&file, [(text, Json::Text(text.into()))]);
    assert_eq!(file.store().delete(text), Ok(true));
    assert_eq!(file.read(), b"{}\n");
}
