//! Owner, access lists and extended attributes of files.

use super::access_list::{ACCESS_LIST, AccessList};
use crate::sys::permissions::set_mode;
use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::ptr;

/// Gives `to` the owner, permission bits and extended attributes (access lists among them) of `from`, as far as this
/// process may; returns what could not be kept.
///
/// Where something cannot be kept, nobody gains by it: another group gets what everybody has, and the group's bits,
/// which are the mask of a list, come only with the list or where there was none.
pub(crate) fn copy_attributes(from: &File, to: &File) -> io::Result<Vec<&'static str>> {
    let (old, made) = (from.metadata()?, to.metadata()?);
    let mut refused = Vec::new();
    copy_owner(&old, to, &made, &mut refused);
    let group_kept = made.gid() == old.gid() || to.metadata()?.gid() == old.gid();
    let has_list =
        |names: &Vec<u8>| names.split_inclusive(|&byte| byte == 0).any(|name| name == ACCESS_LIST.to_bytes_with_nul());
    if !attribute_names(to).is_ok_and(|names| !has_list(&names)) {
        // A directory's default list has no say about a file that was there before.
        AccessList::remove(to);
    }
    let names = attribute_names(from);
    let mode = old.mode() & 0o7777;
    let wanted = match names.as_ref().is_ok_and(|names| !has_list(names)) {
        true if group_kept => mode,
        true => mode & !0o070 | (mode & 0o007) << 3,
        false => mode & !0o070,
    };
    set_mode(to, wanted, &mut refused)?;
    match names {
        Ok(names) => {
            for name in names.split_inclusive(|&byte| byte == 0) {
                match CStr::from_bytes_with_nul(name) {
                    Ok(name) if name == ACCESS_LIST && !group_kept => refused.push("the access list"),
                    Ok(name) if name == ACCESS_LIST => copy_attribute(from, to, name, "the access list", &mut refused),
                    Ok(name) => copy_attribute(from, to, name, "an extended attribute", &mut refused),
                    Err(_) => {}
                }
            }
        }
        Err(_) => refused.push("the access list and the extended attributes, which cannot be listed"),
    }
    Ok(refused)
}

fn copy_owner(old: &Metadata, to: &File, made: &Metadata, refused: &mut Vec<&'static str>) {
    let mut wanted = |made: u32, old: u32, kind: &str, what: &'static str| {
        if made != old && !is_mapped(old, kind) {
            refused.push(what);
            return None;
        }
        (made != old).then_some(old)
    };
    let owner = wanted(made.uid(), old.uid(), "uid", "the owner");
    let group = wanted(made.gid(), old.gid(), "gid", "the group");
    if owner.is_none() && group.is_none() || fchown(to, owner, group).is_ok() {
        return;
    }
    if owner.is_some() {
        refused.push("the owner");
    }
    // A process that may not give the file away may still keep its group.
    if group.is_some() && (owner.is_none() || fchown(to, None, group).is_err()) {
        refused.push("the group");
    }
}

/// Whether the number is an owner's or group's own. An owner that a user namespace does not know shows as the overflow
/// number, which there may be a stranger's.
pub(super) fn is_mapped(id: u32, kind: &str) -> bool {
    let overflow = std::fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
    // 65534 on every kernel, unless an administrator has said otherwise.
    if overflow.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65534) != id {
        return true;
    }
    let map = std::fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn attribute_names(file: &File) -> io::Result<Vec<u8>> {
    // SAFETY: a size of 0 asks for the size needed and writes nothing.
    let size = unsafe { libc::flistxattr(file.as_raw_fd(), ptr::null_mut(), 0) };
    let mut names = match usize::try_from(size) {
        Ok(size) => vec![0; size],
        Err(_) => match io::Error::last_os_error() {
            // There can be none.
            error if error.raw_os_error() == Some(libc::ENOTSUP) => Vec::new(),
            error => return Err(error),
        },
    };
    if names.is_empty() {
        return Ok(names);
    }
    // SAFETY: the buffer is as long as said.
    let size = unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(usize::try_from(size).map_err(|_| io::Error::last_os_error())?);
    Ok(names)
}

fn copy_attribute(from: &File, to: &File, name: &CStr, what: &'static str, refused: &mut Vec<&'static str>) {
    // 64 KiB is the kernel's limit for one value (XATTR_SIZE_MAX).
    let mut value = vec![0u8; 65536];
    // SAFETY: name is NUL-terminated, the buffer as long as said.
    let size = unsafe { libc::fgetxattr(from.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let is_copied = usize::try_from(size).is_ok_and(|size| {
        // SAFETY: as above.
        unsafe { libc::fsetxattr(to.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), size, 0) == 0 }
    });
    // A security module labels new files by its own rules.
    if !is_copied && !name.to_bytes().starts_with(b"security.") && !refused.contains(&what) {
        refused.push(what);
    }
}
