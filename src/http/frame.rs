//! Around every resource: a panic becomes a 500, a problem learns its path, safe headers, and the request is counted.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use actix_web::dev::{HttpServiceFactory, Service, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpResponse, Resource};
use futures_util::FutureExt;
use futures_util::future::{Either, ready};
use metrics::{Counter, Histogram};

use super::origin::is_cross_origin;
use super::problem::Problem;
use super::trace;

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

/// Puts a resource into its frame.
pub fn framed(resource: Resource, meter: Meter) -> impl HttpServiceFactory {
    let meter = Rc::new(meter);
    resource.wrap_fn(move |req, service| {
        let meter = Rc::clone(&meter);
        let started = Instant::now();
        let method = req.method().clone();
        // The request itself must not be kept: routing needs it to be its only holder.
        let uri = req.uri().clone();
        // No other site's page acts here in the name of a visitor who only looks at it.
        if method == Method::POST && is_cross_origin(req.headers()) {
            let refused = Problem { instance: Some(uri.path().into()), close: true, ..Problem::cross_origin() };
            meter.record(&method, refused.status, started);
            return Either::Left(ready(Err(refused.into())));
        }
        let trace = tracing::enabled!(tracing::Level::DEBUG).then(|| trace::of(req.headers())).flatten();
        let call = AssertUnwindSafe(service.call(req)).catch_unwind();
        Either::Right(async move {
            match call.await {
                Ok(outcome) => {
                    let response = outcome?;
                    meter.record(&method, response.status(), started);
                    tracing::debug!(
                        order_id = response.request().match_info().get("order_id"),
                        trace_id = trace.map(|trace| tracing::field::display(trace.id())),
                        parent_span_id = trace.map(|trace| tracing::field::display(trace.span_id())),
                        %method, path = uri.path(), status = response.status().as_u16(),
                        ms = started.elapsed().as_millis() as u64, "a request is answered"
                    );
                    Ok(finished(response))
                }
                Err(_panic) => {
                    tracing::error!(%method, path = uri.path(), "a handler panicked");
                    meter.record(&method, StatusCode::INTERNAL_SERVER_ERROR, started);
                    let instance = Some(uri.path().into());
                    Err(Problem { instance, close: true, ..Problem::internal() }.into())
                }
            }
        })
    })
}

fn finished(response: ServiceResponse) -> ServiceResponse {
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    if let Some(problem) = problem {
        let answer = problem.response(Some(response.request().uri().path()));
        return response.into_response(answer);
    }
    let mut response = response;
    harden(response.response_mut());
    response
}

/// Answers are nobody's to cache or to guess the type of.
pub fn harden(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
}
