//! One process of the model: a copy of the library's source with a registry of its own. Nobody forks in the model.

#[allow(dead_code)]
#[path = "../../../../src/file/turn.rs"]
mod turn;

use flagstore_model::fs::File;
use flagstore_model::time::{Duration, Instant};
use std::path::Path;

/// Does `work` under the lock, as src/file/lock.rs takes it; `None`: the time was up, which it really was.
pub fn locked<T>(timeout: Option<Duration>, work: impl FnOnce() -> T) -> Option<T> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let result = try_locked(deadline, work);
    assert!(result.is_some() || deadline.is_some_and(|deadline| deadline <= Instant::now()), "gave up too early");
    result
}

fn try_locked<T>(deadline: Option<Instant>, work: impl FnOnce() -> T) -> Option<T> {
    let turn = turn::Turn::wait(Path::new(".flags.json.lock"), deadline)?;
    let file = turn.lock(|| Ok(File::open_lock_file()), deadline).expect("the model's files do not fail")?;
    let result = work();
    turn.release(file);
    Some(result)
}
