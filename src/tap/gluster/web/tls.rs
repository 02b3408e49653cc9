//! The server's certificate.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tap::Failure;

/// Reads certificate and key. Clients are asked for none: Gluster's have none.
///
/// # Errors
/// One line with the file that does not do.
pub(super) fn load(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Failure> {
    let fail =
        |file: &Path, why: &dyn std::fmt::Display| Failure(format!("{}: {why}", file.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| fail(cert, &error))?;
    if chain.is_empty() {
        return Err(fail(cert, &"no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fail(key, &error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(cert, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| fail(key, &error))?;
    Ok(Arc::new(config))
}
