//! The `traceparent` of a request: the trace the client is in, as W3C Trace Context has it.

use actix_web::http::header::HeaderMap;

use crate::model::Trace;

const HEADER: &str = "traceparent";

/// The trace of a request. One that cannot be read, or is given twice, is none: tracing never refuses work.
pub fn of(headers: &HeaderMap) -> Option<Trace> {
    let mut values = headers.get_all(HEADER);
    let trace = values.next().and_then(|value| Trace::parse(value.to_str().ok()?.trim()).ok());
    trace.filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn one_good_traceparent_counts_and_anything_else_does_not() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let of_all = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HeaderName::from_static(HEADER), HeaderValue::from_str(value).unwrap());
            }
            of(&headers).map(|trace| trace.to_string())
        };
        assert_eq!(of_all(&[good]).as_deref(), Some(good));
        assert_eq!(of_all(&[]), None);
        assert_eq!(of_all(&["garbage"]), None);
        assert_eq!(of_all(&[good, good]), None);
    }
}
