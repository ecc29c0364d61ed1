//! What is done to a server in one round.

use super::support::faults::Dice;
use super::support::ledger::Kind;
use super::support::moments::{Ask, Moment};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// kill -9 at any instant.
    Kill,
    /// kill -9 when the world has received a call, and has not answered.
    CallReceived,
    /// kill -9 when the world has done what a call asks for, and has not answered.
    EffectDone,
    /// kill -9 when the world has just answered.
    ReplySent,
    /// kill -9 when a client was just answered.
    Answered(Ask),
    /// kill -9, and again before the next one is ready.
    KilledInRecovery,
    /// kill -9, and again when the next one says that it is ready.
    KilledWhenReady,
    /// kill -9, and twice again before it is ready.
    KilledTwice,
    /// kill -9 when a charge was done, and the world is away during the recovery: "no connection" may not be taken for
    /// "never done".
    WorldAway,
    /// SIGSTOP for a while.
    Asleep,
    /// SIGTERM, under load.
    Terminated,
    /// SIGTERM, and kill -9 while it drains.
    KilledInDrain,
}

impl Blow {
    pub const ALL: [Self; 15] = [
        Self::Kill,
        Self::CallReceived,
        Self::EffectDone,
        Self::ReplySent,
        Self::Answered(Ask::Start),
        Self::Answered(Ask::Approve),
        Self::Answered(Ask::Cancel),
        Self::Answered(Ask::UpdateAddress),
        Self::KilledInRecovery,
        Self::KilledWhenReady,
        Self::KilledTwice,
        Self::WorldAway,
        Self::Asleep,
        Self::Terminated,
        Self::KilledInDrain,
    ];

    /// Each of them once.
    pub fn shuffled(dice: &mut Dice) -> Vec<Self> {
        let mut all = Self::ALL.to_vec();
        for end in (1..all.len()).rev() {
            all.swap(end, dice.below(end as u64 + 1) as usize);
        }
        all
    }

    /// The instant at which the server is killed; `None` where that is left to chance.
    pub fn moment(self, dice: &mut Dice) -> Option<Moment> {
        let kind = Kind::ALL[dice.below(4) as usize];
        match self {
            Self::CallReceived => Some(Moment::Received(kind)),
            Self::EffectDone => Some(Moment::Done(kind)),
            Self::ReplySent => Some(Moment::Replied(kind)),
            Self::Answered(ask) => Some(Moment::Acknowledged(ask)),
            Self::WorldAway => Some(Moment::Done(Kind::Charge)),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed at any instant",
            Self::CallReceived => "killed: a call was received",
            Self::EffectDone => "killed: its effect was done",
            Self::ReplySent => "killed: it was answered",
            Self::Answered(Ask::Start) => "killed: a start was answered",
            Self::Answered(Ask::Approve) => "killed: an approve was answered",
            Self::Answered(Ask::Cancel) => "killed: a cancel was answered",
            Self::Answered(Ask::UpdateAddress) => "killed: an address was answered",
            Self::KilledInRecovery => "killed again before ready",
            Self::KilledWhenReady => "killed again right at ready",
            Self::KilledTwice => "killed twice before ready",
            Self::WorldAway => "killed, recovery without world",
            Self::Asleep => "asleep (SIGSTOP)",
            Self::Terminated => "ended in order (SIGTERM)",
            Self::KilledInDrain => "killed while it drains",
        }
    }
}
