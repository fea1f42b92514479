//! An atomic pointer to the current version of a value, whose readers take no lock and wait for nobody.
//!
//! A reader publishes in its thread's record which version it reads, and then checks that it is still the current one
//! (Maged Michael's hazard pointers): one locked instruction. A writer that has replaced a version looks at all
//! records, and gives each one that protects the version a reference of its own, which that reader drops when it is
//! done. So a version is dropped as soon as nobody reads it, and there is no list and no lock that a fork could leave
//! in the middle of something.

use super::{SPINS, at_fork, without_cancellation};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr};

pub(crate) struct HazardArc<T: Send + Sync + 'static> {
    /// From Arc::into_raw; its reference is this struct's.
    current: AtomicPtr<Version<T>>,
    _owns: PhantomData<Arc<Version<T>>>,
}

/// A version of the value, shared; it may outlive the [`HazardArc`].
pub(crate) struct Shared<T>(Arc<Version<T>>);

/// C's layout: the function is found at the address of a version of whatever type.
#[repr(C)]
struct Version<T> {
    drop_reference: unsafe fn(*mut ()),
    value: T,
}

/// The current version as of the load, borrowed.
pub(crate) struct HazardGuard<'a, T: Send + Sync + 'static> {
    version: *mut Version<T>,
    /// The record that protects the version; `None`: the guard has a reference.
    record: Option<&'static Record>,
    _borrows: PhantomData<&'a HazardArc<T>>,
}

impl<T: Send + Sync + 'static> HazardArc<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { current: AtomicPtr::new(Version::into_raw(value)), _owns: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn load(&self) -> HazardGuard<'_, T> {
        match Record::of_this_thread() {
            Some(record) if record.is_idle() => self.load_protected_by(record),
            _ => self.load_without_record(),
        }
    }

    /// The current version, to be kept.
    pub(crate) fn load_full(&self) -> Shared<T> {
        let guard = self.load();
        // SAFETY: the version is protected, so its references do not end meanwhile.
        unsafe {
            Arc::increment_strong_count(guard.version);
            Shared(Arc::from_raw(guard.version))
        }
    }

    pub(crate) fn store(&self, value: T) {
        let before = self.current.swap(Version::into_raw(value), SeqCst);
        // SAFETY: it is not the current version any more.
        unsafe { retire(before) };
    }

    /// Makes `after` the current version, if `before` still is; returns whether it was.
    pub(crate) fn replace(&self, before: HazardGuard<'_, T>, after: T) -> bool {
        let (old, new) = (before.version, Version::into_raw(after));
        // No other version can be at the address of a protected one.
        let is_replaced = self.current.compare_exchange(old, new, SeqCst, SeqCst).is_ok();
        drop(before);
        // SAFETY: the old version is not the current one any more; else the new one never was, so nobody has seen it.
        unsafe { if is_replaced { retire(old) } else { drop_reference(new.cast()) } }
        is_replaced
    }

    #[inline(always)]
    fn load_protected_by(&self, record: &'static Record) -> HazardGuard<'_, T> {
        HazardGuard { version: record.protect(&self.current), record: Some(record), _borrows: PhantomData }
    }

    /// The first load of a thread; one within another, whose guard has the record; one of a thread that is ending.
    #[cold]
    #[inline(never)]
    fn load_without_record(&self) -> HazardGuard<'_, T> {
        let record = Record::claim();
        if record.give_to_this_thread() {
            return self.load_protected_by(record);
        }
        let version = record.protect(&self.current);
        // SAFETY: the version is protected.
        unsafe { Arc::increment_strong_count(version) };
        record.unprotect();
        record.abandon();
        HazardGuard { version, record: None, _borrows: PhantomData }
    }
}

impl<T: Send + Sync + 'static> Drop for HazardArc<T> {
    fn drop(&mut self) {
        // SAFETY: there are no guards any more, and the reference is this struct's.
        unsafe { drop_reference(self.current.load(SeqCst).cast()) };
        Record::all().for_each(Record::collect);
    }
}

impl<T> Version<T> {
    fn into_raw(value: T) -> *mut Self {
        unsafe fn drop_arc<T>(version: *mut ()) {
            // SAFETY: the version was made here, with this T; the caller gives a reference.
            drop(unsafe { Arc::from_raw(version.cast::<Version<T>>()) });
        }
        Arc::into_raw(Arc::new(Self { drop_reference: drop_arc::<T>, value })).cast_mut()
    }
}

