//! Where the requests go.

use std::net::{SocketAddr, ToSocketAddrs};

use super::LoadError;

/// A server's address, and the header lines every request to it carries.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub address: SocketAddr,
    /// What stands before the routes, without a slash at its end.
    pub base: String,
    /// `Host` and what else every request carries, each line with its end.
    pub headers: String,
}

impl Target {
    /// # Errors
    /// [`LoadError::Usage`] for a URL that is none, [`LoadError::NotReachable`] for a host without an address.
    pub fn new(url: &str, api_key: Option<&str>) -> Result<Self, LoadError> {
        let usage = |why: &str| LoadError::Usage(format!("--url {url}: {why}"));
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(usage("the load generator speaks plain http:// only")),
            Some(_) => return Err(usage("not an http:// URL")),
            None => url,
        };
        let (host, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#@".contains(c)) {
            return Err(usage("not an http:// URL of a server"));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let named = if has_port { host.to_owned() } else { format!("{host}:80") };
        let not_reachable = |why: String| LoadError::NotReachable { url: url.to_owned(), why };
        let mut found = named.to_socket_addrs().map_err(|e| not_reachable(e.to_string()))?;
        let address = found.next().ok_or_else(|| not_reachable("the host has no address".into()))?;
        let mut headers = format!("Host: {host}\r\n");
        if let Some(key) = api_key {
            if key.contains(|c: char| c.is_control()) {
                return Err(LoadError::Usage("the API key has a control character".into()));
            }
            headers.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        Ok(Self { url: url.to_owned(), address, base: base.trim_end_matches('/').to_owned(), headers })
    }

    /// The bytes of a plain GET.
    pub fn get(&self, path: &str) -> Vec<u8> {
        format!("GET {}{path} HTTP/1.1\r\n{}\r\n", self.base, self.headers).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_address_host_and_base() {
        let target = Target::new("http://127.0.0.1:8000/api/", Some("k")).unwrap();
        assert_eq!(target.address, "127.0.0.1:8000".parse().unwrap());
        let request = String::from_utf8(target.get("/readyz")).unwrap();
        let expected = "GET /api/readyz HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer k\r\n\r\n";
        assert_eq!(request, expected);
        assert_eq!(Target::new("127.0.0.1", None).unwrap().address.port(), 80);
        assert_eq!(Target::new("http://[::1]:81", None).unwrap().address, "[::1]:81".parse().unwrap());
    }

    #[test]
    fn what_is_no_plain_http_url_is_wrong_usage() {
        for url in ["https://localhost", "ftp://x", "http://", "http://a b", "http://u@h/", "http://h/?q"] {
            assert!(matches!(Target::new(url, None), Err(LoadError::Usage(_))), "{url}");
        }
    }
}
