//! One process of the model: a copy of the library's source with a registry of its own. Nobody forks in the model.

#[allow(dead_code)]
#[path = "../../../../src/file/write/queue.rs"]
mod queue;

use flagstore_model::fs::File;
use flagstore_model::time::{Duration, Instant};
use queue::{Admission, Leader};
use request::Request;
use std::path::Path;
use std::sync::Arc;

/// src/file/write/request.rs, of which the line knows this much.
pub mod request {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    pub struct Request {
        /// Those of one kind may be served together; `None`: only alone.
        pub kind: Option<u32>,
        pub number: usize,
        served: AtomicBool,
    }

    /// The numbers in the order in which they were served.
    pub static SERVED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

    impl Request {
        pub fn new(kind: Option<u32>, number: usize) -> Self {
            Self { kind, number, served: AtomicBool::new(false) }
        }

        pub fn can_share_write_with(&self, other: &Self) -> bool {
            std::ptr::eq(self, other) || self.kind.is_some() && self.kind == other.kind
        }

        pub fn is_complete(&self) -> bool {
            self.served.load(SeqCst)
        }

        pub fn complete(&self) {
            SERVED.lock().unwrap().push(self.number);
            assert!(!self.served.swap(true, SeqCst), "served twice");
        }
    }
}

/// Does `work` under the lock, as src/file/write/lock.rs takes it; `None`: the time was up, which it really was.
pub fn locked<T>(timeout: Option<Duration>, work: impl FnOnce() -> T) -> Option<T> {
    let alone = Arc::new(Request::new(None, 0));
    with_turn(&alone, timeout, |_| work()).map(|done| done.expect("nobody may serve it"))
}

/// Has the request served by whoever has the turn; false: the time was up, and it was not. `overtaken`: somebody else
/// changes the file meanwhile, so that all but ours go back into the line.
pub fn served(request: &Arc<Request>, timeout: Option<Duration>, overtaken: bool, work: fn()) -> bool {
    let done = with_turn(request, timeout, |turn| {
        let first = turn.claim_group();
        assert!(Arc::ptr_eq(&first[0], request), "our own comes first");
        work();
        let taken = turn.claim_group();
        assert!(first.iter().zip(&taken).all(|(a, b)| Arc::ptr_eq(a, b)), "who was taken stays");
        taken[..if overtaken { 1 } else { taken.len() }].iter().for_each(|request| request.complete());
    });
    assert_eq!(done.is_some(), request.is_complete(), "served, or not at all");
    done.is_some()
}

/// `None`: the time was up, which it really was; `Some(None)`: somebody else has served the request.
fn with_turn<T>(
    request: &Arc<Request>,
    timeout: Option<Duration>,
    work: impl FnOnce(&Leader) -> T,
) -> Option<Option<T>> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let turn = match Leader::wait(Path::new(".flags.json.lock"), request, deadline) {
        Admission::Completed => return Some(None),
        Admission::TimedOut => None,
        Admission::Leader(turn) => Some(turn),
    };
    let result = turn.and_then(|turn| {
        let file = turn.lock(|| Ok(File::open_lock_file()), deadline).expect("the model's files do not fail")?;
        let result = work(&turn);
        turn.release(file);
        Some(result)
    });
    assert!(result.is_some() || deadline.is_some_and(|deadline| deadline <= Instant::now()), "gave up too early");
    result.map(Some)
}
