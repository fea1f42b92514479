//! Handles that come and go, what they list, options, errors, and what belongs to no store.

use super::*;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;

/// sizeof(flagstore_file_options_t)
const SIZE: u64 = 40;

impl<'a> World<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        let file = Scratch::new();
        let path = c_path(&file.path());
        let open = |flags| {
            let options = [SIZE, SYNC_NONE << 32, flags, 0, 0];
            // SAFETY: a path, and options of the size they say.
            let open = |error| unsafe { flagstore_file_open_with(path.as_ptr(), options.as_ptr(), error) };
            (Object(expecting(OK, true, open)), Some(FILE), flags & OPEN_READ_ONLY != 0)
        };
        // SAFETY: nothing is asked of these.
        let (memory, text, error) = unsafe {
            let memory = expecting(OK, true, |error| flagstore_memory_open(error));
            (memory, flagstore_list_all(memory, ptr::null_mut()), flagstore_error_new(IO, ptr::null()))
        };
        let stores = [
            (Object(memory), Some(MEMORY), false),
            open(0),
            open(OPEN_EXISTING),
            open(OPEN_READ_ONLY),
            (Object(ptr::null_mut()), None, false),
            (Object(text), None, false),
            (Object(error), None, false),
        ];
        let store = |(object, flags, read_only)| Store { object, flags, read_only };
        Self { input, file, flags: Default::default(), stores: stores.map(store).into() }
    }

    /// Another handle in the place of one: the file's flags stay, the memory's are gone.
    pub(super) fn reopen(&mut self) {
        let path = c_path(&self.file.path());
        let memory = self.input.bool();
        // SAFETY: a path of the test's own.
        let object = Object(expecting(OK, true, |error| unsafe {
            match memory {
                true => flagstore_memory_open(error),
                false => flagstore_file_open(path.as_ptr(), error),
            }
        }));
        if memory {
            self.flags[MEMORY].clear();
        }
        // Not in the place of the first handle of the file: all changes of this one are synced, which is slow.
        self.stores[if memory { MEMORY } else { FILE + 1 }].object = object;
    }

    pub(super) fn list(&mut self) {
        let store = self.store();
        self.lists(store);
    }

    fn lists(&self, store: usize) {
        let pointer = self.pointer(store);
        let flags = self.stores[store].flags.map(|flags| &self.flags[flags]).ok_or(INVALID_ARGUMENT);
        // SAFETY: pointers as C would pass them.
        let (text, length) = unsafe {
            let text = expecting(code(&flags), true, |error| flagstore_list_all(pointer, error));
            (Object(text), expecting(code(&flags), true, |error| flagstore_len(pointer, error)))
        };
        assert_eq!(text.text(None), flags.ok().map(oracle::compact).as_deref());
        assert_eq!(length, flags.map_or(-1, |flags| flags.len() as i64));
    }

    /// In the end every handle shows what the map has, and the file has its bytes.
    pub(super) fn is_whole(&self) {
        (0..self.stores.len()).for_each(|store| self.lists(store));
        assert_eq!(String::from_utf8(self.file.read()).unwrap(), oracle::file(&self.flags[FILE]));
    }

    /// Options in and out of range; what opens is closed at once.
    pub(super) fn open(&mut self) {
        let size = [SIZE, SIZE, SIZE, SIZE + 8, 32, 24, 16, 8, 7, 0, 5000][self.input.below(11)];
        let known =
            |value: usize, input: &mut Input| if input.below(8) == 0 { input.word() as u32 } else { value as u32 };
        let mut fields = [0; 8].map(|_| known(self.input.below(3), &mut self.input));
        fields[0] *= u32::from(self.input.below(4) == 0);
        fields[5] *= u32::from(self.input.below(8) == 0);
        let tail = u64::from(self.input.below(4) == 0);
        let pair = |at: usize| u64::from(fields[at]) | u64::from(fields[at + 1]) << 32;
        let all = [size, pair(0), pair(2), pair(4), pair(6), tail];
        // No more than the size says, so that AddressSanitizer sees every read past it.
        let given: Box<[u64]> = all[..(size as usize / 8).clamp(1, 6)].into();
        let missing = self.file.path().with_file_name("missing");
        let (path, exists, opens) = match self.input.below(4) {
            0 => (self.file.path().with_file_name("no/such"), false, false),
            1 => (missing.clone(), false, true),
            _ => (self.file.path(), true, true),
        };
        let expected = verdict(&given, size, tail).and_then(|flags| match exists || flags & OPEN_EXISTING == 0 {
            true if opens => Ok(flags),
            _ => Err(IO),
        });
        let path = c_path(&path);
        // SAFETY: a path of the test's own, and options of the size they say.
        let open = |error| unsafe { flagstore_file_open_with(path.as_ptr(), given.as_ptr(), error) };
        let store = Object(expecting(code(&expected), true, open));
        assert_eq!(store.0.is_null(), expected.is_err());
        let created = expected.is_ok_and(|flags| !exists && flags & OPEN_READ_ONLY == 0);
        assert_eq!(std::fs::read(&missing).ok(), created.then(|| b"{}\n".to_vec()));
        let _ = std::fs::remove_file(&missing);
    }

    pub(super) fn error(&mut self) {
        let (number, message) = (self.input.below(18) as i32 - 2, self.input.argument(&KEYS, 20));
        let text = message.bytes(false).map_or(String::new(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let wrong = self.store();
        // SAFETY: a text as C passes it, an error, a NULL, and objects of other kinds.
        unsafe {
            let error = Object(flagstore_error_new(number, message.pointer(false)));
            assert_eq!(error.0.is_null(), number == OK);
            assert_eq!(flagstore_error_code(error.0), number);
            let expected = if number == OK { "" } else { &text };
            assert_eq!(CStr::from_ptr(flagstore_error_message(error.0)).to_str(), Ok(expected));
            assert_eq!(flagstore_error_os_code(error.0), 0);
            let name = CStr::from_ptr(flagstore_error_name(number)).to_str().expect("names are text");
            assert_eq!(name == "FLAGSTORE_UNKNOWN", !(0..=13).contains(&number));
            // The last two of the handles are NULL or no store.
            let code = match wrong {
                4 => OK,
                6 => IO,
                _ => INVALID_ARGUMENT,
            };
            assert_eq!(flagstore_error_code(self.pointer(wrong)), code);
            assert_eq!(CStr::from_ptr(flagstore_error_message(self.pointer(wrong))).to_bytes(), b"");
        }
    }

    pub(super) fn library(&mut self) {
        let name = self.input.argument(&[b"memory", b"file", b"\xff", b""], 8);
        // SAFETY: a text as C passes it, and a function that lives as long as the program.
        unsafe {
            let known = name.seen(false).is_ok_and(|name| FEATURES.contains(&name));
            assert_eq!(flagstore_has_feature(name.pointer(false)), known);
            let log = self.input.bool().then_some(logged as unsafe extern "C" fn(*mut c_void, i32, *const c_char));
            flagstore_set_log(log, ptr::null_mut(), self.input.below(8) as i32 - 1);
        }
    }
}

const FEATURES: [&str; 8] = ["memory", "file", "backend", "snapshot", "batch", "watch", "checked", "watched"];

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("the path is text")).expect("the path has no NUL")
}

/// The flags of the options, or the code of their refusal; what `given` is too short for is zero.
fn verdict(given: &[u64], size: u64, tail: u64) -> Expected<u64> {
    let word = |at: usize| if (at as u64 + 1) * 8 <= size { given[at] } else { 0 };
    let half = |at: usize, upper: bool| if upper { word(at) >> 32 } else { word(at) & 0xFFFF_FFFF };
    let (read_mode, durability, flags) = (half(1, false), half(1, true), half(2, false));
    let (timeout, mode, reserved) = (half(2, true) as u32 as i32, half(3, false), half(3, true));
    let valid = (8..=4096).contains(&size)
        && !(size > SIZE && tail != 0)
        && (durability <= 2 && flags <= 3 && timeout >= -1 && mode <= 0o777 && reserved == 0);
    if valid && read_mode <= 2 { Ok(flags) } else { Err(INVALID_ARGUMENT) }
}

unsafe extern "C" fn logged(_: *mut c_void, level: i32, message: *const c_char) {
    assert!((1..=4).contains(&level));
    // SAFETY: the library promises a NUL-terminated text.
    assert!(unsafe { CStr::from_ptr(message) }.to_str().is_ok_and(|text| !text.is_empty()));
}
