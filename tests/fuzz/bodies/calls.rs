//! Any sequence of calls through the C interface, on a memory store and on three handles of one file, against a map.

mod handles;

use super::input::{Argument, Input};
use super::interface::*;
use super::oracle::{self, Flags, Json};
use super::scratch::Scratch;
use std::ptr;

const MOST_CALLS: usize = 48;
const KEYS: [&[u8]; 7] = [b"", b"a", b"b", "\u{e9}".as_bytes(), b"a\0b", "\u{7f}\u{1f600}".as_bytes(), b"\xed\xa0\x80"];
const VALUES: [&[u8]; 16] = [
    b"true",
    b" false\n",
    b"null",
    b"1.10",
    b"3e2",
    b"9223372036854775808",
    b"1e400",
    b"\"text\"",
    b"\"nul \\u0000 \\ud83d\\ude00\"",
    b"[1, [ ], {\"b\": 1, \"a\": 2, \"b\": {\"\\u00e9\": []}}]",
    b"{}",
    b"\"\\ud800\"",
    b"{\"a\":1,}",
    b"NaN",
    b"1 2",
    b"\"\xff\"",
];
const MEMORY: usize = 0;
const FILE: usize = 1;

pub fn check(bytes: &[u8]) {
    let mut world = World::new(Input(bytes));
    for _ in 0..MOST_CALLS {
        let Some(call) = world.input.byte() else { break };
        world.step(call);
    }
    world.is_whole();
}

struct World<'a> {
    input: Input<'a>,
    file: Scratch,
    flags: [Flags; 2],
    stores: Vec<Store>,
}

struct Store {
    object: Object,
    /// Which flags it shows; none if it is no store.
    flags: Option<usize>,
    read_only: bool,
}

/// What a call should give: its result, or the code of its error.
type Expected<T> = Result<T, i32>;

fn code<T>(expected: &Expected<T>) -> i32 {
    expected.as_ref().map_or_else(|code| *code, |_| OK)
}

impl<'a> World<'a> {
    fn step(&mut self, call: u8) {
        let sized = call & 0x80 != 0;
        match call & 0x7f {
            0..=23 => self.set(sized),
            24..=31 => self.set_typed(call),
            32..=47 => self.get(sized),
            48..=63 => self.get_typed(call, sized),
            64..=79 => self.get_string(sized),
            80..=95 => self.delete(sized),
            96..=103 => self.list(),
            104..=111 => self.open(),
            112..=119 => self.error(),
            120..=123 => self.reopen(),
            _ => self.library(),
        }
    }

    /// Mostly the first four, which are stores.
    fn store(&mut self) -> usize {
        let index = self.input.below(16);
        if index < 12 { index % 4 } else { index % self.stores.len() }
    }

    fn pointer(&self, store: usize) -> Pointer {
        self.stores[store].object.0
    }

    fn key(&mut self) -> Argument {
        self.input.argument(&KEYS, 12)
    }

    /// What is stored, as a reading call should see it.
    fn found(&self, store: usize, key: Expected<&str>) -> Expected<Option<&Json>> {
        let flags = &self.flags[self.stores[store].flags.ok_or(INVALID_ARGUMENT)?];
        Ok(flags.get(key?))
    }

    fn typed<T>(&self, store: usize, key: Expected<&str>, read: impl Fn(&Json) -> Option<T>) -> Expected<Option<T>> {
        self.found(store, key)?.map(|value| read(value).ok_or(TYPE_MISMATCH)).transpose()
    }

    /// Does to the model what a changing call should do.
    fn change(&mut self, store: usize, key: Expected<&str>, value: Expected<Option<Json>>) -> Expected<bool> {
        let Store { flags, read_only, .. } = self.stores[store];
        let (flags, key, value) = (&mut self.flags[flags.ok_or(INVALID_ARGUMENT)?], key?, value?);
        if read_only {
            return Err(READ_ONLY);
        }
        Ok(match value {
            Some(value) => {
                flags.insert(key.to_owned(), value);
                true
            }
            None => flags.remove(key).is_some(),
        })
    }

    fn set(&mut self, sized: bool) {
        let (store, key) = (self.store(), self.key());
        let json = self.input.argument(&VALUES, 40);
        let value = json.seen(sized).and_then(|text| oracle::value(text.as_bytes()).ok_or(INVALID_JSON)).map(Some);
        let expected = self.change(store, key.seen(sized), value);
        let (pointer, name, text) = (self.pointer(store), key.pointer(sized), json.pointer(sized));
        // SAFETY: pointers as C would pass them.
        let done = expecting(code(&expected), self.input.bool(), |error| unsafe {
            match sized {
                true => flagstore_set_n(pointer, name, key.len(), text, json.len(), error),
                false => flagstore_set(pointer, name, text, error),
            }
        });
        assert_eq!(done, expected.is_ok());
    }

