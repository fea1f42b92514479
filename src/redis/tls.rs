//! TLS, by rustls.

use super::RedisOptions;
use super::url::Address;
use crate::{Error, Result};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What all connections to a server share.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    pub(super) fn new(options: &RedisOptions) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(refused)?.with_root_certificates(roots(options.tls_ca_file.as_deref())?);
        let config = match (&options.tls_cert_file, &options.tls_key_file) {
            (Some(certificate), Some(key)) => {
                let key_of = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
                builder.with_client_auth_cert(certificates(certificate)?, key_of).map_err(refused)?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => {
                let message = "options.tls_cert_file and options.tls_key_file go together";
                return Err(Error::InvalidArgument(message.into()));
            }
        };
        let server_name = options.tls_server_name.as_deref().map(|name| server_name(name, "options.tls_server_name"));
        Ok(Self { config: Arc::new(config), server_name: server_name.transpose()? })
    }

    pub(super) fn connection(&self, address: &Address) -> Result<ClientConnection> {
        let name = match (&self.server_name, address) {
            (Some(name), _) => name.clone(),
            (None, Address::Tcp(host, _)) => server_name(host, "the host in the URL")?,
            (None, Address::Unix(_)) => return Err(Error::Internal("TLS on a Unix socket".into())),
        };
        ClientConnection::new(Arc::clone(&self.config), name).map_err(refused)
    }
}

fn server_name(name: &str, what: &str) -> Result<ServerName<'static>> {
    let message = || Error::InvalidArgument(format!("{what} is {name:?}, for which there is no certificate"));
    ServerName::try_from(name.to_owned()).map_err(|_| message())
}

fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = match file {
        Some(file) => certificates(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = roots.add_parsable_certificates(certificates);
    match (added, file) {
        (0, Some(file)) => Err(Error::InvalidArgument(format!("{} has no certificate", file.display()))),
        (0, None) => Err(Error::InvalidArgument("this system trusts no authority: give options.tls_ca_file".into())),
        _ => Ok(roots),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    certificates.map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &pem::Error) -> Error {
    match error {
        pem::Error::Io(error) => Error::io(file, "read the file", error),
        _ => Error::InvalidArgument(format!("{} is no PEM file of what is wanted: {error}", file.display())),
    }
}

/// What one side refuses of the other will not be other the next time.
pub(super) fn refused(error: rustls::Error) -> Error {
    Error::backend(format!("TLS: {error}"))
}

/// The connection's own errors come wrapped in those of its reader.
pub(super) fn refused_by_reader(error: &io::Error) -> Error {
    Error::Unavailable(format!("TLS: {error}"))
}
