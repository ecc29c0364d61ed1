//! `GET /orders`: a page of orders, filtered and sorted.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{Outcome, STATES, send};
use crate::http::Site;
use crate::http::access::Visit;
use crate::http::json::{Fault, write_text};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::schema::{ListParams, OrderList};
use crate::http::site::by;
use crate::model::{FailureKind, ID_BYTES_MAX, Key, Timestamp};
use crate::runtime::Engine;
use crate::store::{Cursor, OrderFilter, Page, Sort, SortField};

pub const LIMIT: usize = 50;
pub const LIMIT_MAX: usize = 500;
const METADATA: &str = "metadata.";

/// List orders
///
/// Newest first unless `sort` says otherwise. Sees every write that was answered before.
/// `metadata.KEY=VALUE` filters by metadata, for any key.
#[utoipa::path(
    get, path = "/orders", tag = "orders",
    params(ListParams),
    responses((status = 200, description = "A page of orders", body = OrderList))
)]
pub async fn list(req: HttpRequest, site: Data<Site>) -> Outcome {
    let filter = filter(Query::read(req.query_string()))?.of(Visit::of(&req).owner());
    let deadline = site.deadline();
    let engine = site.engine()?;
    let writer = engine.clone();
    // Documents are made on the reader's thread: a page of 500 would hold up everyone on this one.
    let read = engine.read(move |queries| Ok(write(&writer, &queries.orders(&filter)?)));
    let json = by(deadline, read).await??;
    Ok(send(HttpResponse::Ok(), json))
}

fn write(engine: &Engine, page: &Page) -> Result<String, Problem> {
    let mut json = String::from("{\"orders\":[");
    for (index, family) in page.orders.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(&engine.document(family)?.to_string());
    }
    json.push_str("],\"next_cursor\":");
    match &page.next {
        Some(cursor) => write_text(&write_cursor(cursor), &mut json),
        None => json.push_str("null"),
    }
    if let Some(n) = page.sorted_within {
        json.push_str(&format!(",\"sorted_within\":{n}"));
    }
    json.push('}');
    Ok(json)
}

/// The filters of a list.
pub fn filter(mut query: Query) -> Result<OrderFilter, Vec<Fault>> {
    let states = query.take_as("state", "must be states of an order, separated by commas", |text| {
        let states: Vec<String> = text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        states.iter().all(|s| STATES.contains(&s.as_str())).then_some(states)
    });
    let short = |text: &str| (text.chars().count() <= ID_BYTES_MAX).then(|| text.to_owned());
    let q = query.take_as("q", "must have at most 128 characters", short).filter(|q| !q.is_empty());
    let retrying = query.take_as("retrying", "must be true or false", |text| text.parse().ok());
    let attempts_min = query.take_as("attempts_min", "must be a whole number from 0", |text| {
        text.parse().ok().filter(|n: &u32| i32::try_from(*n).is_ok())
    });
    let error = query.take_as("error", "must be a kind of error", |text| {
        KINDS.iter().find(|kind| kind.as_str() == text).map(|kind| kind.as_str().to_owned())
    });
    let metadata = query.take_prefixed(METADATA);
    if metadata.len() > 16 {
        query.fault("metadata", "must not be given more than 16 times");
    }
    let created_after = query.take_as("created_after", "must be an RFC 3339 instant", Timestamp::parse);
    let created_before = query.take_as("created_before", "must be an RFC 3339 instant", Timestamp::parse);
    let sort = query.take_as("sort", "must be one of the sorts, with - for descending", sort);
    let sort = sort.unwrap_or_default();
    let limit = query.take_as("limit", "must be a whole number from 1 to 500", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
    });
    let cursor = query.take_as("cursor", "is not a cursor of a list in this order", |text| {
        read_cursor(text).filter(|cursor| cursor.sort == sort)
    });
    query.finish().or(OrderFilter {
        states: states.unwrap_or_default(),
        q,
        retrying,
        attempts_min,
        error,
        owner: None,
        metadata,
        created_after,
        created_before,
        sort,
        bounded: false,
        limit: limit.unwrap_or(LIMIT),
        cursor,
    })
}

