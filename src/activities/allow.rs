//! Where activities may go: a list of an operator's, so that no address that came from elsewhere leads into the own network.

use actix_web::http::Uri;

/// The places that may be called; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow(Vec<Place>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// In lower case; an IPv6 address within its brackets.
    host: String,
    /// `None`: any.
    port: Option<u16>,
}

impl Allow {
    /// Reads `HOST:PORT` and `HOST`, an IPv6 address in brackets.
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn read(entries: &[String]) -> Result<Self, String> {
        entries.iter().map(|entry| place(entry).ok_or_else(|| entry.clone())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a URL leads to one of them. What is no URL leads nowhere.
    pub fn permits(&self, url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let (Some(host), Some(scheme)) = (uri.host(), uri.scheme_str()) else { return false };
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let host = host.to_ascii_lowercase();
        self.0.is_empty() || self.0.iter().any(|p| p.host == host && p.port.is_none_or(|allowed| allowed == port))
    }
}

fn place(entry: &str) -> Option<Place> {
    let entry = entry.trim().to_ascii_lowercase();
    let (host, port) = match entry.rsplit_once(':') {
        // A colon within brackets is part of the address.
        Some((host, port)) if !port.contains(']') => (host.to_owned(), Some(port.parse::<u16>().ok()?)),
        _ => (entry, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)),
    };
    fits.then_some(Place { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_on_the_list_are_permitted() {
        let entries = ["Pay.example:8443", "carrier.example", "[::1]:9000"].map(str::to_owned);
        let allow = Allow::read(&entries).unwrap();
        for (url, permitted) in [
            ("https://pay.example:8443/charge", true),
            ("https://PAY.example:8443", true),
            ("https://pay.example/charge", false),
            ("http://carrier.example/x", true),
            ("http://carrier.example:1/x", true),
            ("http://carrier.example.evil.example/x", false),
            ("http://evil.example/carrier.example", false),
            ("http://carrier.example@evil.example/", false),
            ("http://[::1]:9000/", true),
            ("http://[::1]:9001/", false),
            ("http://169.254.169.254/latest", false),
            ("/charge", false),
        ] {
            assert_eq!(allow.permits(url), permitted, "{url}");
        }
        assert!(Allow::default().permits("http://anything.example/"));
    }

    #[test]
    fn what_is_no_place_is_told() {
        for entry in ["", ":80", "a:b", "http://a", "a/b", "*", "[x]:1", "a:99999", "::1"] {
            assert_eq!(Allow::read(&[entry.to_owned()]), Err(entry.to_owned()));
        }
    }
}
