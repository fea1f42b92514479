use shuttle::sync as model;
use std::ops::{Deref, DerefMut};
use std::sync::LockResult;

/// std's Mutex, simulated.
pub struct Mutex<T>(model::Mutex<T>);

/// The simulated lock held; unlike shuttle's it knows its mutex, for the condition variable.
pub struct MutexGuard<'a, T> {
    guard: model::MutexGuard<'a, T>,
    pub(crate) mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(model::Mutex::new(value))
    }

    /// A poisoned mutex is a panic, which ends the model anyway.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(MutexGuard { guard: self.0.lock().expect("no thread panicked"), mutex: self })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
