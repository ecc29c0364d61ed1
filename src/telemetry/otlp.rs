//! Spans for an OpenTelemetry collector, over OTLP/HTTP; cargo feature `otlp`.
//!
//! A span is made of a log line that tells of something with a length: an attempt, a request. So nothing is added to
//! the way of an order, and ids are those that were sent outside as `traceparent`.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;

/// Either of them says where to, as the standard has it; without them nothing is sent.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// Of these lines spans are made, and the name of each.
const LINES: [(&str, &str); 2] = [("an attempt has ended", "activity"), ("a request is answered", "request")];

static SENDER: OnceLock<Arc<BatchSpanProcessor>> = OnceLock::new();

/// The layer that makes spans; `None` where no endpoint is set.
///
/// # Errors
/// Where the endpoint cannot be used.
pub fn layer<S>() -> Result<Option<impl Layer<S>>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if ENDPOINTS.iter().all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty())) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_http().build().map_err(|e| TelemetryError::Otlp(e.to_string()))?;
    // It sends from a thread of its own; its queue is bounded, and what finds no room is dropped.
    let mut sender = BatchSpanProcessor::builder(exporter).build();
    sender.set_resource(&Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build());
    let sender = Arc::clone(SENDER.get_or_init(|| Arc::new(sender)));
    let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION")).build();
    let only = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::DEBUG);
    Ok(Some(Spans { sender, scope }.with_filter(only)))
}

/// Sends what waits, for at most so long.
pub fn flush(limit: Duration) {
    if let Some(sender) = SENDER.get()
        && let Err(error) = sender.shutdown_with_timeout(limit)
    {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

struct Spans {
    sender: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let Some((_, name)) = LINES.iter().find(|(message, _)| *message == line.message) else { return };
        let end_time = SystemTime::now();
        let ids = RandomIdGenerator::default();
        let context = SpanContext::new(
            line.trace_id.unwrap_or_else(|| ids.new_trace_id()),
            line.span_id.unwrap_or_else(|| ids.new_span_id()),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        let request = *name == "request";
        self.sender.on_end(SpanData {
            span_context: context,
            parent_span_id: line.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: line.parent.is_some(),
            span_kind: if request { SpanKind::Server } else { SpanKind::Client },
            name: line.name.map_or_else(|| (*name).into(), Into::into),
            start_time: end_time - Duration::from_millis(line.ms),
            end_time,
            attributes: line.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: line.failure.map_or(Status::Unset, |why| Status::Error { description: why.into() }),
            instrumentation_scope: self.scope.clone(),
        });
    }
}

/// What a line says.
#[derive(Default)]
struct Line {
    message: String,
    name: Option<String>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    parent: Option<SpanId>,
    ms: u64,
    failure: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Line {
    fn take(&mut self, field: &str, text: String) {
        match field {
            "message" => self.message = text,
            "trace_id" => self.trace_id = TraceId::from_hex(&text).ok(),
            "span_id" => self.span_id = SpanId::from_hex(&text).ok(),
            "parent_span_id" => self.parent = SpanId::from_hex(&text).ok(),
            "why" => self.failure = Some(text),
            field => {
                if field == "activity" {
                    self.name = Some(text.clone());
                }
                self.attribute(field, text);
            }
        }
    }

    fn attribute(&mut self, field: &str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(format!("ordain.{field}"), value));
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "ms" {
            self.ms = value;
        } else {
            self.attribute(field.name(), i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}
