//! src/sys/hazard_arc.rs in every order of its atomic operations that a scheduler finds. Sequentially consistent: what
//! weaker orders might add is argued in the source, where every operation that matters is SeqCst.

extern crate flagstore_model_atomics as std;

#[allow(dead_code)]
#[path = "../../../../src/sys/hazard_arc.rs"]
mod hazard_arc;

use hazard_arc::HazardArc;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::{Config, Runner, thread};
use std::sync::Arc;

const SEED: u64 = 0xf1a6;
const SCHEDULES: usize = 6_000;

/// One look decides, so that few steps lead to whatever a writer does about a reader that stays.
const SPINS: usize = 1;

/// Nobody forks in the model.
fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

fn without_cancellation<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// A version that knows whether it still lives, as do all who ask.
struct Version {
    number: usize,
    alive: Arc<AtomicUsize>,
    /// Spoiled when it is dropped.
    canary: AtomicUsize,
}

const LIVES: usize = 0xa11e;

impl Version {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self { number, alive: Arc::clone(alive), canary: AtomicUsize::new(LIVES) }
    }

    fn read(&self) -> usize {
        assert_eq!(self.canary.load(SeqCst), LIVES, "read after it was dropped");
        self.number
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        assert_eq!(self.canary.swap(0, SeqCst), LIVES, "dropped twice");
        self.alive.fetch_sub(1, SeqCst);
    }
}

fn explore(scenario: fn(&Arc<HazardArc<Version>>, &Arc<AtomicUsize>)) {
    // The records are one static: one scenario at a time.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let scenario = move || {
        let alive = Arc::new(AtomicUsize::new(0));
        let cell = Arc::new(HazardArc::new(Version::new(0, &alive)));
        scenario(&cell, &alive);
        assert_eq!(alive.load(SeqCst), 1, "an old version outlives its readers");
        drop(cell);
        assert_eq!(alive.load(SeqCst), 0);
    };
    Runner::new(RandomScheduler::new_from_seed(SEED, SCHEDULES / 2), Config::default()).run(scenario);
    Runner::new(PctScheduler::new_from_seed(SEED, 4, SCHEDULES / 2), Config::default()).run(scenario);
}

/// Runs each in a thread of its own, to its end.
fn together(threads: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = threads.into_iter().map(thread::spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn reader(cell: &Arc<HazardArc<Version>>, reads: usize) -> Box<dyn FnOnce() + Send> {
    let cell = Arc::clone(cell);
    Box::new(move || {
        let mut last = 0;
        for _ in 0..reads {
            let guard = cell.load();
            let number = guard.read();
            assert!(number >= last, "older than what was read before");
            last = number;
            assert_eq!(guard.read(), number);
        }
    })
}

fn nested_reader(cell: &Arc<HazardArc<Version>>) -> Box<dyn FnOnce() + Send> {
    let cell = Arc::clone(cell);
    Box::new(move || {
        let outer = cell.load();
        let (inner, kept) = (cell.load(), cell.load_full());
        assert!(outer.read() <= inner.read() && inner.read() <= kept.read());
        drop(outer);
        assert_eq!(kept.clone().read(), kept.read());
    })
}

fn writer(cell: &Arc<HazardArc<Version>>, alive: &Arc<AtomicUsize>, writes: usize) -> Box<dyn FnOnce() + Send> {
    let (cell, alive) = (Arc::clone(cell), Arc::clone(alive));
    Box::new(move || {
        for _ in 0..writes {
            loop {
                let before = cell.load();
                let number = before.read() + 1;
                if cell.replace(before, Version::new(number, &alive)) {
                    break;
                }
            }
        }
    })
}

#[test]
fn a_reader_beside_two_writers() {
    explore(|cell, alive| {
        together(vec![reader(cell, 3), writer(cell, alive, 2), writer(cell, alive, 2)]);
        assert_eq!(cell.load().read(), 4);
    });
}

/// Without a read of its own, a writer is soon where another one can overtake it.
fn plain_writer(cell: &Arc<HazardArc<Version>>, alive: &Arc<AtomicUsize>, writes: usize) -> Box<dyn FnOnce() + Send> {
    let (cell, alive) = (Arc::clone(cell), Arc::clone(alive));
    Box::new(move || (0..writes).for_each(|_| cell.store(Version::new(1, &alive))))
}

/// Two writers entrust the same record, while its owner goes on to the next version.
#[test]
fn a_record_that_two_writers_want() {
    explore(|cell, alive| {
        let own = Arc::clone(cell);
        let reads = Box::new(move || (0..3).for_each(|_| assert!(own.load().read() <= 1)));
        together(vec![reads, plain_writer(cell, alive, 2), plain_writer(cell, alive, 2)]);
    });
}

#[test]
fn two_readers_beside_a_writer() {
    explore(|cell, alive| together(vec![reader(cell, 2), reader(cell, 2), writer(cell, alive, 3)]));
}

#[test]
fn guards_within_guards() {
    explore(|cell, alive| together(vec![nested_reader(cell), nested_reader(cell), writer(cell, alive, 2)]));
}

#[test]
fn threads_that_come_and_go() {
    explore(|cell, alive| {
        let (own, counter) = (Arc::clone(cell), Arc::clone(alive));
        let passing = Box::new(move || {
            for _ in 0..2 {
                let thread = thread::spawn(reader(&own, 1));
                own.store(Version::new(0, &counter));
                thread.join().unwrap();
            }
        });
        together(vec![passing, nested_reader(cell)]);
    });
}

/// What a writer finds in use while it stores for the second cell is not the first cell's.
#[test]
fn two_cells_share_the_records() {
    explore(|cell, alive| {
        let others = Arc::new(AtomicUsize::new(0));
        let other = Arc::new(HazardArc::new(Version::new(0, &others)));
        let (one, two) = (Arc::clone(cell), Arc::clone(&other));
        let reads_both = Box::new(move || {
            for _ in 0..2 {
                let (a, b) = (one.load(), two.load());
                assert!(a.read() + b.read() <= 4);
            }
        });
        together(vec![reads_both, writer(cell, alive, 2), writer(&other, &others, 2)]);
        assert_eq!(others.load(SeqCst), 1);
    });
}
