//! Flags on Redis
//!
//! Flags of many machines in one Redis, or Valkey, with all calls in this header. The flags are a
//! hash that people can read and edit with redis-cli (HGETALL flagstore, HSET flagstore dark-mode
//! true): a field is a key, its value is JSON. A second hash, {flagstore}:meta, counts the changes.
//!
//! A change is one script on the server: all of a batch or none of it. A change whose answer is lost
//! is settled with the server within the call's deadline; only if that fails too it is
//! FLAGSTORE_UNCERTAIN. A field that is not JSON makes that flag FLAGSTORE_CORRUPT: a list leaves it
//! out, with a warning in the log.
//!
//! Only a library built with the feature "redis" has it: see flagstore_has_feature.

use super::error::flagstore_error_t;
use super::guard::guard;
use super::open::flagstore_t;
use super::remote_options::flagstore_remote_options_t;
use std::ffi::c_char;
use std::ptr;

/// Options of a store on Redis. Set all of it to zero, then `size` to
/// sizeof(flagstore_redis_options_t), then what you want; zero means the default in every field.
/// Everything is copied.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct flagstore_redis_options_t {
    /// sizeof(flagstore_redis_options_t)
    pub size: usize,
    /// deadlines, read mode and the like; NULL: the defaults
    pub remote: *const flagstore_remote_options_t,
    /// the name of the hash; NULL: "flagstore". Braces in it must be a hash tag of Redis Cluster
    pub hash: *const c_char,
    /// the user and his password, which stand before those in the URL; NULL: those, or none
    pub username: *const c_char,
    /// see `username`
    pub password: *const c_char,
    /// a file with the password, which is read at each connect; a newline at its end does not count;
    /// NULL: none
    pub password_file: *const c_char,
    /// a PEM file of the authorities that are trusted; NULL: those of the system
    pub tls_ca_file: *const c_char,
    /// a PEM file with the certificate that the server wants to see; NULL: none
    pub tls_cert_file: *const c_char,
    /// a PEM file with its key
    pub tls_key_file: *const c_char,
    /// the name that the server's certificate must have; NULL: the host in the URL
    pub tls_server_name: *const c_char,
    /// the name of the primary that the Sentinels in the URL know; a user and password in the URL are
    /// then for the Sentinels; NULL: the URL names the server itself
    pub sentinel_master: *const c_char,
    /// how many connections there are for changes and reads at most; one more announces changes to a
    /// FLAGSTORE_READ_WATCHED store; 0: 4
    pub connections: i32,
    /// a change that so many replicas have not confirmed within `wait_ms` fails with
    /// FLAGSTORE_NOT_DURABLE, though it is made; 0: replicas are not asked
    pub wait_replicas: i32,
    /// see `wait_replicas`, in milliseconds; 0: 100
    pub wait_ms: i32,
    /// must be 0
    pub reserved: i32,
}

/// Opens a store of the flags on the Redis at `url`:
/// redis://[USER[:PASSWORD]@]HOST[:6379][/DATABASE], rediss:// for TLS, or
/// redis+unix:///PATH/OF/SOCKET[?db=DATABASE]. Several hosts, separated by commas, are nodes of a
/// cluster, or Sentinels with `sentinel_master`. NULL options are the defaults. The caller frees
/// the store with flagstore_free.
///
/// Only a store with FLAGSTORE_READ_WATCHED connects now; it has threads of the library, others
/// none until they are waited on or watched. NULL: the call failed, with
/// FLAGSTORE_INVALID_ARGUMENT for a URL or an option that cannot be, FLAGSTORE_IO for a file that
/// cannot be read, FLAGSTORE_UNAVAILABLE if the first snapshot did not come in time,
/// FLAGSTORE_BACKEND with the words of a server that refuses, and FLAGSTORE_NOT_IMPLEMENTED by a
/// library without the feature "redis". No message has a password.
#[unsafe(no_mangle)]
pub extern "C" fn flagstore_redis_open(
    url: *const c_char,
    options: *const flagstore_redis_options_t,
    error: *mut *mut flagstore_error_t,
) -> *mut flagstore_t {
    guard(error, ptr::null_mut(), || open(url, options))
}

#[cfg(not(feature = "redis"))]
fn open(_: *const c_char, _: *const flagstore_redis_options_t) -> crate::Result<*mut flagstore_t> {
    Err(crate::Error::NotImplemented("flagstore_redis_open: this library was built without the feature redis"))
}

#[cfg(feature = "redis")]
fn open(url: *const c_char, options: *const flagstore_redis_options_t) -> crate::Result<*mut flagstore_t> {
    let (redis, remote) = flagstore_redis_options_t::checked(options)?;
    let store = crate::RemoteFlagStore::open_redis(super::arguments::text(url, "url")?, redis, remote)?;
    Ok(super::open::into_raw(super::open::Backend::Remote(std::sync::Arc::new(store))))
}

#[cfg(feature = "redis")]
impl flagstore_redis_options_t {
    /// What the caller asks for; NULL asks for the defaults.
    fn checked(given: *const Self) -> crate::Result<(crate::RedisOptions, crate::RemoteOptions)> {
        // SAFETY: the struct is of integers and pointers, for which zero will do.
        let empty: Self = unsafe { std::mem::zeroed() };
        // SAFETY: as above; any bytes will do.
        let given =
            if given.is_null() { empty } else { unsafe { super::versioned_struct::copy(given, empty, "options")? } };
        let remote = flagstore_remote_options_t::checked(given.remote)?;
        Ok((given.to_options()?, remote))
    }

    fn to_options(self) -> crate::Result<crate::RedisOptions> {
        let text = |field: &str, given: *const c_char| match given.is_null() {
            true => Ok(None),
            false => super::arguments::text(given, &format!("options.{field}")).map(|text| Some(text.to_owned())),
        };
        let number = |field: &str, given: i32| match u32::try_from(given) {
            Ok(number) => Ok(number),
            Err(_) => Err(crate::Error::InvalidArgument(format!("options.{field} is {given}"))),
        };
        number("reserved", -i32::from(self.reserved != 0))?;
        let defaults = crate::RedisOptions::new();
        let file = |field: &str, given| text(field, given).map(|path| path.map(Into::into));
        Ok(crate::RedisOptions {
            hash: text("hash", self.hash)?.unwrap_or(defaults.hash),
            username: text("username", self.username)?,
            password: text("password", self.password)?,
            password_file: file("password_file", self.password_file)?,
            tls_ca_file: file("tls_ca_file", self.tls_ca_file)?,
            tls_cert_file: file("tls_cert_file", self.tls_cert_file)?,
            tls_key_file: file("tls_key_file", self.tls_key_file)?,
            tls_server_name: text("tls_server_name", self.tls_server_name)?,
            sentinel_master: text("sentinel_master", self.sentinel_master)?,
            connections: match number("connections", self.connections)? {
                0 => defaults.connections,
                given => given as usize,
            },
            wait_replicas: number("wait_replicas", self.wait_replicas)?,
            wait: match number("wait_ms", self.wait_ms)? {
                0 => defaults.wait,
                given => std::time::Duration::from_millis(given.into()),
            },
        })
    }
}
