//! File-system events of everything a path leads through.

use crate::stop_token::StopToken;
use crate::sys::{self, ProcessLocal};
use arc_swap::ArcSwapOption;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many links the kernel follows before it says ELOOP.
const MAX_LINKS: usize = 40;

pub(super) struct Events {
    inotify: ProcessLocal<Inotify>,
    watched: Vec<WatchDescriptor>,
    /// The names of the links and of the file in their directories, where others may come and go.
    names: BTreeSet<OsString>,
}

/// The outcome of taking the events that have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    /// Nothing that concerns the path.
    Nothing,
    Relevant,
    /// The source of events is gone: somebody has closed it.
    Lost,
}

impl Events {
    /// Asks for the events of the directory of each symbolic link in the path, of the file's own directory, and of
    /// the file. An error where there are none to be had, or none of other machines' changes.
    fn start(path: &Path) -> io::Result<Self> {
        let descriptor = sys::above_stdio(OwnedFd::from(Inotify::init()?).into())?;
        let inotify = ProcessLocal::new(OwnedFd::from(descriptor).into());
        let mut events = Self { inotify, watched: Vec::new(), names: BTreeSet::new() };
        events.follow(path).map(|()| events)
    }

    /// Has the events of wherever the path leads by now; `None` after an error.
    pub(super) fn follow_or_start(path: &Path, events: &mut Option<Self>) -> io::Result<()> {
        // Earlier events are older than any stat that follows; later ones may concern another way.
        Self::drain_relevant(events);
        let followed = match events.take() {
            Some(mut events) => events.follow(path).map(|()| events),
            None => Self::start(path),
        };
        followed.map(|followed| *events = Some(followed))
    }

    /// Asks for them anew: the path may lead elsewhere by now.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        let WatchSet { directories, names, file } = WatchSet::of(path);
        let entries = WatchMask::CREATE | WatchMask::DELETE | WatchMask::MOVE | WatchMask::ONLYDIR;
        let gone = WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
        let content = WatchMask::MODIFY | WatchMask::CLOSE_WRITE | WatchMask::ATTRIB;
        let mut watches = self.inotify.get().ok_or(io::ErrorKind::NotConnected)?.watches();
        let mut watched = Vec::new();
        for directory in directories {
            if !sys::is_local(&File::open(&directory)?) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            watched.push(watches.add(directory, entries | gone)?);
        }
        match watches.add(file, content | gone) {
            // Its directory announces when it comes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => watched.push(result?),
        }
        for left in std::mem::replace(&mut self.watched, watched) {
            if !self.watched.contains(&left) {
                // It fails if the watched file is gone.
                let _ = watches.remove(left);
            }
        }
        self.names = names;
        Ok(())
    }

    /// Takes the events that have come. A source that is lost becomes `None`.
    pub(super) fn drain_relevant(events: &mut Option<Self>) -> Drained {
        let drained = events.as_mut().map_or(Drained::Nothing, Self::drain);
        if drained == Drained::Lost {
            *events = None;
        }
        drained
    }

    fn drain(&mut self) -> Drained {
        let Some(inotify) = self.inotify.get_mut() else {
            return Drained::Lost;
        };
        let mut drained = Drained::Nothing;
        let mut buffer = [0; 4096];
        loop {
            match inotify.read_events(&mut buffer) {
                Ok(events) => {
                    for event in events {
                        let is_relevant = event.mask.contains(EventMask::Q_OVERFLOW)
                            || match event.name {
                                // Other files of its directories are not.
                                Some(name) => self.names.contains(name),
                                None => self.watched.contains(&event.wd),
                            };
                        if is_relevant {
                            drained = Drained::Relevant;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Drained::Lost,
            }
        }
    }

    /// Sleeps until there is an event, or the token is set, or the time is over; may also wake for no reason.
    pub(super) fn sleep(events: Option<&Self>, stop: Option<&StopToken>, timeout: Duration) {
        let inotify = events.and_then(|events| events.inotify.get()).map(Inotify::as_fd);
        match (inotify, stop) {
            (Some(inotify), Some(stop)) => stop.poll(inotify, timeout),
            (Some(inotify), None) => sys::poll([Some(inotify), None], timeout),
            (None, Some(stop)) => stop.wait(timeout),
            (None, None) => sys::sleep(timeout),
        }
    }
}

/// Events that nobody waits for, to be waited for again: the kernel takes many milliseconds to end them.
pub(super) struct SpareWatcher(ArcSwapOption<Events>);

impl SpareWatcher {
    pub(super) fn new() -> Self {
        Self(ArcSwapOption::empty())
    }

    /// Those that a fork left in a child are the parent's: they count as lost.
    pub(super) fn take(&self) -> Option<Events> {
        self.0.swap(None).and_then(Arc::into_inner)
    }

    /// Keeps these and ends those kept before.
    pub(super) fn put(&self, events: Option<Events>) {
        if let Some(events) = events {
            self.0.store(Some(Arc::new(events)));
        }
    }
}

/// Everything that a path leads through, and to.
struct WatchSet {
    /// The directories of the links and of the file.
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
        let mut events = Some(Events::start(&at("flags.json")).unwrap());
        for version in ["..2", "..3", "..4"] {
            publish(version);
            assert_eq!(Events::drain_relevant(&mut events), Drained::Relevant, "{version}");
            Events::follow_or_start(&at("flags.json"), &mut events).unwrap();
            fs::write(at("neighbour"), "").unwrap();
            fs::write(at("..1/flags.json"), "[]").unwrap();
            let drained = Events::drain_relevant(&mut events);
            assert_eq!(drained, Drained::Nothing, "{version}: what the path does not lead to");
            fs::write(at(version).join("flags.json"), "[]").unwrap();
            assert_eq!(Events::drain_relevant(&mut events), Drained::Relevant, "{version}: the file itself");
        }
    }

    #[test]
    fn events_that_were_lost_may_have_been_any() {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.json");
        fs::write(&path, "{}").unwrap();
        let mut events = Some(Events::start(&path).unwrap());
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        fs::write(&one, "").unwrap();
        // Four events of a neighbour each time.
        for _ in 0..limit.trim().parse::<u32>().unwrap() / 4 + 1 {
            fs::rename(&one, &other).unwrap();
            fs::rename(&other, &one).unwrap();
        }
        assert_eq!(Events::drain_relevant(&mut events), Drained::Relevant);
        assert_eq!(Events::drain_relevant(&mut events), Drained::Nothing);
    }
}
