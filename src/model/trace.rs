//! The trace an order belongs to, as W3C Trace Context has it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RunId;

/// A trace, and the span of it that something follows from. Written as a `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trace {
    id: u128,
    span: u64,
    /// The span around it, as far as it is known here; 0: none. It is not sent.
    around: u64,
    flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a traceparent")]
pub struct NoTrace;

impl Trace {
    /// Reads a `traceparent`. Later versions are read as far as this one is known, as the standard asks.
    ///
    /// # Errors
    /// [`NoTrace`] where it is not one; a trace or a span that is all zeros is not.
    pub fn parse(text: &str) -> Result<Self, NoTrace> {
        let lower = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let mut part = |digits: usize| parts.next().filter(|part| part.len() == digits && lower(part)).ok_or(NoTrace);
        let (version, id, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(NoTrace);
        }
        let id = u128::from_str_radix(id, 16).map_err(|_| NoTrace)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| NoTrace)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NoTrace)?;
        if id == 0 || span == 0 { Err(NoTrace) } else { Ok(Self { id, span, around: 0, flags }) }
    }

    /// The trace of an order that came without one: its id is the run's, so it is the same after every restart.
    pub fn of_run(run_id: RunId) -> Self {
        let id = run_id.0.as_u128();
        Self { id, span: ((id >> 64) as u64 ^ id as u64).max(1), around: 0, flags: 1 }
    }

    /// The same trace, within another span.
    #[must_use]
    pub fn within(self, span: u64) -> Self {
        Self { span: span.max(1), around: self.span, ..self }
    }

    /// The id of the span, for logs.
    pub fn span_id(&self) -> SpanId {
        SpanId(self.span)
    }

    /// The id of the span around it, for logs.
    pub fn around_id(&self) -> Option<SpanId> {
        (self.around != 0).then_some(SpanId(self.around))
    }

    /// The id of the trace alone, for logs.
    pub fn id(&self) -> TraceId {
        TraceId(self.id)
    }
}

/// Shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl TryFrom<String> for Trace {
    type Error = NoTrace;
    fn try_from(text: String) -> Result<Self, NoTrace> {
        Self::parse(&text)
    }
}

impl From<Trace> for String {
    fn from(trace: Trace) -> Self {
        trace.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        let trace = Trace::parse(GIVEN).unwrap();
        assert_eq!(trace.to_string(), GIVEN);
        assert_eq!(trace.id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.within(0xab).to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01");
        let later = Trace::parse(&format!("cc{}-what-is-new", &GIVEN[2..])).unwrap();
        assert_eq!(later, trace);
    }

    #[test]
    fn a_span_knows_the_one_around_it() {
        let inner = Trace::parse(GIVEN).unwrap().within(7);
        assert_eq!(inner.span_id().to_string(), "0000000000000007");
        assert_eq!(inner.around_id().map(|id| id.to_string()).as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(Trace::parse(GIVEN).unwrap().around_id(), None);
    }

    #[test]
    fn what_is_not_a_traceparent_is_none() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-é9é9é9é9é9é9é9é9-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::parse(bad), Err(NoTrace), "{bad}");
        }
    }

    #[test]
    fn a_run_has_a_trace_of_its_own() {
        let run = RunId(uuid::Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(Trace::of_run(run).id().to_string(), run.0.simple().to_string());
        assert_eq!(Trace::parse(&Trace::of_run(run).to_string()), Ok(Trace::of_run(run)));
    }
}
