//! What the library hands out: each object carries a tag in front of it that says what it is and how to drop it.

use crate::{Error, Result, sys};
use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::ptr;

/// The kind of an object. The values are part of the tag, which another copy of the library in the process reads too.
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

/// Aligned to 8, which malloc grants everywhere, also where pointers have 4 bytes. The function pointer makes an
/// object free itself by the copy of the library that made it.
#[repr(C, align(8))]
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

/// Hands `value` over to the caller.
pub(super) fn into_raw<T>(kind: Kind, value: T) -> *mut T {
    const { assert!(offset_of!(Tagged<T>, value) == size_of::<Tag>(), "the tag stands right before the value") };
    let tag = Tag { magic: MAGIC | kind as u64, free: free_boxed::<T> };
    let tagged = Box::into_raw(Box::new(Tagged { tag, value }));
    // SAFETY: `tagged` has just been allocated.
    unsafe { &raw mut (*tagged).value }
}

/// A NUL-terminated copy of `text` for the caller; `OutOfMemory` instead of an abort.
#[inline]
pub(super) fn text_into_raw(text: &str) -> Result<*mut c_char> {
    // SAFETY: any size may be asked for; a text and its tag are far from the largest.
    let tag = unsafe { libc::malloc(size_of::<Tag>() + text.len() + 1) }.cast::<Tag>();
    if tag.is_null() {
        return Err(Error::OutOfMemory);
    }
    // SAFETY: malloc aligns to 8; the tag, the text and its NUL fit the size; the three parts do not overlap.
    unsafe {
        tag.write(Tag { magic: MAGIC | Kind::Text as u64, free: free_text });
        let bytes = tag.add(1).cast::<u8>();
        ptr::copy_nonoverlapping(text.as_ptr(), bytes, text.len());
        bytes.add(text.len()).write(0);
        Ok(bytes.cast())
    }
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
    // SAFETY: the caller promises an object of this library. Of anything else this reads the bytes in front, which is
    // the price of telling it at all.
    let magic = unsafe { ptr::read_volatile(&raw const (*tag).magic) };
    (magic & !0xFF == MAGIC).then_some(tag)
}

/// The object as what it is said to be.
pub(super) fn borrow<'a, T>(object: *const T, kind: Kind, name: &str) -> Result<&'a T> {
    peek(object, kind).ok_or_else(|| refused(object.is_null(), kind, name))
}

/// The same; `None`: it is not what it is said to be.
#[inline(always)]
pub(super) fn peek<'a, T>(object: *const T, kind: Kind) -> Option<&'a T> {
    match tag_of(object.cast()) {
        // SAFETY: the tag says that it is the T which this kind always is.
        Some(tag) if unsafe { (*tag).magic } == MAGIC | kind as u64 => Some(unsafe { &*object }),
        _ => None,
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

/// Frees a text, which takes no more than the allocator; `false`: it is none, or it takes a look to tell.
#[inline(always)]
pub(super) fn free_if_text(object: *mut c_void) -> bool {
    if may_have_own_pages(object as usize, SMALLEST_PAGE) {
        return false;
    }
    match tag_of(object) {
        // SAFETY: the tag is whole; it is spoiled first, so that a second free is recognised.
        Some(tag) if unsafe { (*tag).magic } == MAGIC | Kind::Text as u64 => unsafe {
            release(tag);
            true
        },
        _ => false,
    }
}

/// # Safety
///
/// The tag must be that of an object that nobody uses any more.
#[inline(always)]
unsafe fn release(tag: *mut Tag) {
    // SAFETY: as above.
    unsafe {
        let free = (*tag).free;
        ptr::write_volatile(&raw mut (*tag).magic, 0);
        free(tag);
    }
}

/// Frees any object that the library handed out. What it did not is a bug in the host that cannot be left alone.
pub(super) fn free(object: *mut c_void) {
    if object.is_null() {
        return;
    }
    let Some(tag) = (!is_gone(object as usize)).then(|| tag_of(object)).flatten() else {
        sys::write_stderr(
            "flagstore: flagstore_free was given what is not an object of the library, or was freed before\n",
        );
        std::process::abort();
    };
    // SAFETY: the tag is whole; it is spoiled first, so that a second free is recognised.
    unsafe { release(tag) };
}

/// Whether the object's tag is known to be in no memory. A large text has pages of its own, which its first free gives
/// back: with glibc its tag is at their start, where only malloc's header may stand before it. Nor need there be a page
/// before a foreign pointer to the start of one. Everything else is in memory that stays.
fn is_gone(object: usize) -> bool {
    may_have_own_pages(object, SMALLEST_PAGE)
        && may_have_own_pages(object, sys::page_size())
        && sys::is_unmapped(object.wrapping_sub(size_of::<Tag>()))
}

/// The smallest size that pages have on any system.
const SMALLEST_PAGE: usize = 4096;

/// Whether the object stands as near behind the start of a page as a large text does. musl's malloc, for one, puts that
/// anywhere into its first page: then every object may be such a text.
fn may_have_own_pages(object: usize, page: usize) -> bool {
    cfg!(not(target_env = "gnu")) || object % page <= 2 * size_of::<Tag>()
}
