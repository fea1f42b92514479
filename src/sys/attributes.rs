//! Owner, permissions, access lists and extended attributes, from one file to another.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

/// Where Linux keeps a file's access list.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";

/// Gives `to` the owner, permission bits and extended attributes (access lists among them) of `from`, as far as this
/// process may. Where something cannot be kept, nobody gains by it: another group gets what everybody has, and the
/// group's bits, which are the mask of a list, come only with the list or where there was none.
pub(crate) fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (metadata, made) = (from.metadata()?, to.metadata()?);
    if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid())
        && std::os::unix::fs::fchown(to, Some(metadata.uid()), Some(metadata.gid())).is_err()
    {
        // Whoever may not give the file away may still keep its group.
        let _ = std::os::unix::fs::fchown(to, None, Some(metadata.gid()));
    }
    let set_mode = |mode| to.set_permissions(std::fs::Permissions::from_mode(mode));
    let mode = metadata.mode() & 0o7777;
    let group_kept = made.gid() == metadata.gid() || to.metadata()?.gid() == metadata.gid();
    let has_list =
        |names: &Vec<u8>| names.split_inclusive(|&byte| byte == 0).any(|name| name == ACCESS_LIST.to_bytes_with_nul());
    if !attribute_names(to).is_ok_and(|names| !has_list(&names)) {
        // SAFETY: the name is NUL-terminated. A directory's default list has no say about a file that was there before.
        unsafe { libc::fremovexattr(to.as_raw_fd(), ACCESS_LIST.as_ptr()) };
    }
    let names = match attribute_names(from) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSUP) => Ok(Vec::new()),
        names => names,
    };
    match names.as_ref().is_ok_and(|names| !has_list(names)) {
        true if group_kept => set_mode(mode)?,
        true => set_mode(mode & !0o070 | (mode & 0o007) << 3)?,
        false => set_mode(mode & !0o070)?,
    }
    for name in names.unwrap_or_default().split_inclusive(|&byte| byte == 0) {
        match CStr::from_bytes_with_nul(name) {
            Ok(name) if group_kept || name != ACCESS_LIST => copy_attribute(from, to, name),
            _ => {}
        }
    }
    Ok(())
}

fn attribute_names(file: &File) -> io::Result<Vec<u8>> {
    // SAFETY: a size of 0 asks for the size needed and writes nothing.
    let size = unsafe { libc::flistxattr(file.as_raw_fd(), ptr::null_mut(), 0) };
    let mut names = vec![0; usize::try_from(size).map_err(|_| io::Error::last_os_error())?];
    if names.is_empty() {
        return Ok(names);
    }
    // SAFETY: the buffer is as long as said.
    let size = unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    names.truncate(usize::try_from(size).map_err(|_| io::Error::last_os_error())?);
    Ok(names)
}

fn copy_attribute(from: &File, to: &File, name: &CStr) {
    // 64 KiB is the kernel's limit for one value (XATTR_SIZE_MAX).
    let mut value = vec![0u8; 65536];
    // SAFETY: name is NUL-terminated, the buffer as long as said.
    let size = unsafe { libc::fgetxattr(from.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    if let Ok(size) = usize::try_from(size) {
        // SAFETY: as above. A refusal leaves the attribute out, which is all that can be done.
        unsafe { libc::fsetxattr(to.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), size, 0) };
    }
}
