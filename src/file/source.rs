use crate::json::Fault;
use crate::{Snapshot, ValueRef, document, json};

/// What a read found: the flags of the file, taken apart already or yet to be.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Kept(&'a Snapshot),
    /// The file's bytes, and how long a result may be.
    Bytes(&'a [u8], usize),
}

impl Source<'_> {
    /// Calls `visit` once with the flag's value, if the whole is valid.
    pub(super) fn visit(self, key: &str, visit: &mut dyn FnMut(Option<ValueRef<'_>>)) -> Result<(), Fault> {
        visit(match self {
            Self::Kept(flags) => flags.get(key),
            Self::Bytes(bytes, limit) => document::find(json::utf8(bytes)?, key, limit)?,
        });
        Ok(())
    }

    pub(super) fn snapshot(self) -> Result<Snapshot, Fault> {
        match self {
            Self::Kept(flags) => Ok(flags.clone()),
            Self::Bytes(bytes, limit) => document::snapshot(json::utf8(bytes)?, limit),
        }
    }

    pub(super) fn json(self) -> Result<String, Fault> {
        match self {
            Self::Kept(flags) => flags.kept_json(),
            Self::Bytes(bytes, limit) => document::compact(json::utf8(bytes)?, limit),
        }
    }

    pub(super) fn len(self) -> Result<usize, Fault> {
        match self {
            Self::Kept(flags) => Ok(flags.len()),
            Self::Bytes(bytes, limit) => document::len(json::utf8(bytes)?, limit),
        }
    }
}
