//! Seeded simulations of the kernel and the workflows: whatever the world does, what must hold holds.
//!
//! `ORDAIN_SIM_SEEDS=100000 cargo test --release --test simulation` lives through more stories;
//! `ORDAIN_SIM_FIRST=4711 ORDAIN_SIM_SEEDS=1` tells one again.

use std::time::Instant;

use ordain::sim::{self, Outcome, Plan};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn live_through(name: &str, plan: &Plan, seeds: u64) -> Outcome {
    let first = number("ORDAIN_SIM_FIRST", 1);
    let seeds = number("ORDAIN_SIM_SEEDS", seeds);
    let began = Instant::now();
    let mut sum = Outcome::default();
    for seed in first..first + seeds {
        let outcome = sim::run(seed, plan).unwrap_or_else(|violation| panic!("{name}: {violation}"));
        sum.lives += outcome.lives;
        sum.steps += outcome.steps;
        sum.facts += outcome.facts;
        sum.crashes += outcome.crashes;
        (0..4).for_each(|end| sum.ends[end] += outcome.ends[end]);
    }
    let rate = sum.lives as f64 / began.elapsed().as_secs_f64();
    println!("{name}: {sum:?}, {rate:.0} lives/s");
    sum
}

#[test]
fn in_a_calm_world_every_order_completes_unless_it_is_too_short_of_time() {
    let sum = live_through("calm", &Plan::calm(), 100);
    assert!(sum.ends[0] * 10 > sum.lives * 8, "{sum:?}");
    assert_eq!(sum.ends[1], 0, "nobody cancelled: {sum:?}");
}

#[test]
fn on_a_flaky_day_money_and_parcels_agree() {
    live_through("flaky", &Plan::flaky(), 250);
}

#[test]
fn when_all_goes_wrong_money_and_parcels_agree() {
    live_through("rough", &Plan::rough(), 250);
}

#[test]
fn the_state_is_the_fold_of_the_facts_after_every_step() {
    live_through("fold", &Plan { fold_every_step: true, ..Plan::rough() }, 40);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let plan = Plan::rough();
    for seed in 1..=20 {
        let (once, again) = (sim::run(seed, &plan).unwrap(), sim::run(seed, &plan).unwrap());
        assert_eq!(once, again);
        assert_ne!(once.trace_hash, sim::run(seed + 1, &plan).unwrap().trace_hash);
    }
}
