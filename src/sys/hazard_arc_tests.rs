use super::HazardArc;
use super::hazard_arc::record_count;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

/// Counts how many are alive.
struct Counted {
    number: usize,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self { number, alive: Arc::clone(alive) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

fn counted() -> (HazardArc<Counted>, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    (HazardArc::new(Counted::new(0, &alive)), alive)
}

/// Records are the process's: the tests that count or keep them take turns.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_version_is_dropped_as_soon_as_its_last_reader_is_done() {
    let _alone = ALONE.lock();
    let (cell, alive) = counted();
    let (first, second) = (cell.load(), cell.load());
    cell.store(Counted::new(1, &alive));
    assert_eq!((first.number, second.number, cell.load().number, alive.load(SeqCst)), (0, 0, 1, 2));
    drop(first);
    assert_eq!((second.number, alive.load(SeqCst)), (0, 2));
    drop(second);
    assert_eq!(alive.load(SeqCst), 1);
    let kept = cell.load_full();
    assert!(!cell.replace(
        {
            let before = cell.load();
            cell.store(Counted::new(2, &alive));
            before
        },
        Counted::new(3, &alive)
    ));
    assert!(cell.replace(cell.load(), Counted::new(4, &alive)));
    assert_eq!((kept.number, cell.load().number, alive.load(SeqCst)), (1, 4, 2));
    drop(cell);
    assert_eq!(alive.load(SeqCst), 1);
    drop(kept.clone());
    assert_eq!((kept.number, alive.load(SeqCst)), (1, 1));
    drop(kept);
    assert_eq!(alive.load(SeqCst), 0);
}

#[test]
fn another_threads_guard_keeps_its_version_and_no_other() {
    let _alone = ALONE.lock();
    let (cell, alive) = counted();
    let (go, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let guard = cell.load();
            go.wait();
            done.wait();
            assert_eq!(guard.number, 0);
        });
        go.wait();
        (1..100).for_each(|number| cell.store(Counted::new(number, &alive)));
        assert_eq!(alive.load(SeqCst), 2);
        done.wait();
    });
    assert_eq!(alive.load(SeqCst), 1);
}

#[test]
fn threads_that_are_gone_leave_their_records_to_others() {
    let _alone = ALONE.lock();
    const THREADS: usize = 1_500;
    let (cell, alive) = counted();
    let all_at_once = || {
        let barrier = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let read = || {
                    let guard = cell.load();
                    barrier.wait();
                    barrier.wait();
                    assert_eq!(guard.number % 2, 0);
                };
                thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, read).unwrap();
            }
            barrier.wait();
            let number = cell.load().number + 2;
            cell.store(Counted::new(number, &alive));
            assert_eq!(alive.load(SeqCst), 2);
            barrier.wait();
        });
        assert_eq!(alive.load(SeqCst), 1);
        record_count()
    };
    let records = all_at_once();
    assert!(records >= THREADS);
    for _ in 0..2 {
        // Other tests have threads too.
        assert!(all_at_once() <= records + 32);
    }
}

/// Reads when the thread ends: before the record is given back, or after.
struct ReadsAtExit(mpsc::Sender<usize>, Arc<HazardArc<Counted>>);

impl Drop for ReadsAtExit {
    fn drop(&mut self) {
        let (outer, inner) = (self.1.load(), self.1.load());
        self.0.send(outer.number + inner.number).unwrap();
    }
}

std::thread_local! {
    static FIRST: RefCell<Option<ReadsAtExit>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<ReadsAtExit>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_that_is_ending_can_read() {
    let _alone = ALONE.lock();
    let (cell, alive) = counted();
    cell.store(Counted::new(21, &alive));
    let cell = Arc::new(cell);
    let (sender, results) = mpsc::channel();
    let both = || ReadsAtExit(sender.clone(), Arc::clone(&cell));
    for _ in 0..3 {
        let (early, late) = (both(), both());
        let own = Arc::clone(&cell);
        // One destructor is registered before the thread's first read, the other after.
        let thread = thread::spawn(move || {
            FIRST.set(Some(early));
            let number = own.load().number;
            LAST.set(Some(late));
            number
        });
        assert_eq!(thread.join().unwrap(), 21);
        assert_eq!([results.recv(), results.recv()], [Ok(42), Ok(42)]);
    }
    let records = record_count();
    cell.store(Counted::new(1, &alive));
    assert_eq!((alive.load(SeqCst), record_count()), (1, records));
}

/// Threads that the child of a fork does not have keep no version alive there, whatever they were doing.
#[test]
fn a_forked_child_reads_and_writes_on() {
    let _alone = ALONE.lock();
    let (cell, alive) = counted();
    let (stop, started) = (AtomicBool::new(false), Barrier::new(4));
    thread::scope(|scope| {
        scope.spawn(|| {
            let guard = cell.load();
            started.wait();
            while !stop.load(SeqCst) {
                thread::yield_now();
            }
            assert!(guard.number < 2);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                started.wait();
                while !stop.load(SeqCst) {
                    assert!(cell.load().number < 2);
                }
            });
        }
        started.wait();
        let own = cell.load();
        for round in 1..200 {
            // SAFETY: the child uses what a child may: memory that it has, and malloc, which glibc and musl keep usable.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let before = alive.load(SeqCst);
                cell.store(Counted::new(round, &alive));
                cell.store(Counted::new(round + 1, &alive));
                let is_right = own.number == 0 && cell.load().number == round + 1 && alive.load(SeqCst) == before + 1;
                drop(own);
                let is_dropped = alive.load(SeqCst) == before;
                // SAFETY: ends the child without a destructor.
                unsafe { libc::_exit(if is_right && is_dropped { 0 } else { 1 }) };
            }
            let mut status = -1;
            // SAFETY: the child is ours, and there is room for its status.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0, "{round}");
        }
        drop(own);
        stop.store(true, SeqCst);
    });
    assert_eq!(alive.load(SeqCst), 1);
}

#[test]
fn readers_and_writers_at_once_see_whole_versions() {
    let _alone = ALONE.lock();
    let (cell, alive) = counted();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    loop {
                        let before = cell.load();
                        let after = Counted::new(before.number + 1, &alive);
                        if cell.replace(before, after) {
                            break;
                        }
                    }
                }
            });
            scope.spawn(|| {
                let mut last = 0;
                while last < 40_000 {
                    let (outer, inner) = (cell.load(), cell.load());
                    assert!(last <= outer.number && outer.number <= inner.number);
                    last = outer.number;
                }
            });
        }
    });
    cell.store(Counted::new(0, &alive));
    assert_eq!(alive.load(SeqCst), 1);
}