/// Drops a reference to a version.
///
/// # Safety
///
/// The reference must be the caller's.
unsafe fn drop_reference(version: *mut ()) {
    // SAFETY: every version begins with this function, which takes the reference that the caller gives.
    unsafe { (*version.cast::<unsafe fn(*mut ())>())(version) };
}

/// Drops the reference of the HazardArc to a version; readers that are on it get one each.
///
/// # Safety
///
/// The version must have been replaced as the current one, by the caller.
unsafe fn retire<T>(version: *mut Version<T>) {
    let erased = version.cast::<()>();
    let mut spins = SPINS;
    for record in Record::all() {
        while record.protects(erased) && spins > 0 {
            spins -= 1;
            std::hint::spin_loop();
        }
        if record.protects(erased) {
            // SAFETY: the caller's reference is still there.
            unsafe { Arc::increment_strong_count(version) };
            record.entrust(erased);
        } else {
            record.collect();
        }
    }
    // SAFETY: no record protects the version now without a reference, and none can begin to: it is not current.
    unsafe { drop_reference(erased) };
}

impl<T: Send + Sync + 'static> Deref for HazardGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the record protects the version, or the guard's reference does.
        unsafe { &(*self.version).value }
    }
}

impl<T: Send + Sync + 'static> Drop for HazardGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        match self.record {
            Some(record) => record.unprotect(),
            // SAFETY: the guard's own reference.
            None => unsafe { drop_reference(self.version.cast()) },
        }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

// SAFETY: it hands out references to T, and drops T in whichever thread is the last to need it.
unsafe impl<T: Send + Sync> Send for HazardArc<T> {}
// SAFETY: the same.
unsafe impl<T: Send + Sync> Sync for HazardArc<T> {}

/// What one thread tells all others of its reading. On a cache line of its own; never freed, but used again.
#[repr(align(64))]
struct Record {
    /// The version that the owner reads; only the owner writes this.
    hazard: AtomicPtr<()>,
    /// A replaced version with a reference that the owner is to drop, once it no longer reads that version.
    entrusted: AtomicPtr<()>,
    /// The thread that has the record, by the address of a thread-local variable; null: none.
    owner: AtomicPtr<()>,
    /// The next of all records; set before the record is in the list.
    next: AtomicPtr<Record>,
}

/// All records, the last one first.
static RECORDS: AtomicPtr<Record> = AtomicPtr::new(ptr::null_mut());

std::thread_local! {
    /// This thread's record. Without a destructor, so that it may be asked for at any time.
    static OWN: Cell<Option<&'static Record>> = const { Cell::new(None) };
    /// Gives the record back when the thread ends.
    static RETURN: ReturnAtExit = const { ReturnAtExit(Cell::new(None)) };
}

