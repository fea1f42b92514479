use crate::document::Document;
use std::sync::Mutex;

/// Caches what the store's last change put into the file: as long as the file holds just that, the next change does not
/// parse it. Nobody ever waits for it, so no fork can leave it locked.
pub(in crate::file) struct LastWrite(Mutex<Option<Document>>);

impl LastWrite {
    pub(in crate::file) fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn take(&self) -> Option<Document> {
        self.0.try_lock().ok()?.take()
    }

    pub(super) fn keep(&self, document: Document) {
        if let Ok(mut cached) = self.0.try_lock() {
            *cached = Some(document);
        }
    }
}
