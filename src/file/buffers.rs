use std::sync::Mutex;

/// What is kept of a buffer at most.
const BYTES: usize = 16 << 20;
/// How many are kept at most: more threads than processors seldom read at one moment.
const COUNT: usize = 8;

/// The memory that reads use, kept for the next. Nobody ever waits for it: a lock that a fork left behind in the child
/// only means that nothing is kept there.
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.0.try_lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default()
    }

    pub(super) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() <= BYTES
            && let Ok(mut kept) = self.0.try_lock()
            && kept.len() < COUNT
        {
            kept.push(buffer);
        }
    }
}
