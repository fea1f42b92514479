use std::sync::Mutex;

/// What is kept of a buffer at most: many a read of a large file costs less with it, one should not cost for ever.
const BYTES: usize = 16 << 20;
/// How many are kept at most: more threads than processors seldom read at one moment.
const COUNT: usize = 8;

/// The memory that reads use, kept for the next. Nobody ever waits for it: a lock that a fork left behind in the child
/// only means that nothing is kept there.
pub(super) struct Buffers {
    kept: Mutex<Vec<Vec<u8>>>,
    /// What is kept of one at most, in bytes.
    bytes: usize,
}

impl Buffers {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { kept: Mutex::new(Vec::new()), bytes: BYTES.min(max_bytes / 4) }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.kept.try_lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default()
    }

    pub(super) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() <= self.bytes
            && let Ok(mut kept) = self.kept.try_lock()
            && kept.len() < COUNT
        {
            kept.push(buffer);
        }
    }
}
