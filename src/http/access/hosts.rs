//! Under which names this server answers. A page of another site can make a name of its own lead to 127.0.0.1, and a
//! browser then takes this server for that site; but it still says the name it asked for.

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use actix_web::http::header;

/// The names that are answered; empty: any.
pub struct Hosts {
    checked: bool,
    allowed: Vec<String>,
}

impl Hosts {
    /// On loopback this machine's own names and those in `allowed`; elsewhere any, unless some are allowed.
    pub fn new(bind: IpAddr, allowed: &[String]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { checked: bind.is_loopback() || !allowed.is_empty(), allowed }
    }

    /// Whether the name a request came for is one of ours. A request without any comes from no browser.
    pub fn answers(&self, head: &RequestHead) -> bool {
        if !self.checked {
            return true;
        }
        let named = head.headers().get(header::HOST).map(|value| value.to_str().unwrap_or("?"));
        let Some(named) = named.or_else(|| head.uri.authority().map(|authority| authority.as_str())) else {
            return true;
        };
        let name = without_port(named).to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name == "localhost" || address.is_ok_and(|ip| ip.is_loopback()) || self.allowed.contains(&name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // A colon within brackets is part of the address.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn on_loopback_only_our_own_names_and_allowed_ones_are_answered() {
        let loopback = Hosts::new("127.0.0.1".parse().unwrap(), &["Shop.Example".to_owned()]);
        let anywhere = Hosts::new("0.0.0.0".parse().unwrap(), &[]);
        for (host, answered) in [
            ("localhost", true),
            ("localhost:8000", true),
            ("LOCALHOST:1", true),
            ("127.0.0.1:8000", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("shop.example:443", true),
            ("evil.example", false),
            ("evil.example:8000", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.0.1", false),
            ("", false),
            ("[::2]:80", false),
        ] {
            let request = TestRequest::get().insert_header((header::HOST, host)).to_request();
            assert_eq!(loopback.answers(request.head()), answered, "{host}");
            assert!(anywhere.answers(request.head()));
        }
        assert!(loopback.answers(TestRequest::get().to_request().head()));
    }
}
