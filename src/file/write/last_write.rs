use crate::document::Document;
use std::sync::Mutex;

/// What a store's last change put into the file: while the file holds just that, the next need not take it apart.
/// Nobody ever waits for it, so no fork can leave it locked.
pub(in crate::file) struct LastWrite(Mutex<Option<Document<'static>>>);

impl LastWrite {
    pub(in crate::file) fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    pub(in crate::file) fn take(&self) -> Option<Document<'static>> {
        self.0.try_lock().ok()?.take()
    }

    pub(in crate::file) fn keep(&self, document: Document<'static>) {
        if let Ok(mut kept) = self.0.try_lock() {
            *kept = Some(document);
        }
    }
}
