//! TLS of the listening server: a certificate and its key out of two files, read again when they change.
//!
//! Connections that are open go on; new ones get the new certificate. Two files are not changed in one instant: a pair that
//! does not fit is not taken, the old one stays, and it is said so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use actix_rt::signal::unix::{SignalKind, signal};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the certificate and its key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then those that lead to its authority.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} cannot be read: {why}")]
    File { path: String, why: String },
    #[error("{0} has no certificate")]
    Empty(String),
    #[error("the certificate and its key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

impl TlsFiles {
    /// Reads the pair and checks that one fits the other. Blocks.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(&self) -> Result<CertifiedKey, TlsError> {
        self.load_with(&ring::default_provider())
    }

    fn load_with(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let wrong = |path: &Path, why: &dyn fmt::Display| TlsError::File {
            path: path.display().to_string(),
            why: why.to_string(),
        };
        let chain = CertificateDer::pem_file_iter(&self.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|e| wrong(&self.cert, &e))?;
        if chain.is_empty() {
            return Err(TlsError::Empty(self.cert.display().to_string()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| wrong(&self.key, &e))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }

    /// When the files were changed last, and how long they are.
    fn stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.cert, &self.key].map(|path| {
            let of = path.metadata().ok()?;
            Some((of.modified().ok()?, of.len()))
        })
    }
}

/// The certificate that new connections get.
pub struct Certificate {
    files: TlsFiles,
    provider: CryptoProvider,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificate {
    /// Reads the pair. Blocks.
    ///
    /// # Errors
    /// As [`TlsFiles::load`].
    pub fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = ring::default_provider();
        let pair = files.load_with(&provider)?;
        Ok(Arc::new(Self { files, provider, current: RwLock::new(Arc::new(pair)) }))
    }

    /// What a listener needs.
    ///
    /// # Errors
    /// Where the library has no protocol versions in common with its cryptography.
    pub fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(self.provider.clone()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn reload(&self) -> Result<(), TlsError> {
        let pair = Arc::new(self.files.load_with(&self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// Reads the pair again whenever the files change, and at SIGHUP. Runs for ever.
    pub async fn watch(self: Arc<Self>) {
        let mut hang_up = signal(SignalKind::hangup()).ok();
        let mut seen = self.files.stamp();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = next(hang_up.as_mut()) => true,
            };
            let own = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                // Before the files are read: what changes meanwhile is found the next time.
                let now = own.files.stamp();
                let outcome = (asked || now != seen).then(|| own.reload());
                (now, outcome)
            });
            let Ok((now, outcome)) = looked.await else { continue };
            seen = now;
            match outcome {
                None => {}
                Some(Ok(())) => tracing::info!(cert = %self.files.cert.display(), "the certificate was read again"),
                Some(Err(error)) => tracing::error!(%error, "the new certificate is not taken; the old one stays"),
            }
        }
    }
}

/// The next signal; never, where they cannot be received.
async fn next(signal: Option<&mut actix_rt::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
