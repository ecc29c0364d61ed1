//! Long answers leave in slices: a connection copies what it is given into a buffer until it can be sent, which for a client
//! that does not fetch its answer would be a second copy of the whole, and the only one of a file in the binary.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

/// In bytes. What is not longer leaves as it is.
const SLICE: usize = 32 * 1_024;

/// The same body, in slices where it is long and all there.
pub fn sliced(body: BoxBody) -> BoxBody {
    match body.size() {
        BodySize::Sized(length) if length > SLICE as u64 => {
            body.try_into_bytes().map_or_else(|body| body, |bytes| BoxBody::new(Sliced(bytes)))
        }
        _ => body,
    }
}

struct Sliced(Bytes);

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let end = self.0.len().min(SLICE);
        Poll::Ready(Some(Ok(self.0.split_to(end))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::poll_fn;

    use super::*;

    #[test]
    fn a_long_body_leaves_in_slices_and_a_short_one_as_it_is() {
        for (length, slices) in [(0, vec![]), (SLICE, vec![SLICE]), (2 * SLICE + 1, vec![SLICE, SLICE, 1])] {
            let whole: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut body = sliced(BoxBody::new(whole.clone()));
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            let mut parts: Vec<Bytes> = Vec::new();
            while let Some(part) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).now_or_never().unwrap() {
                parts.push(part.unwrap());
            }
            assert_eq!(parts.iter().map(Bytes::len).collect::<Vec<_>>(), slices);
            assert_eq!(parts.concat(), whole);
        }
    }
}