const KINDS: [FailureKind; 9] = [
    FailureKind::Validation,
    FailureKind::Refused,
    FailureKind::Unreachable,
    FailureKind::RateLimited,
    FailureKind::Timeout,
    FailureKind::UnknownOutcome,
    FailureKind::Panic,
    FailureKind::Error,
    FailureKind::SecretsUnreadable,
];

const FIELDS: [(&str, SortField); 8] = [
    ("created_at", SortField::CreatedAt),
    ("updated_at", SortField::UpdatedAt),
    ("order_id", SortField::OrderId),
    ("state", SortField::State),
    ("amount", SortField::Amount),
    ("deadline", SortField::Deadline),
    ("attempts", SortField::Attempts),
    ("address", SortField::Address),
];

fn sort(text: &str) -> Option<Sort> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    FIELDS.iter().find(|(n, _)| *n == name).map(|(_, field)| Sort { field: *field, descending })
}

/// A cursor as a client carries it: hexadecimal digits, so that nobody is tempted to build one.
pub fn write_cursor(cursor: &Cursor) -> String {
    let name = FIELDS.iter().find(|(_, f)| *f == cursor.sort.field).map_or("", |(name, _)| *name);
    let sign = if cursor.sort.descending { "-" } else { "" };
    let plain = format!("{sign}{name} {} {}", cursor.key.0, cursor.value);
    plain.bytes().map(|b| format!("{b:02x}")).collect()
}

fn read_cursor(text: &str) -> Option<Cursor> {
    if text.len() > 1_024 || !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
    let plain = String::from_utf8(bytes?).ok()?;
    let mut parts = plain.splitn(3, ' ');
    let sort = sort(parts.next()?)?;
    let key = Key(parts.next()?.parse().ok()?);
    let value = parts.next()?.to_owned();
    let plain = value.parse::<i64>().is_ok();
    let fits = match sort.field {
        SortField::CreatedAt => plain,
        SortField::UpdatedAt | SortField::State | SortField::OrderId => !value.contains('\0'),
        _ => windowed(&value),
    };
    fits.then_some(Cursor { sort, value, key })
}

/// Where a window begins, and the value.
fn windowed(value: &str) -> bool {
    value.split_once(' ').is_some_and(|(floor, value)| floor.parse::<i64>().is_ok() && !value.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_from_the_query() {
        let raw = "state=failed,stuck&q=o-&retrying=true&attempts_min=2&error=timeout&metadata.tier=gold\
                   &created_after=2026-01-01T00:00:00Z&sort=-state&limit=7";
        let filter = filter(Query::read(raw)).unwrap();
        assert_eq!(filter.states, ["failed", "stuck"]);
        assert_eq!((filter.q.as_deref(), filter.retrying, filter.attempts_min), (Some("o-"), Some(true), Some(2)));
        assert_eq!(filter.error.as_deref(), Some("timeout"));
        assert_eq!(filter.metadata, [("tier".to_owned(), "gold".to_owned())]);
        assert_eq!(filter.created_after, Some(Timestamp(1_767_225_600_000)));
        assert_eq!((filter.sort, filter.limit), (Sort { field: SortField::State, descending: true }, 7));
    }

    #[test]
    fn every_bad_parameter_is_told() {
        let raw = "state=new&retrying=maybe&attempts_min=-1&error=x&created_after=now&created_before=1&sort=price\
                   &limit=0&cursor=zz&x=1";
        assert_eq!(filter(Query::read(raw)).unwrap_err().len(), 10);
        assert_eq!(filter(Query::read("limit=501")).unwrap_err()[0].pointer, "/query/limit");
    }

    #[test]
    fn a_cursor_survives_the_journey_and_fits_its_sort_only() {
        let sort = Sort { field: SortField::OrderId, descending: false };
        let cursor = Cursor { sort, value: "o-1 ~x".into(), key: Key(42) };
        let text = write_cursor(&cursor);
        assert_eq!(read_cursor(&text), Some(cursor));
        assert!(filter(Query::read(&format!("sort=order_id&cursor={text}"))).is_ok());
        assert!(filter(Query::read(&format!("cursor={text}"))).is_err());
        for bad in ["", "0", "ff", "zz", &"00".repeat(600)] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
