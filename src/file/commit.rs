use super::lock::Lock;
use super::options::{Durability, FileOptions};
use super::place::Place;
use super::read;
use super::replace::{self, Replaced};
use crate::document::Document;
use crate::json::Fault;
use crate::{Batch, Error, Result};
use std::path::Path;

/// How often somebody without our lock may change the file under a commit before it gives up.
const ATTEMPTS: usize = 5;

/// Creates the file with no flags in it, if it is still missing once the lock is held.
pub(super) fn create(path: &Path, options: &FileOptions) -> Result<()> {
    commit(path, options, &Batch::new(), Some("{}\n")).map(|_| ())
}

/// Makes the batch's changes: lock, read, change, replace. Says whether a key that it changes was there.
pub(super) fn apply(path: &Path, options: &FileOptions, batch: &Batch) -> Result<bool> {
    if options.read_only {
        return Err(Error::ReadOnly { path: path.to_owned() });
    }
    commit(path, options, batch, None)
}

/// `if_missing` is what a file that is missing gets where the batch leaves no flag in it.
fn commit(path: &Path, options: &FileOptions, batch: &Batch, if_missing: Option<&str>) -> Result<bool> {
    for _ in 0..ATTEMPTS {
        if let Some(existed) = attempt(path, options, batch, if_missing)? {
            return Ok(existed);
        }
    }
    Err(Error::Io {
        path: path.to_owned(),
        action: "replace the file, for another program keeps changing it",
        errno: libc::EBUSY,
    })
}

/// One round; `None`: the file was overtaken.
fn attempt(path: &Path, options: &FileOptions, batch: &Batch, if_missing: Option<&str>) -> Result<Option<bool>> {
    let place = Place::resolve(path)?;
    let _lock = Lock::acquire(&place, options.lock_timeout, replace::mode_of(&place, options)?)?;
    let (old, edited) = match read::settled(path, options.max_bytes, |text| edit(text, batch, options))? {
        Some((content, edited)) => (Some(content), edited?),
        None => {
            let edited = edit("{}", batch, options).map_err(|fault| read::refused(path, b"{}", fault))??;
            (None, Edited { text: edited.text.or(if_missing.map(str::to_owned)), ..edited })
        }
    };
    match (edited.text, &old) {
        (Some(text), _) => {
            let replaced = replace::replace(path, &place, old.as_ref(), &text, options)?;
            Ok((replaced == Replaced::Done).then_some(edited.existed))
        }
        (None, Some(content)) if options.durability == Durability::Durable => {
            replace::sync_as_is(&place, content).map(|()| Some(edited.existed))
        }
        (None, _) => Ok(Some(edited.existed)),
    }
}

struct Edited {
    /// Whether a key that the batch changes was there.
    existed: bool,
    /// `None`: the file says it already.
    text: Option<String>,
}

/// The inner error is one of the batch, not of the text.
fn edit(text: &str, batch: &Batch, options: &FileOptions) -> Result<Result<Edited>, Fault> {
    let document = Document::parse(text, options.max_bytes)?;
    if let Err(conflict) = batch.check(|key| document.get(key)) {
        return Ok(Err(conflict));
    }
    let existed = batch.edits().any(|(key, _)| document.get(key).is_some());
    Ok(Ok(Edited { existed, text: document.edited(batch, options.max_bytes)? }))
}
