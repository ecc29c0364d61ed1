//! Around every resource: a panic becomes a 500, a problem learns its path, safe headers, and the request is counted.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use actix_web::dev::{HttpServiceFactory, Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse, Resource};
use futures_util::FutureExt;
use futures_util::future::{Either, ready};
use metrics::{Counter, Histogram};

use super::Site;
use super::access::{Asker, Audited, Refusal, Rule, Visit, rule};
use super::origin::is_cross_origin;
use super::problem::Problem;
use super::sliced::sliced;
use super::trace;
use crate::console::sign_in;

/// Describes the metrics of HTTP to the recorder that is installed.
pub fn describe() {
    metrics::describe_counter!("ordain_http_requests_total", "Requests, by route, method and class of status");
    let unit = metrics::Unit::Seconds;
    metrics::describe_histogram!("ordain_http_request_seconds", unit, "Time from a request to its answer, by route");
}

/// Counts the requests of one route. The handle of the common case is looked up once, not with each request.
pub struct Meter {
    route: &'static str,
    method: Method,
    succeeded: Counter,
    seconds: Histogram,
}

impl Meter {
    /// `method`: the common one.
    pub fn new(route: &'static str, method: Method) -> Self {
        let succeeded = counter(route, &method, StatusCode::OK);
        let seconds = metrics::histogram!("ordain_http_request_seconds", "route" => route);
        Self { route, method, succeeded, seconds }
    }

    pub fn record(&self, method: &Method, status: StatusCode, started: Instant) {
        if status.is_success() && *method == self.method {
            self.succeeded.increment(1);
        } else {
            counter(self.route, method, status).increment(1);
        }
        self.seconds.record(started.elapsed());
    }
}

