use std::path::PathBuf;
use std::time::Duration;

/// Where [`RemoteFlagStore::open_redis`](crate::RemoteFlagStore::open_redis) finds the flags, and how it shows who it is.
///
/// ```
/// use flagstore::RedisOptions;
///
/// let options = RedisOptions::new().hash("shop:flags").connections(8);
/// assert_eq!(options.hash, "shop:flags");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisOptions {
    /// The name of the hash with the flags. Braces in it must be a hash tag of Redis Cluster.
    pub hash: String,
    /// The user; `None`: the URL's, or none.
    pub username: Option<String>,
    /// The password; `None`: the file's, else the URL's, or none.
    pub password: Option<String>,
    /// A file with the password, which is read at each connect.
    pub password_file: Option<PathBuf>,
    /// A PEM file of the authorities that are trusted; `None`: those of the system.
    pub tls_ca_file: Option<PathBuf>,
    /// A PEM file with the certificate that the server wants to see.
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with its key.
    pub tls_key_file: Option<PathBuf>,
    /// The name that the server's certificate must have; `None`: the host in the URL.
    pub tls_server_name: Option<String>,
    /// The name of the primary that the Sentinels in the URL know. A user and password in the URL are then for them.
    pub sentinel_master: Option<String>,
    /// How many connections there are for changes and reads at most.
    pub connections: usize,
    /// How many replicas shall confirm a change within [`wait`](Self::wait).
    pub wait_replicas: u32,
    /// How long a change waits for its replicas.
    pub wait: Duration,
}

impl RedisOptions {
    /// The defaults: the hash `flagstore`, four connections, replicas are not waited for.
    pub fn new() -> Self {
        Self {
            hash: "flagstore".into(),
            username: None,
            password: None,
            password_file: None,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            tls_server_name: None,
            sentinel_master: None,
            connections: 4,
            wait_replicas: 0,
            wait: Duration::from_millis(100),
        }
    }

    /// The name of the hash with the flags.
    #[must_use]
    pub fn hash(self, hash: impl Into<String>) -> Self {
        Self { hash: hash.into(), ..self }
    }

    /// The user.
    #[must_use]
    pub fn username(self, username: impl Into<Option<String>>) -> Self {
        Self { username: username.into(), ..self }
    }

    /// The password.
    #[must_use]
    pub fn password(self, password: impl Into<Option<String>>) -> Self {
        Self { password: password.into(), ..self }
    }

    /// A file with the password, which is read at each connect.
    #[must_use]
    pub fn password_file(self, file: impl Into<Option<PathBuf>>) -> Self {
        Self { password_file: file.into(), ..self }
    }

    /// A PEM file of the authorities that are trusted.
    #[must_use]
    pub fn tls_ca_file(self, file: impl Into<Option<PathBuf>>) -> Self {
        Self { tls_ca_file: file.into(), ..self }
    }

    /// The certificate that the server wants to see, and its key, both in PEM files.
    #[must_use]
    pub fn tls_certificate(self, cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self { tls_cert_file: Some(cert_file.into()), tls_key_file: Some(key_file.into()), ..self }
    }

    /// The name that the server's certificate must have.
    #[must_use]
    pub fn tls_server_name(self, name: impl Into<Option<String>>) -> Self {
        Self { tls_server_name: name.into(), ..self }
    }

    /// The name of the primary that the Sentinels in the URL know.
    #[must_use]
    pub fn sentinel_master(self, name: impl Into<Option<String>>) -> Self {
        Self { sentinel_master: name.into(), ..self }
    }

    /// How many connections there are for changes and reads at most.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// How many replicas shall confirm a change, and within which time.
    #[must_use]
    pub fn wait_replicas(self, replicas: u32, wait: Duration) -> Self {
        Self { wait_replicas: replicas, wait, ..self }
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the password.
impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions")
            .field("hash", &self.hash)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
