//! `ordain verify --sim`: stories of the simulator, on all cores.

use std::num::NonZero;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::args::Output;
use super::{CliError, out};
use crate::sim::{self, BUGS, Bug, NoSuchBug, Outcome, Plan, Violation};

/// Instead of a database: invented stories.
#[derive(Debug, Args)]
#[command(next_help_heading = "Simulation")]
pub(super) struct SimArgs {
    /// Look at no database: live through invented stories, with crashes, faults and people who change their minds.
    ///
    /// Kernel, workflows and the protocol of the journal are real; time, store and the outside world are not. The same
    /// seed tells the same story.
    #[arg(long, conflicts_with = "database_url")]
    pub sim: bool,
    /// How many stories.
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "sim")]
    pub seeds: u64,
    /// The first seed; the others follow.
    #[arg(long, value_name = "S", default_value_t = 1, requires = "sim")]
    pub seed: u64,
    /// calm, flaky or rough; numbers of it may follow: rough,orders=1,crashes=0.
    #[arg(long, value_name = "PLAN", default_value = "rough", requires = "sim")]
    pub plan: Plan,
    /// Break one rule on purpose (or each in turn: all), to see that it is found.
    #[arg(long, value_name = "BUG", requires = "sim")]
    pub plant: Option<Plant>,
}

/// What is broken on purpose.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plant {
    One(Bug),
    All,
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::One).map_err(|error: NoSuchBug| {
            let known: Vec<&str> = BUGS.iter().map(|(_, name, _)| *name).collect();
            format!("{error}; there are all, {}", known.join(", "))
        })
    }
}

/// `ordain verify --sim`.
pub fn simulate(args: &SimArgs, output: Output) -> Result<(), CliError> {
    let stories = Stories { first: args.seed, seeds: args.seeds, plan: args.plan.clone() };
    match args.plant {
        None => stories.expect_none(output),
        Some(Plant::One(bug)) => stories.expect(&[bug], output),
        Some(Plant::All) => stories.expect(&BUGS.map(|(bug, ..)| bug), output),
    }
}

struct Stories {
    first: u64,
    seeds: u64,
    plan: Plan,
}

/// What was lived through, and the first violation by seed.
struct Lived {
    sum: Outcome,
    seconds: f64,
    found: Option<Box<Violation>>,
}

/// What became of a bug that was planted.
#[derive(Serialize)]
struct Caught {
    bug: String,
    what: &'static str,
    seed: Option<u64>,
    lives: u64,
    seconds: f64,
    violation: Option<String>,
    /// Lines of the smallest story that shows it.
    lines: usize,
    again: Option<String>,
}

impl Stories {
    /// Lives through them until one is found wanting; the same whatever the number of threads.
    fn live(&self, bug: Option<Bug>) -> Lived {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let began = Instant::now();
        let work = || {
            let (mut sum, mut found) = (Outcome::default(), None);
            while !stop.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= self.seeds {
                    break;
                }
                match sim::run(self.first.wrapping_add(n), &self.plan, bug) {
                    Ok(outcome) => sum.add(&outcome),
                    Err(violation) => {
                        // Seeds below this one are under way already, and end.
                        stop.store(true, Ordering::Relaxed);
                        found = Some(violation);
                    }
                }
            }
            (sum, found)
        };
        let mut lived = Lived { sum: Outcome::default(), seconds: 0.0, found: None };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                let Ok((sum, found)) = worker.join() else { continue };
                lived.sum.add(&sum);
                lived.found = lived.found.take().into_iter().chain(found).min_by_key(|violation| violation.seed);
            }
        });
        lived.seconds = began.elapsed().as_secs_f64();
        lived
    }

    fn expect_none(&self, output: Output) -> Result<(), CliError> {
        let Lived { sum, seconds, found } = self.live(None);
        if let Some(found) = found {
            let small = sim::shrink(found, &self.plan, None);
            out::line(small.violation.to_string())?;
            let again = again(small.violation.seed, &small.plan, None);
            return Err(CliError::Refused(format!("a promise was broken; to see it again: {again}")));
        }
        let rate = |n: u64| (n as f64 / seconds.max(1e-9)).round();
        let hash = format!("{:016x}", sum.trace_hash);
        out::line(match output {
            Output::Json => json!({
                "seeds": self.seeds, "first": self.first, "plan": self.plan, "seconds": seconds,
                "lives_per_second": rate(sum.lives), "steps_per_second": rate(sum.steps), "hash": hash,
                "violations": 0, "outcome": sum,
            })
            .to_string(),
            Output::Table => {
                let Outcome { lives, steps, facts, crashes, ends: [completed, cancelled, failed, timed_out], .. } = sum;
                format!(
                    "{lives} orders lived in {} stories: {steps} steps, {facts} facts, {crashes} deaths of the process\n\
                     {completed} completed, {cancelled} cancelled, {failed} failed, {timed_out} timed out\n\
                     {} lives/s, {} steps/s, hash {hash}\n0 violations",
                    self.seeds,
                    rate(lives),
                    rate(steps),
                )
            }
        })
    }

    /// Every one of the bugs is found.
    fn expect(&self, bugs: &[Bug], output: Output) -> Result<(), CliError> {
        let caught: Vec<Caught> = bugs.iter().map(|bug| self.catch(*bug)).collect();
        if output == Output::Json {
            out::line(serde_json::to_string(&caught).map_err(|e| CliError::Refused(e.to_string()))?)?;
        } else {
            for one in &caught {
                out::line(one.told())?;
            }
        }
        let missed = caught.iter().filter(|one| one.seed.is_none()).count();
        if missed == 0 { Ok(()) } else { Err(CliError::Refused(format!("{missed} bugs were not found"))) }
    }

    fn catch(&self, bug: Bug) -> Caught {
        let Lived { sum, seconds, found } = self.live(Some(bug));
        let (bug_name, what) =
            (bug.to_string(), BUGS.iter().find(|(one, ..)| *one == bug).map_or("", |(.., what)| what));
        let mut caught = Caught {
            bug: bug_name,
            what,
            seed: found.as_ref().map(|violation| violation.seed),
            lives: sum.lives,
            seconds,
            violation: None,
            lines: 0,
            again: None,
        };
        if let Some(found) = found {
            let small = sim::shrink(found, &self.plan, Some(bug));
            caught.violation = small.violation.what.lines().next().map(str::to_owned);
            caught.lines = small.violation.story.len();
            caught.again = Some(again(small.violation.seed, &small.plan, Some(bug)));
        }
        caught
    }
}

impl Caught {
    fn told(&self) -> String {
        let Self { bug, what, .. } = self;
        match (&self.violation, &self.again) {
            (Some(violation), Some(again)) => format!(
                "{bug}: {what}\n  found after {} lives, {:.2} s; in {} lines: {violation}\n  {again}",
                self.lives, self.seconds, self.lines
            ),
            _ => format!("{bug}: {what}\n  NOT FOUND in {} lives", self.lives),
        }
    }
}

/// The command that tells one story again.
fn again(seed: u64, plan: &Plan, bug: Option<Bug>) -> String {
    let plant = bug.map(|bug| format!(" --plant {bug}")).unwrap_or_default();
    format!("ordain verify --sim --seed {seed} --seeds 1 --plan {plan}{plant}")
}
