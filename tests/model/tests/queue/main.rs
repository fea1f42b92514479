//! src/file/write/queue.rs in a world of two processes: its queue, the shared waiting thread, time-outs, and the hand-over.

extern crate flagstore_model as std;

use flagstore_model::{explore, fs, sys, thread, time};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[path = "process.rs"]
mod one;
#[path = "process.rs"]
#[allow(dead_code)]
mod other;

const SEED: u64 = 0xf1a6;
const SCHEDULES: usize = 2_000;
const SOON: Option<Duration> = Some(Duration::from_millis(5));
const LATER: Option<Duration> = Some(Duration::from_millis(50));

/// One caller; whether it got the lock.
type Caller = fn(Option<Duration>) -> bool;
const ONE: Caller = |timeout| one::locked(timeout, alone).is_some();
const OTHER: Caller = |timeout| other::locked(timeout, alone).is_some();

/// What the lock is for: nobody else is here meanwhile.
fn alone() {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    assert!(!TAKEN.swap(true, SeqCst), "two have the lock");
    thread::yield_now();
    TAKEN.store(false, SeqCst);
}

/// Runs each caller in a thread, `rounds` times; the answers in the callers' order.
fn together(callers: &[(Caller, Option<Duration>)], rounds: usize) -> Vec<Vec<bool>> {
    let start = |&(caller, timeout): &(Caller, Option<Duration>)| {
        thread::spawn(move || (0..rounds).map(|_| caller(timeout)).collect())
    };
    let threads: Vec<_> = callers.iter().map(start).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

/// Nobody has the lock and no descriptor is left open, once the waiting threads have noticed.
fn ends_free() {
    wait_until(|| fs::state() == (0, None));
}

#[test]
fn one_at_a_time_has_the_lock_and_nobody_sleeps_while_it_is_free() {
    explore(SEED, SCHEDULES, || {
        // Time stands still, so a wake-up that is lost is a deadlock, with a deadline or without.
        let callers = [(ONE, None), (ONE, LATER), (ONE, SOON), (OTHER, None), (OTHER, LATER)];
        assert!(together(&callers, 2).iter().flatten().all(|got| *got));
        ends_free();
    });
}

#[test]
fn where_no_thread_is_to_be_had_the_lock_is_polled_until_the_time_is_up() {
    explore(SEED + 9, SCHEDULES, || {
        sys::refuse_threads();
        time::may_pass();
        let callers = [(ONE, None), (ONE, SOON), (ONE, LATER), (OTHER, None), (OTHER, SOON)];
        let answers = together(&callers, 2);
        assert!(answers[0].iter().chain(&answers[3]).all(|got| *got));
        ends_free();
    });
}

#[test]
fn time_may_be_up_at_any_moment() {
    explore(SEED + 1, SCHEDULES, || {
        time::may_pass();
        let callers = [(ONE, SOON), (ONE, LATER), (ONE, None), (OTHER, SOON), (OTHER, None)];
        let answers = together(&callers, 2);
        assert!(answers[2].iter().chain(&answers[4]).all(|got| *got));
        ends_free();
    });
}

/// Has `holder` take the lock, and meanwhile threads of the first process come for it one after the other, each when the
/// one before sleeps in the line; the order in which they got it.
fn order_behind(holder: Holder, timeouts: &'static [Option<Duration>]) -> Vec<usize> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut threads = Vec::new();
    holder(&mut || {
        for (index, timeout) in timeouts.iter().enumerate() {
            threads.push(thread::spawn(noting(&order, index, *timeout)));
            wait_until(|| time::SLEEPING.load(SeqCst) > index);
        }
    });
    threads.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
    ends_free();
    order.lock().unwrap().clone()
}

/// A caller of the first process that notes its number when it has the lock.
fn noting(order: &Arc<Mutex<Vec<usize>>>, number: usize, timeout: Option<Duration>) -> impl FnOnce() -> bool + use<> {
    let order = Arc::clone(order);
    move || one::locked(timeout, || order.lock().unwrap().push(number)).is_some()
}

/// Does something while it has the lock.
type Holder = fn(&mut dyn FnMut());
const HOLDERS: [Holder; 2] = [|work| one::locked(None, work).unwrap(), |work| other::locked(None, work).unwrap()];

#[test]
fn first_come_first_served_within_a_process() {
    explore(SEED + 2, SCHEDULES, || {
        for holder in HOLDERS {
            assert_eq!(order_behind(holder, &[None, LATER, None, LATER]), [0, 1, 2, 3]);
        }
    });
}

#[test]
fn who_leaves_the_line_does_not_disturb_its_order() {
    explore(SEED + 3, SCHEDULES, || {
        time::may_pass();
        for holder in HOLDERS {
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut staying = Vec::new();
            holder(&mut || {
                staying.push(thread::spawn(noting(&order, 0, None)));
                wait_until(|| time::SLEEPING.load(SeqCst) == 1);
                // In the middle of the line, or gone from it, when the last one comes.
                let leaving = thread::spawn(noting(&order, 1, SOON));
                staying.push(thread::spawn(noting(&order, 2, None)));
                assert!(!leaving.join().unwrap());
                wait_until(|| time::SLEEPING.load(SeqCst) == 2);
            });
            staying.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
            assert_eq!(*order.lock().unwrap(), [0, 2]);
            ends_free();
        }
    });
}

#[test]
fn the_waiting_thread_of_one_who_gave_up_serves_the_next() {
    explore(SEED + 4, SCHEDULES, || {
        time::may_pass();
        let next = other::locked(None, || {
            assert_eq!(one::locked(SOON, alone), None);
            // The holder's descriptor and the one that the thread left behind waits with.
            assert_eq!(fs::state().0, 2);
            let next = thread::spawn(|| ONE(None));
            wait_until(|| time::SLEEPING.load(SeqCst) == 1);
            assert_eq!(fs::state().0, 2);
            next
        });
        assert!(next.unwrap().join().unwrap());
        ends_free();
    });
}

#[test]
fn the_waiting_thread_that_nobody_needs_gives_the_lock_back() {
    explore(SEED + 5, SCHEDULES, || {
        time::may_pass();
        other::locked(None, || assert_eq!(one::locked(SOON, alone), None));
        assert_eq!(together(&[(OTHER, None)], 2), [[true, true]]);
        ends_free();
    });
}

/// Requests that come to the first process, each from a thread of its own; which of them were served.
fn requests(kinds: &[(Option<u32>, Option<Duration>)], overtaken: bool) -> Vec<bool> {
    one::request::SERVED.lock().unwrap().clear();
    let start = |(number, &(kind, timeout)): (usize, &(Option<u32>, Option<Duration>))| {
        let request = Arc::new(one::request::Request::new(kind, number));
        let served = {
            let request = Arc::clone(&request);
            thread::spawn(move || one::served(&request, timeout, overtaken, alone))
        };
        (request, served)
    };
    let threads: Vec<_> = kinds.iter().enumerate().map(start).collect();
    let answers = threads.into_iter().map(|(request, served)| {
        let answer = served.join().unwrap();
        assert_eq!(answer, request.is_complete(), "whose time was up is not served later");
        answer
    });
    let answers: Vec<_> = answers.collect();
    ends_free();
    let count = one::request::SERVED.lock().unwrap().len();
    assert_eq!(count, answers.iter().filter(|served| **served).count(), "each is served once");
    answers
}

const KINDS: [Option<u32>; 5] = [Some(1), Some(1), Some(2), Some(1), None];

#[test]
fn whoever_waits_is_served_once_by_itself_or_by_another() {
    explore(SEED + 6, SCHEDULES, || {
        let other = thread::spawn(|| OTHER(None));
        assert!(requests(&KINDS.map(|kind| (kind, None)), false).iter().all(|served| *served));
        assert!(other.join().unwrap());
        ends_free();
    });
}

#[test]
fn a_request_whose_time_is_up_was_served_or_never_will_be() {
    explore(SEED + 7, SCHEDULES, || {
        time::may_pass();
        let other = thread::spawn(|| OTHER(None));
        let timeouts = [SOON, None, SOON, LATER, SOON];
        let requests: Vec<_> = KINDS.into_iter().zip(timeouts).collect();
        assert!(self::requests(&requests, false)[1]);
        assert!(other.join().unwrap());
        ends_free();
    });
}

#[test]
fn those_whom_a_turn_took_and_did_not_serve_get_turns_of_their_own() {
    explore(SEED + 8, SCHEDULES, || {
        time::may_pass();
        let timeouts = [None, SOON, None, LATER, None];
        let requests: Vec<_> = KINDS.into_iter().zip(timeouts).collect();
        let served = self::requests(&requests, true);
        assert!(served[0] && served[2] && served[4]);
    });
}

#[test]
fn those_who_are_served_together_are_served_in_the_order_in_which_they_came() {
    explore(SEED + 9, SCHEDULES, || {
        for holder in HOLDERS {
            one::request::SERVED.lock().unwrap().clear();
            let mut threads = Vec::new();
            holder(&mut || {
                for number in 0..4 {
                    let request = Arc::new(one::request::Request::new(Some(1), number));
                    threads.push(thread::spawn(move || one::served(&request, None, false, alone)));
                    wait_until(|| time::SLEEPING.load(SeqCst) > number);
                }
            });
            threads.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
            ends_free();
            assert_eq!(*one::request::SERVED.lock().unwrap(), [0, 1, 2, 3]);
        }
    });
}
