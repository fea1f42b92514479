//! What the flags are called on the server.

use crate::{Error, Result};

pub(super) struct Names {
    /// The hash with the flags: a field is a key, its value JSON.
    pub(super) flags: String,
    /// The hash with the number of the last change and the number of flags; and the channel that announces changes.
    pub(super) meta: String,
    /// What the token of each change begins with.
    pub(super) done: String,
}

impl Names {
    /// All names have one hash tag, so that a cluster keeps them on one server.
    pub(super) fn of(hash: &str) -> Result<Self> {
        let tagged = if hash.contains(['{', '}']) {
            has_tag(hash).then(|| hash.to_owned())
        } else {
            Some(format!("{{{hash}}}"))
        };
        match tagged {
            Some(tagged) if !hash.is_empty() => {
                Ok(Self { flags: hash.into(), meta: format!("{tagged}:meta"), done: format!("{tagged}:done:") })
            }
            _ => Err(Error::InvalidArgument(format!(
                "options.hash is {hash:?}: braces must enclose a hash tag, and it may not be empty"
            ))),
        }
    }
}

/// What stands in the first pair of braces, if anything does, says where a cluster keeps the key:
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>
fn has_tag(name: &str) -> bool {
    name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(tag, _)| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_have_one_tag() {
        let names = |hash| Names::of(hash).map(|names| (names.flags, names.meta, names.done)).ok();
        let owned = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(names("flagstore"), owned("flagstore", "{flagstore}:meta", "{flagstore}:done:"));
        assert_eq!(names("a{b}c"), owned("a{b}c", "a{b}c:meta", "a{b}c:done:"));
        for hash in ["", "{", "}", "{}", "a{}b{c}", "}{"] {
            assert_eq!(names(hash), None, "{hash}");
        }
    }
}
