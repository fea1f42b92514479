//! Flags on Redis: a [`Backend`](crate::Backend) over connections of its own.

mod names;
mod options;
mod url;

mod reply;
#[cfg(test)]
mod reply_tests;
mod request;
mod refusal;

mod link;
mod socket;
mod tls;

mod connector;
mod push;
mod session;

mod commit;
mod flags;
mod exchange;
mod together;
mod backend;

pub use options::RedisOptions;

use crate::{RemoteFlagStore, RemoteOptions, Result};

impl RemoteFlagStore {
    /// Opens a store of the flags on a Redis server, or one that speaks its protocol. `url`:
    /// `redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE]`, `rediss://` for TLS, or
    /// `redis+unix:///PATH/OF/SOCKET[?db=DATABASE]`; several hosts, separated by commas, are nodes of a cluster, or
    /// Sentinels with [`RedisOptions::sentinel_master`]. Only a watched store connects now.
    ///
    /// The flags are a hash of JSON texts. Each change is one script on the server, all of it or nothing. One whose
    /// answer is lost is settled with the server; [`Error::Uncertain`](crate::Error::Uncertain) is what could not be
    /// settled in time.
    ///
    /// ```no_run
    /// use flagstore::{FlagStore, ReadMode, RedisOptions, RemoteFlagStore, RemoteOptions};
    ///
    /// let options = RemoteOptions::new().read_mode(ReadMode::Watched);
    /// let store = RemoteFlagStore::open_redis("redis://localhost", RedisOptions::new(), options)?;
    /// store.set("dark-mode", true.into())?;
    /// # Ok::<(), flagstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a URL or an option that cannot be;
    /// [`Error::Io`](crate::Error::Io) for a file that cannot be read; those of [`open_with`](Self::open_with).
    pub fn open_redis(url: &str, redis: RedisOptions, options: RemoteOptions) -> Result<Self> {
        let backend = backend::RedisBackend::new(url, redis, options.max_bytes)?;
        Self::open_with(backend, options)
    }
}
