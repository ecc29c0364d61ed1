//! Where a request comes from, as browsers say it, so that no other site's page acts in a visitor's name.
//!
//! `Sec-Fetch-Site` and `Origin` cannot be set by a page. A client that is no browser sends neither.

use actix_web::http::header::{self, HeaderMap};

/// Whether a browser sends this for a page of another origin.
pub fn is_cross_origin(headers: &HeaderMap) -> bool {
    match verdict(headers) {
        Verdict::Same | Verdict::NoBrowser => false,
        Verdict::Other => true,
    }
}

/// Whether a browser sends this for one of our own pages.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    verdict(headers) == Verdict::Same
}

#[derive(PartialEq)]
enum Verdict {
    Same,
    Other,
    NoBrowser,
}

fn verdict(headers: &HeaderMap) -> Verdict {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let same = |is: bool| if is { Verdict::Same } else { Verdict::Other };
    match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        // `none`: typed by hand into the address line.
        (Some("none"), None) => Verdict::NoBrowser,
        (Some(site), _) => same(site == "same-origin"),
        // Browsers leave the first out where the connection is not trustworthy, such as http to another machine.
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            same(!authority.is_empty() && text(header::HOST.as_str()) == Some(authority))
        }
        (None, None) => Verdict::NoBrowser,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_is_told_from_ours_and_from_other_clients() {
        type Given = &'static [(&'static str, &'static str)];
        let cases: [(Given, bool, bool); 8] = [
            (&[], false, false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://a:1")], true, false),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://a:1")], false, true),
            (&[("sec-fetch-site", "cross-site")], false, true),
            (&[("origin", "http://a:1")], true, false),
            (&[("origin", "http://a:2")], false, true),
            (&[("origin", "null")], false, true),
            (&[("sec-fetch-site", "none")], false, false),
        ];
        for (given, same, cross) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, header::HeaderValue::from_static("a:1"));
            for (name, value) in given {
                let name = header::HeaderName::from_static(name);
                headers.insert(name, header::HeaderValue::from_static(value));
            }
            assert_eq!((is_same_origin(&headers), is_cross_origin(&headers)), (same, cross), "{given:?}");
        }
    }
}
