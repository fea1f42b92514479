//! A change whose answer comes late, when others have changed the flag since and the backend is not reached any more.

use flagstore::{
    Backend, Batch, Error, FlagStore, Loaded, ReadMode, RemoteFlagStore, RemoteOptions, Result, Snapshot, Value,
};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long what must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct State {
    flag: i64,
    revision: u64,
    loaded: u64,
}

#[derive(Clone, Default)]
struct Engine {
    state: Arc<(Mutex<State>, Condvar)>,
    is_away: Arc<AtomicBool>,
}

impl Engine {
    fn change(&self, flag: i64) {
        let mut state = self.state.0.lock().unwrap();
        state.flag = flag;
        state.revision += 1;
        self.state.1.notify_all();
    }

    fn wait_until(&self, patience: Duration, holds: impl Fn(&State) -> bool) -> (MutexGuard<'_, State>, bool) {
        let state = self.state.0.lock().unwrap();
        let (state, timeout) = self.state.1.wait_timeout_while(state, patience, |state| !holds(state)).unwrap();
        (state, !timeout.timed_out())
    }
}

impl Backend for Engine {
    fn get(&self, _: &str) -> Result<Option<Value>> {
        Err(Error::NotImplemented("get"))
    }

    fn set(&self, _: &str, _: &Value) -> Result<()> {
        Err(Error::NotImplemented("set"))
    }

    fn delete(&self, _: &str) -> Result<bool> {
        Err(Error::NotImplemented("delete"))
    }

    fn list_all(&self) -> Result<Snapshot> {
        Err(Error::NotImplemented("list_all"))
    }

    fn is_concurrent(&self) -> bool {
        true
    }

    /// Answers when another's change, which comes after this one, has been read.
    fn commit(&self, _: &Batch) -> Result<u64> {
        self.change(1);
        let made_at = self.state.0.lock().unwrap().revision;
        self.change(2);
        let (_state, was_read) = self.wait_until(PATIENCE, |state| state.loaded > made_at);
        assert!(was_read, "the store does not follow");
        self.is_away.store(true, SeqCst);
        Ok(made_at)
    }

    fn load(&self, _: u64) -> Result<Loaded> {
        if self.is_away.load(SeqCst) {
            return Err(Error::Unavailable("away".into()));
        }
        let mut state = self.state.0.lock().unwrap();
        state.loaded = state.revision;
        self.state.1.notify_all();
        Ok(Loaded::Flags(Snapshot::from_flags([("flag", state.flag.into())])?, state.revision))
    }

    fn wait(&self, seen: u64, timeout: Duration) -> Result<Option<u64>> {
        let (state, is_another) = self.wait_until(timeout, |state| state.revision != seen);
        Ok(is_another.then_some(state.revision))
    }

    fn includes(&self, kept: u64, change: u64) -> bool {
        kept >= change
    }
}

#[test]
fn it_does_not_hide_the_later_one() {
    let engine = Engine::default();
    engine.change(0);
    let options = RemoteOptions::new().read_mode(ReadMode::Watched).spread(Duration::ZERO).call_timeout(PATIENCE);
    let store = RemoteFlagStore::open_with(engine, options).unwrap();
    store.set("flag", 1.into()).unwrap();
    assert_eq!(store.get("flag").unwrap(), Some(2.into()));
}