    fn set_typed(&mut self, call: u8) {
        let (store, key, word) = (self.store(), self.key(), self.input.word());
        let text = self.input.argument(&VALUES, 20);
        let (double, boolean) = (f64::from_bits(word), word & 1 == 1);
        let value = match call & 3 {
            0 => Ok(Json::Bool(boolean)),
            1 => Ok(Json::Number((word as i64).to_string())),
            2 if double.is_finite() => Ok(Json::Number(spelled(double))),
            2 => Err(INVALID_ARGUMENT),
            _ => text.seen(false).map(|text| Json::Text(text.into())),
        };
        let expected = self.change(store, key.seen(false), value.map(Some));
        let (pointer, name) = (self.pointer(store), key.pointer(false));
        // SAFETY: as above.
        let done = expecting(code(&expected), true, |error| unsafe {
            match call & 3 {
                0 => flagstore_set_bool(pointer, name, boolean, error),
                1 => flagstore_set_int64(pointer, name, word as i64, error),
                2 => flagstore_set_double(pointer, name, double, error),
                _ => flagstore_set_string(pointer, name, text.pointer(false), error),
            }
        });
        assert_eq!(done, expected.is_ok());
    }

    fn delete(&mut self, sized: bool) {
        let (store, key) = (self.store(), self.key());
        let expected = self.change(store, key.seen(sized), Ok(None));
        let (pointer, name) = (self.pointer(store), key.pointer(sized));
        // SAFETY: as above.
        let existed = expecting(code(&expected), self.input.bool(), |error| unsafe {
            match sized {
                true => flagstore_delete_n(pointer, name, key.len(), error),
                false => flagstore_delete(pointer, name, error),
            }
        });
        assert_eq!(existed, expected == Ok(true));
    }

    fn get(&mut self, sized: bool) {
        let (store, key) = (self.store(), self.key());
        let expected = self.found(store, key.seen(sized)).map(|found| found.map(Json::compact));
        let (pointer, name, mut length) = (self.pointer(store), key.pointer(sized), usize::MAX);
        // SAFETY: as above.
        let got = Object(expecting(code(&expected), self.input.bool(), |error| unsafe {
            match sized {
                true => flagstore_get_n(pointer, name, key.len(), &mut length, error),
                false => flagstore_get(pointer, name, error),
            }
        }));
        let expected = expected.unwrap_or(None);
        assert_eq!(got.text(None), expected.as_deref());
        assert!(!sized || length == expected.map_or(0, |text| text.len()));
    }

    fn get_typed(&mut self, call: u8, sized: bool) {
        let (store, key, fallback) = (self.store(), self.key(), self.input.bool());
        let (pointer, name, length, key) = (self.pointer(store), key.pointer(sized), key.len(), key.seen(sized));
        let (bools, ints) = (self.typed(store, key, Json::bool), self.typed(store, key, Json::int64));
        let (doubles, kinds) = (self.typed(store, key, Json::double), self.found(store, key));
        // SAFETY: as above.
        unsafe {
            match call & 3 {
                0 => {
                    let got = expecting(code(&bools), true, |error| match sized {
                        true => flagstore_get_bool_n(pointer, name, length, fallback, error),
                        false => flagstore_get_bool(pointer, name, fallback, error),
                    });
                    assert_eq!(got, bools.unwrap_or(None).unwrap_or(fallback));
                }
                1 => {
                    let got = expecting(code(&ints), true, |error| match sized {
                        true => flagstore_get_int64_n(pointer, name, length, -7, error),
                        false => flagstore_get_int64(pointer, name, -7, error),
                    });
                    assert_eq!(got, ints.unwrap_or(None).unwrap_or(-7));
                }
                2 => {
                    let got = expecting(code(&doubles), true, |error| match sized {
                        true => flagstore_get_double_n(pointer, name, length, -0.5, error),
                        false => flagstore_get_double(pointer, name, -0.5, error),
                    });
                    assert_eq!(got.to_bits(), doubles.unwrap_or(None).unwrap_or(-0.5).to_bits());
                }
                _ if sized => {}
                _ => {
                    let got = expecting(code(&kinds), true, |error| flagstore_get_type(pointer, name, error));
                    assert_eq!(got, kinds.map_or(-1, |found| found.map_or(0, Json::type_code)));
                }
            }
        }
    }

    fn get_string(&mut self, sized: bool) {
        let (store, key) = (self.store(), self.key());
        let read = |value: &Json| value.text().filter(|text| sized || !text.contains('\0')).map(str::to_owned);
        let mut expected = self.typed(store, key.seen(sized), read);
        let (pointer, name, mut length) = (self.pointer(store), key.pointer(sized), usize::MAX);
        if sized {
            // SAFETY: as above.
            let got = Object(expecting(code(&expected), true, |error| unsafe {
                flagstore_get_string_n(pointer, name, key.len(), &mut length, error)
            }));
            assert_eq!(got.text(Some(length)), expected.unwrap_or(None).as_deref());
            return;
        }
        let fallback = self.input.argument(&KEYS, 8);
        if !fallback.is_null() && fallback.seen(false).is_err() {
            expected = Err(INVALID_ARGUMENT);
        }
        // SAFETY: as above.
        let got = Object(expecting(code(&expected), true, |error| unsafe {
            flagstore_get_string(pointer, name, fallback.pointer(false), error)
        }));
        let otherwise = fallback.seen(false).ok().map(str::to_owned);
        assert_eq!(got.text(None), expected.unwrap_or(None).or(otherwise).as_deref());
    }
}

/// As Python's repr has it: Rust changes to exponents at the same sizes and spells them otherwise.
fn spelled(double: f64) -> String {
    let text = format!("{double:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{digits}e{:+03}", exponent.parse::<i32>().expect("an exponent")),
        None => text,
    }
}
