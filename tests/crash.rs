//! kill -9 at any instant, under load, against a world that misbehaves: no acknowledged order is lost, and the
//! ledger outside shows every effect once.
//!
//! Rounds: `ORDAIN_TEST_ROUNDS` (6). Seed: `ORDAIN_TEST_SEED`; the kills themselves fall where they fall.

mod support;

use std::thread::sleep;
use std::time::Duration;

use support::crowd::{Crowd, setting};
use support::faults::{Dice, Faults};
use support::server::Server;
use support::world::World;

#[test]
fn a_server_killed_again_and_again_under_load_loses_nothing_and_does_nothing_twice() {
    let (rounds, seed) = (setting("ORDAIN_TEST_ROUNDS", 6), setting("ORDAIN_TEST_SEED", 1));
    println!("rounds {rounds}, seed {seed}");
    let world = World::start(Faults::rough(seed));
    let mut server = Server::start(&["--attempt-timeout-seconds", "1"], world.env());
    let crowd = Crowd::start(&server.line(), seed);

    let mut dice = Dice::new(seed);
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        sleep(Duration::from_millis(20 + dice.below(700)));
        server.kill9();
        let verified = server.verify();
        assert!(verified.status.success(), "round {round}: {}", String::from_utf8_lossy(&verified.stdout));
        match round % 3 {
            // The world is away during the recovery: "no connection" may not be taken for "never done".
            1 => {
                world.down();
                slowest = slowest.max(server.restart());
                sleep(Duration::from_millis(dice.below(200)));
                world.up();
            }
            _ => slowest = slowest.max(server.restart()),
        }
    }
    println!("slowest restart {slowest:?}");
    crowd.judge(&server, &world);
    let status = server.sigterm();
    assert!(status.success(), "{status}\n{}", server.log());
    let verified = server.verify();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