/// Methods are a client's to invent, so only known ones become labels.
fn counter(route: &'static str, method: &Method, status: StatusCode) -> Counter {
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let class = match status.as_u16() {
        100..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("ordain_http_requests_total", "route" => route, "method" => method, "status" => class)
}

/// Whether a method only looks.
fn looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A frame without keys, audit and metrics, for a server that is not ours to guard: a panic is a 500, an error a problem.
pub fn plain(resource: Resource) -> impl HttpServiceFactory {
    resource.wrap_fn(move |req, service| {
        let uri = req.uri().clone();
        if !looks(req.method()) && is_cross_origin(req.headers()) {
            let refused = Problem { instance: Some(uri.path().into()), close: true, ..Problem::cross_origin() };
            return Either::Left(ready(Err(refused.into())));
        }
        let call = AssertUnwindSafe(service.call(req)).catch_unwind();
        Either::Right(async move {
            call.await.map(|outcome| outcome.map(finished)).unwrap_or_else(|_panic| {
                tracing::error!(path = uri.path(), "a handler panicked");
                let instance = Some(uri.path().into());
                Err(Problem { instance, close: true, ..Problem::internal() }.into())
            })
        })
    })
}

/// Puts a resource into its frame.
pub fn framed(resource: Resource, meter: Meter) -> impl HttpServiceFactory {
    let meter = Rc::new(meter);
    let (to_look, to_act) = (rule(meter.route, false), rule(meter.route, true));
    resource.wrap_fn(move |mut req, service| {
        let (meter, of_refused) = (Rc::clone(&meter), Rc::clone(&meter));
        let started = Instant::now();
        let method = req.method().clone();
        // The request itself must not be kept: routing needs it to be its only holder.
        let uri = req.uri().clone();
        let acts = !looks(&method);
        let rule = if acts { to_act } else { to_look };
        let (visit, site) = match enter(&req, rule, acts, meter.route) {
            Ok(entered) => entered,
            Err(refused) => {
                meter.record(&method, refused.status, started);
                if refused.status == StatusCode::UNAUTHORIZED && sign_in::is_for(&req) {
                    let page = sign_in::instead(&req);
                    return Either::Left(ready(Ok(req.into_response(page))));
                }
                let refused = Problem { instance: Some(uri.path().into()), close: acts, ..refused };
                return Either::Left(ready(Err(refused.into())));
            }
        };
        req.extensions_mut().insert(Rc::clone(&visit));
        shrink(req.headers_mut());
        // What is open to all does nothing to any order.
        let noted = (acts && rule.scope.is_some()).then_some(visit);
        let trace = tracing::enabled!(tracing::Level::DEBUG).then(|| trace::of(req.headers())).flatten();
        let call = AssertUnwindSafe(service.call(req)).catch_unwind();
        let (door, asked) = (Data::clone(&site), method.clone());
        // In a box of its own: a refusal that waits, as one of thousands, keeps nothing of its request.
        let answer = Box::pin(async move {
            Ok(match call.await {
                Ok(Ok(response)) => {
                    if let Some(refused) = problem(&response).filter(|problem| problem.is_overload()) {
                        return Err(Problem { instance: Some(uri.path().into()), ..refused.clone() });
                    }
                    meter.record(&method, response.status(), started);
                    tracing::debug!(
                        order_id = response.request().match_info().get("order_id"),
                        trace_id = trace.map(|trace| tracing::field::display(trace.id())),
                        parent_span_id = trace.map(|trace| tracing::field::display(trace.span_id())),
                        %method, path = uri.path(), status = response.status().as_u16(),
                        ms = started.elapsed().as_millis() as u64, "a request is answered"
                    );
                    let response = finished(response);
                    if !response.response().extensions().contains::<Audited>() {
                        note(noted, &site, response.status());
                    }
                    Ok(response)
                }
                Ok(Err(error)) => Err(error),
                Err(_panic) => {
                    tracing::error!(%method, path = uri.path(), "a handler panicked");
                    meter.record(&method, StatusCode::INTERNAL_SERVER_ERROR, started);
                    note(noted, &site, StatusCode::INTERNAL_SERVER_ERROR);
                    let instance = Some(uri.path().into());
                    Err(Problem { instance, close: true, ..Problem::internal() }.into())
                }
            })
        });
        Either::Right(async move {
            match answer.await {
                Ok(answer) => answer,
                // What was not even looked at is counted, but nobody fills the audit with it.
                Err(refused) => {
                    door.refusals.turn().await;
                    of_refused.record(&asked, refused.status, started);
                    Err(refused.into())
                }
            }
        })
    })
}

/// The headers in a table of their own size: the one they come in has room for 28, which is 7 kB for each request that waits.
fn shrink(headers: &mut HeaderMap) {
    *headers = std::mem::take(headers).into_iter().collect();
}

/// Lets a request in, or says why not. Who is refused for lack of a scope is entered in the audit.
fn enter(
    req: &ServiceRequest,
    rule: Rule,
    acts: bool,
    route: &'static str,
) -> Result<(Rc<Visit>, Data<Site>), Problem> {
    let site = req.app_data::<Data<Site>>().cloned().ok_or_else(Problem::internal)?;
    // No other site's page acts here in the name of a visitor who only looks at it.
    if acts && is_cross_origin(req.headers()) {
        return Err(Problem::cross_origin());
    }
    match site.admit(rule, req) {
        Ok(asker) => Ok((Rc::new(Visit::new(asker, route, req)), site)),
        Err(refusal) => {
            let Refusal { problem, key } = *refusal;
            if let (true, Some(key)) = (acts, key) {
                let visit = Rc::new(Visit::new(Asker::Key(key), route, req));
                note(Some(visit), &site, problem.status);
            }
            Err(problem)
        }
    }
}

/// Enters in the audit what was answered. A method that is not known asked for nothing.
fn note(noted: Option<Rc<Visit>>, site: &Site, status: StatusCode) {
    let Some(visit) = noted.filter(|_| status != StatusCode::METHOD_NOT_ALLOWED) else { return };
    if let Ok(engine) = site.engine() {
        engine.note(visit.entry(status.as_u16()));
    }
}

fn problem(response: &ServiceResponse) -> Option<&Problem> {
    response.response().error().and_then(|error| error.as_error())
}

fn finished(response: ServiceResponse) -> ServiceResponse {
    if let Some(problem) = problem(&response) {
        let answer = problem.response(Some(response.request().uri().path()));
        return response.into_response(answer);
    }
    let mut response = response.map_body(|_, body| sliced(body));
    harden(response.response_mut());
    response
}

/// What every answer says of itself, unless its page says otherwise: it is nobody's to cache, to guess the type of, to run,
/// to frame or to take along. No header lets another origin read it (CORS).
const SAFE: [(header::HeaderName, header::HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, header::HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        header::HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
    (header::X_FRAME_OPTIONS, header::HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, header::HeaderValue::from_static("same-origin")),
];

/// Adds the headers that every answer has.
pub fn harden(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    for (name, value) in SAFE {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_wait_take_no_more_room_than_they_need() {
        let mut headers = HeaderMap::with_capacity(16);
        let text = header::HeaderValue::from_static;
        headers.insert(header::HOST, text("localhost"));
        headers.append(header::ACCEPT, text("text/html"));
        headers.append(header::ACCEPT, text("*/*"));
        shrink(&mut headers);
        let all: Vec<&[u8]> = headers.get_all(header::ACCEPT).map(header::HeaderValue::as_bytes).collect();
        assert_eq!((all, headers.len()), (vec![&b"text/html"[..], b"*/*"], 3));
        assert!(headers.capacity() < 8, "{}", headers.capacity());
    }
}
