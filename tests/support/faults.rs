//! How the outside world misbehaves: a pure draw out of a seed and the request, so that a run can be repeated.

use std::time::Duration;

/// What befalls one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 500, and nothing was done.
    ErrorBefore,
    /// 500, and it was done.
    ErrorAfter,
    /// It was done; the connection is closed without an answer.
    LostReply,
    /// It was done; half an answer comes.
    TornReply,
    /// Nothing was done, and nothing is ever said.
    HangBefore,
    /// It was done, and nothing is ever said.
    HangAfter,
    /// It is done after a while, whether or not the client still waits.
    Slow(Duration),
    /// It was done; the answer is 200 and not JSON.
    Garbage,
    /// 429 with Retry-After: 1.
    RateLimited,
    /// 503 with Retry-After: 1, and nothing was done.
    Unavailable,
}

/// The share of each fault, in percent of the requests; what is left goes well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub seed: u64,
    pub error_before: u64,
    pub error_after: u64,
    pub lost_reply: u64,
    pub torn_reply: u64,
    pub hang_before: u64,
    pub hang_after: u64,
    pub slow: u64,
    pub slow_ms_max: u64,
    pub garbage: u64,
    pub rate_limited: u64,
    pub unavailable: u64,
}

impl Faults {
    pub fn none() -> Self {
        Self::default()
    }

    /// A bad day: a third of all requests go wrong, in every way, and a fifth are slow.
    pub fn rough(seed: u64) -> Self {
        Self {
            seed,
            error_before: 5,
            error_after: 5,
            lost_reply: 6,
            torn_reply: 3,
            hang_before: 2,
            hang_after: 3,
            slow: 20,
            slow_ms_max: 400,
            garbage: 4,
            rate_limited: 2,
            unavailable: 2,
        }
    }

    /// The worst that is still a world: 45 of 100 requests go wrong.
    pub fn terrible(seed: u64) -> Self {
        Self {
            seed,
            error_before: 8,
            error_after: 8,
            lost_reply: 7,
            torn_reply: 3,
            hang_before: 2,
            hang_after: 3,
            slow: 6,
            slow_ms_max: 400,
            garbage: 6,
            rate_limited: 1,
            unavailable: 1,
        }
    }

    /// What befalls request number `n` (from 1) with this key.
    pub fn draw(&self, key: &str, n: u32) -> Fault {
        let hash = hash(self.seed, &format!("{key}#{n}"));
        let mut percent = hash % 100;
        let slow = Duration::from_millis((hash >> 32) % self.slow_ms_max.max(1));
        let shares = [
            (self.error_before, Fault::ErrorBefore),
            (self.error_after, Fault::ErrorAfter),
            (self.lost_reply, Fault::LostReply),
            (self.torn_reply, Fault::TornReply),
            (self.hang_before, Fault::HangBefore),
            (self.hang_after, Fault::HangAfter),
            (self.slow, Fault::Slow(slow)),
            (self.garbage, Fault::Garbage),
            (self.rate_limited, Fault::RateLimited),
            (self.unavailable, Fault::Unavailable),
        ];
        for (share, fault) in shares {
            if percent < share {
                return fault;
            }
            percent -= share;
        }
        Fault::None
    }
}

/// A well-spread number out of a seed and a text (FNV-1a, then the finalizer of SplitMix64).
pub fn hash(seed: u64, text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut z = seed.to_le_bytes().into_iter().chain(text.bytes()).fold(0xcbf2_9ce4_8422_2325, fnv);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of draws for a test: the same seed, the same sequence.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        hash(self.0, "dice") % end
    }
}
