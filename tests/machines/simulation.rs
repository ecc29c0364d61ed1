//! Seeded simulations of the kernel, the workflows and the journal's protocol: whatever the world does, what must hold
//! holds. And the simulator itself is tried: it must find what is broken on purpose.
//!
//! `ordain verify --sim` lives through more stories, and tells one again.

use std::time::{Duration, Instant};

use ordain::sim::{self, BUGS, Outcome, Plan};

fn live_through(name: &str, plan: &Plan, seeds: u64) -> Outcome {
    let began = Instant::now();
    let mut sum = Outcome::default();
    for seed in 1..=seeds {
        let outcome = sim::run(seed, plan, None).unwrap_or_else(|found| {
            let small = sim::shrink(found, plan, None);
            panic!(
                "{name}: {}\nordain verify --sim --seed {} --plan {}",
                small.violation, small.violation.seed, small.plan
            )
        });
        sum.add(&outcome);
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
    let sum = live_through("rough", &Plan::rough(), 2_100);
    assert!(sum.steps > 1_000_000, "{sum:?}");
    assert!(sum.crashes > sum.lives / 8 && sum.ends.iter().all(|n| *n > 0), "{sum:?}");
}

#[test]
fn the_state_is_the_fold_of_the_facts_after_every_step() {
    live_through("fold", &Plan { fold_every_step: true, ..Plan::rough() }, 40);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let plan = Plan::rough();
    for seed in 1..=20 {
        let (once, again) = (sim::run(seed, &plan, None).unwrap(), sim::run(seed, &plan, None).unwrap());
        assert_eq!(once, again);
        assert_ne!(once.trace_hash, sim::run(seed + 1, &plan, None).unwrap().trace_hash);
    }
}

/// Its order had failed when the operators looked; then somebody retried it, and its review waited for nobody.
#[test]
fn a_late_retry_of_a_failed_order_finds_operators_at_work() {
    let plan = "calm,clock_jumps=2,commit_ms=300,duplicates=200,faults=670,hangs=250,lost_commits=50,orders=4,refusals=1,signals=8";
    sim::run(39_258, &plan.parse().unwrap(), None).unwrap();
}

/// Each bug that is planted is found, and made small. One that is not found says that a check has gone blind.
#[test]
fn every_planted_bug_is_found() {
    let plan = Plan::rough();
    for (bug, name, _) in BUGS {
        let began = Instant::now();
        let found = (1..=2_000).find_map(|seed| sim::run(seed, &plan, Some(bug)).err());
        let found = found.unwrap_or_else(|| panic!("{name} is not found"));
        let (seed, what) = (found.seed, found.what.clone());
        assert!(began.elapsed() < Duration::from_secs(60), "{name} took {:?}", began.elapsed());
        println!("{name}: seed {seed}, {:?}: {what}", began.elapsed());
    }
}

#[test]
fn a_found_story_is_made_small_and_tells_how_to_see_it_again() {
    let plan: Plan = "flaky,orders=6,clock_jumps=0".parse().unwrap();
    let bug = "give-up-on-unknown".parse().unwrap();
    let found = (1..=200).find_map(|seed| sim::run(seed, &plan, Some(bug)).err()).unwrap();
    let before = found.story.len();
    let small = sim::shrink(found, &plan, Some(bug));
    assert!(small.violation.story.len() * 2 < before, "{before} lines became {}", small.violation.story.len());
    assert_eq!(small.plan.orders, 1, "{}", small.plan);
    let again: Plan = small.plan.to_string().parse().unwrap();
    assert_eq!(again, small.plan);
    let seen = sim::run(small.violation.seed, &again, Some(bug)).unwrap_err();
    assert_eq!(seen.what, small.violation.what);
    println!("{seen}");
}

#[test]
fn a_plan_is_read_as_it_is_written_and_nothing_else() {
    assert_eq!("rough".parse::<Plan>().unwrap(), Plan::rough());
    let plan: Plan = "flaky,orders=1,commit_ms=7".parse().unwrap();
    assert_eq!(plan, Plan { orders: 1, commit_ms: 7, ..Plan::flaky() });
    for bad in ["", "wild", "rough,orders", "rough,odd=1", "rough,orders=x", "rough,orders=-1"] {
        assert!(bad.parse::<Plan>().is_err(), "{bad:?}");
    }
}
