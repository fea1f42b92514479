use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Shared text that never changes, with a NUL behind it so that C can borrow it as it is.
#[derive(Clone)]
pub(crate) enum NulTerminated {
    /// In one piece with the reference count: one cache miss less.
    Short(Arc<str>),
    /// As it was made: there may be no memory for a copy.
    Long(Arc<String>),
}

/// Longer texts are not copied, in bytes with the NUL.
const SHORT: usize = 4096;

impl NulTerminated {
    pub(crate) fn new(mut text: String) -> Self {
        text.push('\0');
        if text.len() <= SHORT { Self::Short(text.into()) } else { Self::Long(Arc::new(text)) }
    }

    #[inline(always)]
    pub(crate) fn as_str(&self) -> &str {
        let text = self.with_nul();
        &text[..text.len() - 1]
    }

    /// The text and the NUL behind it.
    #[inline(always)]
    pub(crate) fn with_nul(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }
}

impl From<&str> for NulTerminated {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl Borrow<str> for NulTerminated {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

// The traits below agree with those of str, as Borrow demands.
impl Hash for NulTerminated {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq for NulTerminated {
    fn eq(&self, other: &Self) -> bool {
        self.with_nul() == other.with_nul()
    }
}

impl Eq for NulTerminated {}

impl Ord for NulTerminated {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for NulTerminated {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for NulTerminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
