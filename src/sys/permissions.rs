//! Permission bits of files.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// What `copy_attributes` and [`set_permissions`] say of permissions that could not be set.
pub(crate) const PERMISSIONS: &str = "the permissions";

/// Gives the file these permission bits; returns what could not be had.
pub(crate) fn set_permissions(file: &File, mode: u32) -> io::Result<Vec<&'static str>> {
    let mut refused = Vec::new();
    set_mode(file, mode, &mut refused).map(|()| refused)
}

/// Sets the permission bits only where they differ: some file systems refuse, but have the right ones already.
pub(super) fn set_mode(to: &File, wanted: u32, refused: &mut Vec<&'static str>) -> io::Result<()> {
    let made = to.metadata()?.mode() & 0o7777;
    if made == wanted {
        return Ok(());
    }
    match to.set_permissions(Permissions::from_mode(wanted)) {
        // Narrower permissions are logged; wider ones are an error.
        Err(_) if made & !wanted == 0 => {
            refused.push(PERMISSIONS);
            Ok(())
        }
        result => result,
    }
}
