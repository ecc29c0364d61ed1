//! What a client shows a server, and whom it believes: an API key, and certificate authorities beside the public ones.

use std::path::PathBuf;

use awc::Client;
use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::CliError;
use crate::activities::new_client;

/// How a server is reached, beside its address.
#[derive(Debug, Clone, Default, Args)]
pub struct Access {
    /// An API key, where the server asks for one.
    #[arg(id = "api_key", long = "key", env = "ORDAIN_KEY", hide_env_values = true, value_name = "KEY")]
    pub key: Option<ApiKey>,
    /// Certificate authorities (PEM) to believe beside the public ones, for a server at https://.
    #[arg(long, env = "ORDAIN_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// The key, where there is one; a variable that is set to nothing is none.
    pub fn secret(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.0.as_str()).filter(|key| !key.is_empty())
    }

    /// An HTTP client that believes whom it is told to. Must be called within an actix system.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the file with the authorities cannot be used.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let own = match self.ca_file.as_ref().filter(|file| !file.as_os_str().is_empty()) {
            Some(file) => {
                let wrong = |why: String| CliError::Usage(format!("--ca-file {}: {why}", file.display()));
                let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                let read = read.map_err(|e| wrong(e.to_string()))?;
                if read.is_empty() {
                    return Err(wrong("has no certificate".to_owned()));
                }
                read
            }
            None => Vec::new(),
        };
        new_client(own).map_err(|e| CliError::Usage(format!("TLS cannot be set up: {e}")))
    }
}

/// A key as it was given; never printed.
#[derive(Clone)]
pub struct ApiKey(String);

impl std::str::FromStr for ApiKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fits = text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err("is not an API key".to_owned()) }
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
