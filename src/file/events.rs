//! File-system events of everything a path leads through.

use crate::stop_token::StopToken;
use crate::sys;
use crate::sys::ProcessLocal;
use arc_swap::ArcSwapOption;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// As many links as the kernel follows before it says ELOOP.
const MAX_LINKS: usize = 40;

pub(super) struct Events {
    inotify: ProcessLocal<Inotify>,
    watched: Vec<WatchDescriptor>,
    /// What the links and the file are called in their directories, where others may come and go.
    names: BTreeSet<OsString>,
}

impl Events {
    /// Asks for the events of the directory of each symbolic link in the path, of the file's own directory, and of
    /// the file. An error where there are no events to be had, or none of what other machines change.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let descriptor = sys::above_stdio(OwnedFd::from(Inotify::init()?).into())?;
        let inotify = ProcessLocal::new(OwnedFd::from(descriptor).into());
        let mut events = Self { inotify, watched: Vec::new(), names: BTreeSet::new() };
        events.follow(path).map(|()| events)
    }

    /// Has the events of wherever the path leads by now; `None` after an error.
    pub(super) fn follow_or_start(path: &Path, events: &mut Option<Self>) -> io::Result<()> {
        let followed = match events.take() {
            Some(mut events) => events.follow(path).map(|()| events),
            None => Self::of(path),
        };
        followed.map(|followed| *events = Some(followed))
    }

    /// Asks for them anew: the path may lead elsewhere by now.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        // What has come until now is before any look that follows; what comes from now on may move the way.
        self.drain_relevant();
        let WatchSet { directories, names, file } = WatchSet::of(path);
        let entries = WatchMask::CREATE | WatchMask::DELETE | WatchMask::MOVE | WatchMask::ONLYDIR;
        let gone = WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
        let content = WatchMask::MODIFY | WatchMask::CLOSE_WRITE | WatchMask::ATTRIB;
        let mut watches = self.inotify.watches();
        let mut watched = Vec::new();
        for directory in directories {
            if sys::is_remote(&File::open(&directory)?) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            watched.push(watches.add(directory, entries | gone)?);
        }
        match watches.add(file, content | gone) {
            // Its directory tells when it comes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => watched.push(result?),
        }
        for left in std::mem::replace(&mut self.watched, watched) {
            if !self.watched.contains(&left) {
                // It fails if what was watched is gone.
                let _ = watches.remove(left);
            }
        }
        self.names = names;
        Ok(())
    }

    /// Takes the events that have come, and says whether any may be of the path. What else happens in its directories
    /// is not.
    pub(super) fn drain_relevant(&mut self) -> bool {
        let mut any = false;
        let mut buffer = [0; 4096];
        loop {
            match self.inotify.read_events(&mut buffer) {
                Ok(events) => {
                    for event in events {
                        any |= event.mask.contains(EventMask::Q_OVERFLOW)
                            || match event.name {
                                Some(name) => self.names.contains(name),
                                None => self.watched.contains(&event.wd),
                            };
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return any,
                // What cannot be read may be anything.
                Err(_) => return true,
            }
        }
    }

    /// Sleeps until there is an event, which is true, or the stop is set or the time is over. `None` has no events.
    pub(super) fn sleep(events: Option<&Self>, stop: Option<&StopToken>, timeout: Duration) -> bool {
        let descriptors = [events.map(|events| events.inotify.as_raw_fd()), stop.map(|stop| stop.event().as_raw_fd())];
        sys::poll(descriptors, Some(timeout))[0]
    }
}

/// Events that nobody waits for, to be waited for again: to end them takes the kernel many milliseconds.
pub(super) struct SpareWatcher(ArcSwapOption<(u64, Events)>);

impl SpareWatcher {
    pub(super) fn new() -> Self {
        Self(ArcSwapOption::empty())
    }

    pub(super) fn take(&self) -> Option<Events> {
        let (process, events) = self.0.swap(None).and_then(Arc::into_inner)?;
        // Those that a fork left in the child are the parent's, and not to be read here.
        (process == sys::process_generation()).then_some(events)
    }

    /// Whose place is taken ends here.
    pub(super) fn put(&self, events: Option<Events>) {
        if let Some(events) = events {
            self.0.store(Some(Arc::new((sys::process_generation(), events))));
        }
    }
}

/// Where a path leads through, and to.
struct WatchSet {
    /// Those of the links and of the file.
    directories: BTreeSet<PathBuf>,
    names: BTreeSet<OsString>,
    file: PathBuf,
}

impl WatchSet {
    fn of(path: &Path) -> Self {
        let (mut directories, mut found) = (BTreeSet::new(), BTreeSet::new());
        let mut at = PathBuf::from("/");
        let mut ahead: VecDeque<OsString> = names(path);
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            match next.read_link() {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    directories.insert(at.clone());
                    found.insert(name);
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
        found.extend(at.file_name().map(OsString::from));
        Self { directories, names: found, file: at }
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    let wanted = |component: &Component<'_>| matches!(component, Component::Normal(_) | Component::ParentDir);
    path.components().filter(wanted).map(|component| component.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// As Kubernetes mounts a ConfigMap: flags.json -> ..data/flags.json, and ..data is swapped.
    #[test]
    fn a_swapped_link_is_an_event_each_time_and_a_neighbour_none() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let publish = |version: &str| {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("flags.json"), "{}").unwrap();
            symlink(version, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        publish("..1");
        symlink("..data/flags.json", at("flags.json")).unwrap();
        let mut events = Events::of(&at("flags.json")).unwrap();
        for version in ["..2", "..3", "..4"] {
            publish(version);
            assert!(events.drain_relevant(), "{version}");
            events.follow(&at("flags.json")).unwrap();
            fs::write(at("neighbour"), "").unwrap();
            fs::write(at("..1/flags.json"), "[]").unwrap();
            assert!(!events.drain_relevant(), "{version}: what the path does not lead to");
            fs::write(at(version).join("flags.json"), "[]").unwrap();
            assert!(events.drain_relevant(), "{version}: the file itself");
        }
    }

    #[test]
    fn events_that_were_lost_may_have_been_any() {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.json");
        fs::write(&path, "{}").unwrap();
        let mut events = Events::of(&path).unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        fs::write(&one, "").unwrap();
        // Four events a turn, of a neighbour.
        for _ in 0..limit.trim().parse::<u32>().unwrap() / 4 + 1 {
            fs::rename(&one, &other).unwrap();
            fs::rename(&other, &one).unwrap();
        }
        assert!(events.drain_relevant());
        assert!(!events.drain_relevant());
    }
}
