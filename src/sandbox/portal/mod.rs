//! The invoice portal: logins that expire, invoices by month and page, limits, storms, and counts of all of it.
//!
//! Its invoices are a pure function of seed, company and month, so nothing is kept but counts.

mod gate;
mod invoices;
mod token;

use std::time::Instant;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::fields::{self, Fields};
use super::world::World;
use super::{SandboxOptions, now};
use crate::http::json::parse;
use crate::http::problem::Problem;
use crate::http::query::Query;
use gate::{Gate, Turned};
use invoices::{Archive, Month};
use token::{Rejected, Tokens};

type Outcome = Result<HttpResponse, Problem>;

/// The password that is never right.
const WRONG: &str = "wrong";
const STORM_SECONDS_MAX: u64 = 3_600;
const RETRY_AFTER_S_MAX: u64 = 3_600;

pub struct Portal {
    tokens: Tokens,
    archive: Archive,
    gate: Gate,
}

impl Portal {
    pub fn new(options: &SandboxOptions) -> Self {
        Self {
            tokens: Tokens::new(options.seed, options.token_seconds),
            archive: Archive::new(options.seed, options.invoices_per_month),
            gate: Gate::new(options.portal_rate, Instant::now()),
        }
    }

    /// Every request of a client comes in here.
    fn enter(&self) -> Result<(), Problem> {
        self.gate.enter(Instant::now()).map_err(|Turned { code, retry_after_s }| {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, code, "too many requests; come back later");
            Problem { retry_after_s: Some(retry_after_s), ..problem }
        })
    }

    fn authorize(&self, req: &HttpRequest) -> Result<(), Problem> {
        let header = req.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
        let checked = token.map(|token| self.tokens.check(token, now()));
        let (code, detail) = match checked {
            Some(Ok(())) => return Ok(()),
            Some(Err(Rejected::Expired)) => ("token_expired", "the token has expired; log in again"),
            Some(Err(Rejected::Unknown)) => ("token_invalid", "the token is not one of this portal"),
            None => ("token_missing", "the header Authorization: Bearer … is missing"),
        };
        self.gate.unauthorized();
        Err(Problem::new(StatusCode::UNAUTHORIZED, code, detail))
    }
}

/// `POST /portal/login {"username", "password"}`.
pub async fn login(req: HttpRequest, world: Data<World>, payload: Payload) -> Outcome {
    let portal = &world.portal;
    portal.enter()?;
    let bytes = fields::bytes(&req, payload).await?;
    let json = parse(&bytes)?;
    let mut fields = Fields::of(&json);
    let (_username, password) = (fields.needed("username"), fields.needed("password"));
    fields.finish().or(())?;
    if password == WRONG {
        portal.gate.unauthorized();
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "user name or password is wrong"));
    }
    portal.gate.login();
    let (token, seconds) = portal.tokens.issue(now());
    Ok(HttpResponse::Ok().json(json!({"token": token, "token_type": "Bearer", "expires_in": seconds})))
}

/// `GET /portal/invoices?company_id=&month=YYYY-MM&page=N`.
pub async fn list(req: HttpRequest, world: Data<World>) -> Outcome {
    let portal = &world.portal;
    portal.enter()?;
    portal.authorize(&req)?;
    let mut query = Query::read(req.query_string());
    let company = |text: &str| invoices::is_company(text).then(|| text.to_owned());
    let company = query.take_as("company_id", "must have 1 to 64 characters out of A-Z a-z 0-9 . _ ~ -", company);
    let month = query.take_as("month", "must be a month from 1900-01 to 2999-12", Month::parse);
    let page = query.take_as("page", "must be a whole number from 1", |text| text.parse().ok().filter(|n| *n > 0_u32));
    for (name, missing) in [("company_id", company.is_none()), ("month", month.is_none())] {
        // One that is there and wrong is told already.
        if missing && !req.query_string().contains(&format!("{name}=")) {
            query.fault(name, "is missing");
        }
    }
    query.finish().or(())?;
    let (Some(company), Some(month)) = (company, month) else { return Err(Problem::internal()) };
    let (invoices, pages) = portal.archive.page(&company, month, page.unwrap_or(1));
    Ok(HttpResponse::Ok().json(json!({"invoices": invoices, "page": page.unwrap_or(1), "pages": pages})))
}

/// `GET /portal/invoices/{id}`.
pub async fn invoice(req: HttpRequest, world: Data<World>) -> Outcome {
    let portal = &world.portal;
    portal.enter()?;
    portal.authorize(&req)?;
    Query::read(req.query_string()).finish().or(())?;
    let id = req.match_info().get("id").unwrap_or_default();
    let found = portal
        .archive
        .invoice(id)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "invoice_not_found", "there is no invoice of this id"))?;
    portal.gate.fetched(id);
    Ok(HttpResponse::Ok().json(found))
}

/// `POST /portal/storm {"seconds", "retry_after"}`: so long every request is 429. 0 seconds end a storm.
pub async fn storm(req: HttpRequest, world: Data<World>, payload: Payload) -> Outcome {
    let bytes = fields::bytes(&req, payload).await?;
    let json = parse(&bytes)?;
    let mut fields = Fields::of(&json);
    let seconds = fields.number("seconds", 0..=STORM_SECONDS_MAX).unwrap_or(30);
    let retry_after = fields.number("retry_after", 0..=RETRY_AFTER_S_MAX).unwrap_or(2);
    fields.finish().or(())?;
    world.portal.gate.storm(seconds, u32::try_from(retry_after).unwrap_or(u32::MAX), Instant::now());
    Ok(HttpResponse::Ok().json(json!({"seconds": seconds, "retry_after": retry_after})))
}

/// `GET /portal/stats`.
pub async fn stats(req: HttpRequest, world: Data<World>) -> Outcome {
    Query::read(req.query_string()).finish().or(())?;
    Ok(HttpResponse::Ok().json(world.portal.gate.stats(Instant::now())))
}
