//! POSIX access lists, as Linux keeps them in an extended attribute (linux/posix_acl_xattr.h), and who may lock.

use super::attributes::is_mapped;
use std::ffi::{CStr, CString, c_void};
use std::fs::{File, Metadata, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// The attribute of a file's access list.
pub(super) const ACCESS_LIST: &CStr = c"system.posix_acl_access";

const VERSION: u32 = 2;
const OWNER: u16 = 1;
const USER: u16 = 2;
const OWNING_GROUP: u16 = 4;
const GROUP: u16 = 8;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;
const NOBODY: u32 = u32::MAX;

const READ: u16 = 4;
const WRITE: u16 = 2;

/// Who may do what; sorted by kind and number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccessList(Vec<(u16, u32, u16)>);

impl AccessList {
    /// The list that `get` reads, as getxattr does; without one, that of the permission bits.
    fn read(metadata: &Metadata, get: impl FnOnce(*mut c_void, usize) -> isize) -> Self {
        let mut value = [0u8; 4096];
        let size = usize::try_from(get(value.as_mut_ptr().cast(), value.len())).ok();
        let entries = size.and_then(|size| Self::decode(&value[..size]));
        entries.map(Self).unwrap_or_else(|| {
            let mode = metadata.mode() as u16;
            Self(vec![
                (OWNER, NOBODY, mode >> 6 & 7),
                (OWNING_GROUP, NOBODY, mode >> 3 & 7),
                (OTHERS, NOBODY, mode & 7),
            ])
        })
    }

    fn of(file: &File, metadata: &Metadata) -> Self {
        // SAFETY: the name is NUL-terminated, the buffer as long as said.
        Self::read(metadata, |value, size| unsafe {
            libc::fgetxattr(file.as_raw_fd(), ACCESS_LIST.as_ptr(), value, size)
        })
    }

    /// By its path: who may write a directory may not always open it.
    fn of_directory(path: &CStr, metadata: &Metadata) -> Self {
        // SAFETY: path and name are NUL-terminated, the buffer is as long as said.
        Self::read(metadata, |value, size| unsafe { libc::getxattr(path.as_ptr(), ACCESS_LIST.as_ptr(), value, size) })
    }

    fn decode(value: &[u8]) -> Option<Vec<(u16, u32, u16)>> {
        let (version, entries) = value.split_first_chunk()?;
        if u32::from_le_bytes(*version) != VERSION {
            return None;
        }
        let entry = |bytes: &[u8]| {
            let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            (word(0), u32::from(word(6)) << 16 | u32::from(word(4)), word(2))
        };
        Some(entries.chunks_exact(8).map(entry).collect())
    }

    fn encode(&self) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for (tag, id, permissions) in &self.0 {
            value.extend(tag.to_le_bytes());
            value.extend(permissions.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    }

    pub(super) fn remove(file: &File) {
        // SAFETY: the name is NUL-terminated.
        unsafe { libc::fremovexattr(file.as_raw_fd(), ACCESS_LIST.as_ptr()) };
    }

    /// The list for a lock file: those who may write the directory may read it, nobody else may.
    fn for_lock(directory: &Self, of: &Metadata, lock: &Metadata) -> Self {
        let mask = directory.0.iter().find(|entry| entry.0 == MASK).map_or(7, |entry| entry.2);
        let may_read = |permissions: u16| if permissions & WRITE != 0 { READ } else { 0 };
        let (mut entries, mut owner, mut group) = (vec![(OWNER, NOBODY, READ)], 0, 0);
        for &(tag, id, permissions) in &directory.0 {
            match tag {
                OWNER => owner = may_read(permissions),
                OWNING_GROUP => group = may_read(permissions & mask),
                USER | GROUP => entries.push((tag, id, may_read(permissions & mask))),
                OTHERS => entries.push((OTHERS, NOBODY, may_read(permissions))),
                _ => {}
            }
        }
        // The owner and the group of the directory, where the lock file has others.
        if lock.uid() != of.uid() && owner != 0 {
            entries.push((USER, of.uid(), owner));
        }
        if lock.gid() != of.gid() {
            entries.push((GROUP, of.gid(), std::mem::take(&mut group)));
        }
        entries.push((OWNING_GROUP, NOBODY, group));
        entries.retain(|&(tag, _, permissions)| !matches!(tag, USER | GROUP) || permissions != 0);
        if entries.iter().any(|entry| matches!(entry.0, USER | GROUP)) {
            entries.push((MASK, NOBODY, READ));
        }
        entries.sort_unstable();
        entries.dedup_by_key(|&mut (tag, id, _)| (tag, id));
        Self(entries)
    }

    /// The permission bits that say the same, but for users and groups by name.
    fn mode(&self) -> u32 {
        let of = |tag: u16| self.0.iter().find(|entry| entry.0 == tag).map_or(0, |entry| u32::from(entry.2));
        of(OWNER) << 6 | of(OWNING_GROUP) << 3 | of(OTHERS)
    }

    fn has_names(&self) -> bool {
        self.0.iter().any(|entry| matches!(entry.0, USER | GROUP))
    }
}

/// Lets those take the lock who may write the directory, and nobody else, as far as this process may say so. Only for
/// an empty lock file of one name: another's file might stand there instead. `metadata` is the lock file's.
pub(crate) fn share_lock(lock: &File, mut metadata: Metadata, directory: &Path) {
    // SAFETY: takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    if metadata.nlink() != 1 || metadata.len() != 0 || user != 0 && user != metadata.uid() {
        return;
    }
    let (Ok(of), Ok(path)) = (directory.metadata(), CString::new(directory.as_os_str().as_bytes())) else {
        return;
    };
    let owner = (user == 0 && metadata.uid() != of.uid() && is_mapped(of.uid(), "uid")).then(|| of.uid());
    let group = (metadata.gid() != of.gid() && is_mapped(of.gid(), "gid")).then(|| of.gid());
    if owner.is_some() || group.is_some() {
        if fchown(lock, owner, group).is_err() && owner.is_some() {
            let _ = fchown(lock, None, group);
        }
        match lock.metadata() {
            Ok(now) => metadata = now,
            Err(_) => return,
        }
    }
    let wanted = AccessList::for_lock(&AccessList::of_directory(&path, &of), &of, &metadata);
    if AccessList::of(lock, &metadata) == wanted {
        return;
    }
    let value = wanted.encode();
    // SAFETY: the name is NUL-terminated, the value as long as said.
    let is_set = wanted.has_names()
        && unsafe {
            libc::fsetxattr(lock.as_raw_fd(), ACCESS_LIST.as_ptr(), value.as_ptr().cast(), value.len(), 0) == 0
        };
    if !is_set && (!wanted.has_names() || metadata.mode() & 0o777 != wanted.mode()) {
        AccessList::remove(lock);
        let _ = lock.set_permissions(Permissions::from_mode(wanted.mode()));
    }
}
