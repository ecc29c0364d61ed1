//! One stage: a server, its clients, its world; the blows; the judgement.

use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::blow::Blow;
use super::support::crowd::Crowd;
use super::support::faults::{Dice, Faults};
use super::support::judge::Outcome;
use super::support::ledger::Kind;
use super::support::moments::{Moment, Trap};
use super::support::server::Server;
use super::support::world::World;

/// How long an instant is waited for that may not come.
const MOMENT_WITHIN: Duration = Duration::from_secs(5);
/// What is promised of a drain.
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

pub struct Bench {
    server: Server,
    world: World,
    crowd: Crowd,
    trap: Trap,
}

/// How a round went.
#[derive(Debug, Clone, Copy)]
pub struct Struck {
    /// It fell at the instant that was chosen.
    pub met: bool,
    /// From the last start to ready.
    pub restart: Duration,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Bench {
    pub fn start(seed: u64) -> Self {
        let world = World::start(Faults::terrible(seed));
        let server = Server::start(&["--attempt-timeout-seconds", "1"], world.env());
        let trap = world.trap();
        let crowd = Crowd::watched(&server.line(), seed, &trap);
        Self { server, world, crowd, trap }
    }

    pub fn strike(&mut self, blow: Blow, dice: &mut Dice) -> Struck {
        // At any time of the work, and with some of it behind.
        sleep(ms(100 + dice.below(700)));
        let met = match blow.moment(dice) {
            Some(moment) => self.kill_at(moment, dice),
            None => true,
        };
        let restart = match blow {
            Blow::Asleep => self.sleep(dice),
            Blow::Terminated => self.terminate(),
            Blow::KilledInDrain => {
                self.server.signal("-TERM");
                sleep(ms(dice.below(300)));
                self.kill();
                self.server.restart()
            }
            Blow::KilledInRecovery => self.killed_in_recovery(1, dice),
            Blow::KilledTwice => self.killed_in_recovery(2, dice),
            Blow::KilledWhenReady => {
                self.kill();
                self.server.restart();
                self.kill();
                self.server.restart()
            }
            Blow::WorldAway => {
                self.kill();
                self.world.down();
                let restart = self.server.restart();
                sleep(ms(dice.below(300)));
                self.world.up();
                restart
            }
            Blow::Kill | Blow::CallReceived | Blow::EffectDone | Blow::ReplySent | Blow::Answered(_) => {
                self.kill();
                self.server.restart()
            }
        };
        Struck { met, restart }
    }

    /// Kills it at a moment to come, one of the next of its sort; false where it does not come.
    fn kill_at(&self, moment: Moment, dice: &mut Dice) -> bool {
        let is_rare = matches!(
            moment,
            Moment::Received(Kind::Refund) | Moment::Done(Kind::Refund) | Moment::Replied(Kind::Refund)
        );
        let (killer, (dead, killed)) = (self.server.killer(), mpsc::channel());
        let kill = move || {
            killer.kill9();
            let _told = dead.send(());
        };
        self.trap.set(moment, dice.below(if is_rare { 2 } else { 8 }), kill);
        let _late = killed.recv_timeout(MOMENT_WITHIN);
        self.trap.clear()
    }

    /// It is dead, and what it left is in order.
    fn kill(&mut self) {
        self.server.kill9();
        self.verify();
    }

    fn verify(&self) {
        let verified = self.server.verify();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }

    fn killed_in_recovery(&mut self, times: u32, dice: &mut Dice) -> Duration {
        self.kill();
        for _ in 0..times {
            self.server.launch();
            sleep(ms(dice.below(80)));
            self.kill();
        }
        self.server.restart()
    }

    fn sleep(&self, dice: &mut Dice) -> Duration {
        self.server.signal("-STOP");
        self.verify();
        sleep(ms(200 + dice.below(2_000)));
        self.server.signal("-CONT");
        let awake = Instant::now();
        self.server.until_ready();
        awake.elapsed()
    }

    fn terminate(&mut self) -> Duration {
        let told = Instant::now();
        let status = self.server.sigterm();
        let took = told.elapsed();
        assert!(status.success() && took < DRAINS_WITHIN, "{status} after {took:?}:\n{}", self.server.log());
        self.verify();
        self.server.restart()
    }

    /// # Panics
    /// If a promise was broken.
    pub fn judge(mut self) -> Outcome {
        let outcome = self.crowd.judge(&self.server, &self.world);
        let status = self.server.sigterm();
        assert!(status.success(), "{status}\n{}", self.server.log());
        let verified = self.server.verify();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        outcome
    }
}
