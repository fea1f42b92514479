//! What the library hands out: each object carries a tag in front of it that says what it is and how to drop it.

use crate::{Error, Result, sys};
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::ptr;

/// What an object is. The values are part of the tag, which another copy of the library in the process reads too.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u64)]
pub(super) enum Kind {
    Text = 1,
    Error = 2,
    Store = 3,
    Snapshot = 4,
    Batch = 5,
    Watch = 6,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Error => "error",
            Self::Store => "store",
            Self::Snapshot => "snapshot",
            Self::Batch => "batch",
            Self::Watch => "watch",
        }
    }
}

/// Sixteen bytes, so that what follows is aligned as malloc would align it. The function pointer makes an object free
/// itself by the copy of the library that made it.
#[repr(C, align(16))]
struct Tag {
    magic: u64,
    free: unsafe fn(*mut Tag),
}

/// No text, small number or address of user space looks like this.
const MAGIC: u64 = 0xF1A6_5704_E000_0000;

#[repr(C)]
struct Tagged<T> {
    tag: Tag,
    value: T,
}

/// How far into a page an object begins whose tag may be on another, or at the start of a mapping.
const PAGE_START: usize = 2 * size_of::<Tag>();

/// Whether an object there makes every look at its tag ask the system first: small ones are put elsewhere.
fn is_at_page_start(object: usize) -> bool {
    object % 4096 <= PAGE_START
}

/// Hands `value` over to the caller.
pub(super) fn into_raw<T>(kind: Kind, value: T) -> *mut T {
    let mut room = Box::<Tagged<T>>::new_uninit();
    if is_at_page_start(room.as_ptr() as usize + size_of::<Tag>()) {
        room = Box::new_uninit();
    }
    let tag = Tag { magic: MAGIC | kind as u64, free: free_boxed::<T> };
    room.write(Tagged { tag, value });
    let tagged = Box::into_raw(room).cast::<Tagged<T>>();
    // SAFETY: `tagged` has just been allocated and written.
    unsafe { &raw mut (*tagged).value }
}

/// A NUL-terminated copy of `text` for the caller; `OutOfMemory` instead of an abort.
pub(super) fn text_into_raw(text: &str) -> Result<*mut c_char> {
    let tag = allocate(size_of::<Tag>() + text.len() + 1)?;
    // SAFETY: malloc aligns to 16; the tag, the text and its NUL fit the size; the three parts do not overlap.
    unsafe {
        tag.write(Tag { magic: MAGIC | Kind::Text as u64, free: free_text });
        let bytes = tag.add(1).cast::<u8>();
        ptr::copy_nonoverlapping(text.as_ptr(), bytes, text.len());
        bytes.add(text.len()).write(0);
        Ok(bytes.cast())
    }
}

/// Memory of malloc for a tag and what follows it.
fn allocate(size: usize) -> Result<*mut Tag> {
    // Beyond this malloc may map pages of their own, and always puts it at the start.
    const SMALL: usize = 64 << 10;
    // SAFETY: what is given back is what was just taken.
    let room = unsafe {
        let mut room = libc::malloc(size);
        if size <= SMALL && is_at_page_start(room as usize + size_of::<Tag>()) {
            let other = libc::malloc(size);
            libc::free(room);
            room = other;
        }
        room
    };
    if room.is_null() { Err(Error::OutOfMemory) } else { Ok(room.cast()) }
}

unsafe fn free_boxed<T>(tag: *mut Tag) {
    // SAFETY: the tag was made by `into_raw` with this very T.
    drop(unsafe { Box::from_raw(tag.cast::<Tagged<T>>()) });
}

unsafe fn free_text(tag: *mut Tag) {
    // SAFETY: the tag was made by `text_into_raw`, with malloc.
    unsafe { libc::free(tag.cast()) };
}

/// The tag of what may be an object of this library.
#[inline(always)]
fn tag_of(object: *const c_void) -> Option<*mut Tag> {
    let tag = object.cast::<Tag>().wrapping_sub(1).cast_mut();
    if object.is_null() || !tag.is_aligned() {
        return None;
    }
    // A large text that was freed before is no longer mapped, nor may be what stands before a foreign page. Both lie
    // at the start of a page, where malloc puts what it maps (its own header is 16 bytes).
    if is_at_page_start(object as usize) && !sys::is_mapped(tag as usize) {
        return None;
    }
    // SAFETY: the caller promises an object of this library. Of anything else this reads the sixteen bytes in front,
    // which is the price of telling it at all.
    let magic = unsafe { ptr::read_volatile(&raw const (*tag).magic) };
    (magic & !0xFF == MAGIC).then_some(tag)
}

/// The object as what it is said to be.
#[inline(always)]
pub(super) fn borrow<'a, T>(object: *const T, kind: Kind, name: &str) -> Result<&'a T> {
    match tag_of(object.cast()) {
        // SAFETY: the tag says that it is the T which this kind always is.
        Some(tag) if unsafe { (*tag).magic } == MAGIC | kind as u64 => Ok(unsafe { &*object }),
        _ => Err(refused(object.is_null(), kind, name)),
    }
}

#[cold]
fn refused(is_null: bool, kind: Kind, name: &str) -> Error {
    if is_null {
        return Error::InvalidArgument(format!("{name} is NULL"));
    }
    let kind = kind.name();
    Error::InvalidArgument(format!("{name} is not a living {kind} of this library"))
}

/// Frees any object that the library handed out. What it did not is a bug in the host that cannot be left alone.
pub(super) fn free(object: *mut c_void) {
    if object.is_null() {
        return;
    }
    let Some(tag) = tag_of(object) else {
        sys::write_stderr(
            "flagstore: flagstore_free was given what is not an object of the library, or was freed before\n",
        );
        std::process::abort();
    };
    // SAFETY: the tag is whole; it is spoiled first, so that a second free is told.
    unsafe {
        let free = (*tag).free;
        ptr::write_volatile(&raw mut (*tag).magic, 0);
        free(tag);
    }
}
