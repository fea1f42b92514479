use crate::stop_token::StopToken;
use crate::sys::{self, ProcessGeneration};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A thread of the library: told to stop and joined when dropped, but forgotten in a forked child, which has no such
/// thread.
pub(crate) struct BackgroundThread {
    stop: Arc<StopToken>,
    handle: Option<JoinHandle<()>>,
    generation: ProcessGeneration,
}

impl BackgroundThread {
    /// Starts it with a stack of `stack` bytes; `work` ends soon after its token is set.
    pub(crate) fn start(name: &str, stack: usize, work: impl FnOnce(&StopToken) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(StopToken::new());
        let token = Arc::clone(&stop);
        let handle = sys::spawn(name, stack, Box::new(move || work(&token)))?;
        Ok(Self { stop, handle: Some(handle), generation: ProcessGeneration::current() })
    }

    /// Tells the thread to stop, without waiting for its end; its sleep elsewhere than on the token is for the caller to
    /// end.
    pub(crate) fn tell_to_stop(&self) {
        if self.generation.is_current() {
            self.stop.set();
        }
    }

    /// Tells the thread to stop, calls `wake` where its sleep is not on the token, and waits for its end; not for
    /// that of the thread which calls this.
    pub(crate) fn stop(&mut self, wake: impl FnOnce()) {
        let Some(handle) = self.handle.take() else {
            return;
        };
        if !self.generation.is_current() {
            // A join would wait for ever.
            return std::mem::forget(handle);
        }
        self.stop.set();
        wake();
        if !sys::is_current_thread(&handle) {
            let _ = handle.join();
        }
    }
}

impl Drop for BackgroundThread {
    fn drop(&mut self) {
        self.stop(|| ());
    }
}