struct ReturnAtExit(Cell<Option<&'static Record>>);

impl Drop for ReturnAtExit {
    fn drop(&mut self) {
        let _ = OWN.try_with(|own| own.set(None));
        if let Some(record) = self.0.take() {
            record.abandon();
        }
    }
}

impl Record {
    #[inline(always)]
    fn of_this_thread() -> Option<&'static Self> {
        OWN.try_with(Cell::get).ok().flatten()
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        // In one order with `protect`: a writer sees the record of whoever still sees the version that it replaced.
        // SAFETY: records are never freed.
        let at = |pointer: &AtomicPtr<Self>| unsafe { pointer.load(SeqCst).as_ref() };
        std::iter::successors(at(&RECORDS), move |record| at(&record.next))
    }

    /// The calling thread, as an owner.
    fn this_thread() -> *mut () {
        let address = OWN.try_with(|own| ptr::from_ref(own).cast_mut().cast());
        // There always is one: the variable has no destructor.
        address.unwrap_or(ptr::dangling_mut())
    }

    /// A record that nobody has, for the calling thread.
    fn claim() -> &'static Self {
        let me = Self::this_thread();
        let is_mine = |record: &&Self| record.owner.compare_exchange(ptr::null_mut(), me, SeqCst, Relaxed).is_ok();
        Self::all().find(is_mine).unwrap_or_else(|| Self::add(me))
    }

    fn add(owner: *mut ()) -> &'static Self {
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        if !REGISTERED.swap(true, SeqCst) {
            at_fork(do_nothing, do_nothing, forget_other_threads);
        }
        let record: &Self = Box::leak(Box::new(Self {
            hazard: AtomicPtr::new(ptr::null_mut()),
            entrusted: AtomicPtr::new(ptr::null_mut()),
            owner: AtomicPtr::new(owner),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        let mut first = RECORDS.load(Relaxed);
        loop {
            record.next.store(first, Relaxed);
            match RECORDS.compare_exchange(first, ptr::from_ref(record).cast_mut(), SeqCst, Relaxed) {
                Ok(_) => return record,
                Err(now) => first = now,
            }
        }
    }

    /// Whether it now is the thread's for as long as that runs. Not if the thread has one, or is ending.
    fn give_to_this_thread(&'static self) -> bool {
        let give = |at_exit: &ReturnAtExit| {
            at_exit.0.set(Some(self));
            OWN.try_with(|own| own.set(Some(self)))
        };
        Self::of_this_thread().is_none() && matches!(RETURN.try_with(give), Ok(Ok(())))
    }

    fn abandon(&self) {
        self.owner.store(ptr::null_mut(), Release);
    }

    /// Whether no guard uses it. Asked by the owner.
    #[inline(always)]
    fn is_idle(&self) -> bool {
        self.hazard.load(Relaxed).is_null()
    }

    /// The current version, protected from now on.
    #[inline(always)]
    fn protect<T>(&self, current: &AtomicPtr<Version<T>>) -> *mut Version<T> {
        let mut seen = current.load(Relaxed);
        loop {
            // In one total order with the writer's replacing and its look at the hazards: one sees the other.
            self.hazard.swap(seen.cast(), SeqCst);
            let now = current.load(SeqCst);
            if now == seen {
                return seen;
            }
            seen = now;
        }
    }

    /// The owner no longer reads the version.
    #[inline(always)]
    fn unprotect(&self) {
        self.hazard.store(ptr::null_mut(), Release);
        if !self.entrusted.load(Relaxed).is_null() {
            self.drop_entrusted();
        }
    }

    #[cold]
    #[inline(never)]
    fn drop_entrusted(&self) {
        let version = self.entrusted.swap(ptr::null_mut(), SeqCst);
        if !version.is_null() {
            // What is dropped may close a file.
            // SAFETY: the reference was the record's; the owner, which is here, reads nothing.
            without_cancellation(|| unsafe { drop_reference(version) });
        }
    }

    fn protects(&self, version: *mut ()) -> bool {
        self.hazard.load(SeqCst) == version
    }

    /// Drops what the record was entrusted with after its owner had already stopped reading that.
    fn collect(&self) {
        if !self.entrusted.load(SeqCst).is_null() {
            self.entrust(ptr::null_mut());
        }
    }

    /// Gives the record a reference to a replaced version, for as long as it protects that.
    ///
    /// Another writer may do the same at the same time: whoever takes a reference out of the record is responsible for
    /// it, and drops it only if the record does not protect that version. As that is not current, the record can never
    /// protect it again; and its address is not another version's while there is a reference.
    fn entrust(&self, mut version: *mut ()) {
        loop {
            if version.is_null() {
                let entrusted = self.entrusted.load(SeqCst);
                if entrusted.is_null() || self.protects(entrusted) {
                    return;
                }
                // The owner stopped reading it before it could see that it was entrusted with it.
                version = self.entrusted.swap(ptr::null_mut(), SeqCst);
            } else if self.protects(version) {
                version = self.entrusted.swap(version, SeqCst);
            } else {
                // SAFETY: as above.
                unsafe { drop_reference(version) };
                version = ptr::null_mut();
            }
        }
    }
}

extern "C" fn do_nothing() {}

/// In the child of a fork, where only the thread that forked exists: the records of the others protect nothing.
extern "C" fn forget_other_threads() {
    let me = Record::this_thread();
    for record in Record::all().filter(|record| record.owner.load(Relaxed) != me) {
        record.hazard.store(ptr::null_mut(), Relaxed);
        record.owner.store(ptr::null_mut(), Relaxed);
    }
}

/// How many records there are.
#[cfg(test)]
pub(super) fn record_count() -> usize {
    Record::all().count()
}
