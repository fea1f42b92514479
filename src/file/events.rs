//! File-system events of everything a path leads through.

use crate::change::Stop;
use crate::sys;
use inotify::{Inotify, WatchMask};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// As many links as the kernel follows before it says ELOOP.
const MAX_LINKS: usize = 40;

pub(super) struct Events(Inotify);

impl Events {
    /// Asks for the events of the directory of each symbolic link in the path, of the file's own directory, and of
    /// the file. An error where there are no events to be had, or none of what other machines change.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let events = Inotify::init()?;
        let (directories, file) = follow(path);
        let entries = WatchMask::CREATE | WatchMask::DELETE | WatchMask::MOVE | WatchMask::ONLYDIR;
        let gone = WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
        let content = WatchMask::MODIFY | WatchMask::CLOSE_WRITE | WatchMask::ATTRIB;
        for directory in directories {
            if sys::is_remote(&File::open(&directory)?) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            events.watches().add(directory, entries | gone)?;
        }
        match events.watches().add(file, content | gone) {
            // Its directory tells when it comes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => drop(result?),
        }
        Ok(Self(events))
    }

    /// Sleeps until there is an event, which is true, or the stop is set or the time is over. `None` has no events.
    pub(super) fn sleep(events: Option<&Self>, stop: Option<&Stop>, timeout: Duration) -> bool {
        let descriptors = [events.map(|events| events.0.as_raw_fd()), stop.map(|stop| stop.event().as_raw_fd())];
        sys::poll(descriptors, Some(timeout))[0]
    }
}

/// The directories that a path leads through by links and the one it ends in, and the file itself.
fn follow(path: &Path) -> (BTreeSet<PathBuf>, PathBuf) {
    let mut directories = BTreeSet::new();
    let mut at = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = names(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        match next.read_link() {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                directories.insert(at.clone());
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    ahead.push_front(name);
                }
            }
            _ => at = next,
        }
    }
    directories.extend(at.parent().map(Path::to_path_buf));
    (directories, at)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let wanted = |component: &Component<'_>| matches!(component, Component::Normal(_) | Component::ParentDir);
    path.components().filter(wanted).map(|component| component.as_os_str().to_owned()).collect()
}
