use crate::json::ParseError;
use crate::{Snapshot, ValueRef, document, json};

/// The flags that a read found: parsed and cached before, or the file's bytes.
#[derive(Clone, Copy)]
pub(in crate::file) enum FlagsView<'a> {
    Parsed(&'a Snapshot),
    Bytes {
        bytes: &'a [u8],
        /// The longest result, in bytes.
        limit: usize,
    },
}

impl FlagsView<'_> {
    /// Calls `visit` once with the flag's value, if the whole is valid.
    pub(in crate::file) fn visit(
        self,
        key: &str,
        visit: &mut dyn FnMut(Option<ValueRef<'_>>),
    ) -> Result<(), ParseError> {
        visit(match self {
            Self::Parsed(flags) => flags.get(key),
            Self::Bytes { bytes, limit } => document::find(json::utf8(bytes)?, key, limit)?,
        });
        Ok(())
    }

    pub(in crate::file) fn snapshot(self) -> Result<Snapshot, ParseError> {
        match self {
            Self::Parsed(flags) => Ok(flags.clone()),
            Self::Bytes { bytes, limit } => document::snapshot(json::utf8(bytes)?, limit),
        }
    }

    pub(in crate::file) fn json(self) -> Result<String, ParseError> {
        match self {
            Self::Parsed(flags) => flags.kept_json(),
            Self::Bytes { bytes, limit } => document::compact(json::utf8(bytes)?, limit),
        }
    }

    pub(in crate::file) fn len(self) -> Result<usize, ParseError> {
        match self {
            Self::Parsed(flags) => Ok(flags.len()),
            Self::Bytes { bytes, limit } => document::len(json::utf8(bytes)?, limit),
        }
    }
}
