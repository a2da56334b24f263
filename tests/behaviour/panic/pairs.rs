//! Two panics of user code in one call never abort the process: the first propagates, the second is
//! swallowed, and no other task is affected.
//!
//! A case that fails may abort, so all cases run in child processes, which print each case before
//! they run it. A child runs this test program again with the same test; `TOLLGATE_PANIC_CASE` is
//! the case it starts with.

use std::env;
use std::fmt::Debug;
use std::io;
use std::io::Write;
use std::process::Command;

use super::faults::Fault;
use super::faults::Outcome;
use super::faults::SITES;
use super::freeing::Freeing;
use super::matrix::Name;
use super::matrix::Setup;
use super::nested::Nested;
#[cfg(feature = "futures")]
use super::running::Pool;
#[cfg(feature = "futures")]
use super::running::Running;
use crate::common::Watchdog;

/// The case with which a child starts: see [`Case::parse`].
const CASE: &str = "TOLLGATE_PANIC_CASE";

/// An operation that can run with two faults armed.
trait Scenario: Copy + Debug {
    fn run(self, faults: &[Fault]) -> Outcome;
}

impl Scenario for Setup {
    fn run(self, faults: &[Fault]) -> Outcome {
        self.run(faults)
    }
}

impl Scenario for Freeing {
    fn run(self, faults: &[Fault]) -> Outcome {
        self.run(faults)
    }
}

impl Scenario for Nested {
    fn run(self, faults: &[Fault]) -> Outcome {
        self.run(faults)
    }
}

#[cfg(feature = "futures")]
impl Scenario for Running {
    fn run(self, faults: &[Fault]) -> Outcome {
        self.run(faults)
    }
}

#[test]
fn pairs_on_plain_channel() {
    try_all("pairs_on_plain_channel", &Setup::all(Name::Plain), 8_000);
}

#[test]
fn pairs_on_task_channel() {
    try_all("pairs_on_task_channel", &Setup::all(Name::Tasks), 20_000);
}

#[test]
fn pairs_on_requeueing_channel() {
    try_all(
        "pairs_on_requeueing_channel",
        &Setup::all(Name::Requeued),
        20_000,
    );
}

#[test]
fn pairs_while_channel_is_freed() {
    try_all("pairs_while_channel_is_freed", &Freeing::all(), 1_000);
}

#[test]
fn pairs_in_wakers_that_use_channel() {
    try_all("pairs_in_wakers_that_use_channel", &Nested::all(), 30);
}

#[cfg(feature = "futures")]
#[test]
fn pairs_in_run() {
    try_all("pairs_in_run", &Running::all(Pool::Run), 24_000);
}

#[cfg(feature = "futures")]
#[test]
fn pairs_in_run_tasks() {
    try_all("pairs_in_run_tasks", &Running::all(Pool::RunTasks), 45_000);
}

#[cfg(feature = "futures")]
#[test]
fn pairs_in_requeueing_run_tasks() {
    try_all(
        "pairs_in_requeueing_run_tasks",
        &Running::all(Pool::RunRequeued),
        45_000,
    );
}

/// A scenario, and a pair of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Case {
    scenario: usize,
    /// Indices of sites; the first is not above the second.
    sites: [usize; 2],
    /// At which calls they fire; both 0: at every call.
    calls: [u32; 2],
}

impl Case {
    fn faults(self) -> [Fault; 2] {
        [0, 1].map(|it| Fault {
            site: SITES[self.sites[it]],
            call: self.calls[it],
        })
    }

    /// The next case of a scenario, given which of the faults have fired, or `None` after the last.
    ///
    /// The second fault moves on until it does not fire, so the last case for a first fault has
    /// that fault alone.
    fn next(self, [first, second]: [bool; 2]) -> Option<Self> {
        match self.calls {
            [0, 0] => Some(Self {
                calls: [1, 1],
                ..self
            }),
            [n, m] if second => Some(Self {
                calls: [n, m + 1],
                ..self
            }),
            [n, _] if first => Some(Self {
                calls: [n + 1, 1],
                ..self
            }),
            _ => self.next_pair(),
        }
    }

    fn next_pair(self) -> Option<Self> {
        let sites = match self.sites {
            [a, b] if b + 1 < SITES.len() => [a, b + 1],
            [a, _] if a + 1 < SITES.len() => [a + 1; 2],
            _ => return None,
        };
        Some(Self {
            sites,
            calls: [0, 0],
            ..self
        })
    }

    fn parse(text: &str) -> Self {
        let numbers: Vec<usize> = text.split(' ').map(|it| it.parse().unwrap()).collect();
        Self {
            scenario: numbers[0],
            sites: [numbers[1], numbers[2]],
            calls: [numbers[3], numbers[4]].map(|it| u32::try_from(it).unwrap()),
        }
    }

    fn print(self) -> String {
        let Self {
            scenario,
            sites: [a, b],
            calls: [n, m],
        } = self;
        format!("{scenario} {a} {b} {n} {m}")
    }
}

/// Runs all pairs of all scenarios, and checks that both faults fire in `enough` of them. `test` is
/// the name of the caller.
fn try_all(test: &str, scenarios: &[impl Scenario], enough: u64) {
    if let Ok(first) = env::var(CASE) {
        let _watchdog = Watchdog::start();
        let pairs = run_from(Case::parse(&first), scenarios);
        println!("\nend {pairs}");
        return;
    }
    /// How many failures to report at most.
    const MOST: usize = 20;
    let mut failures = Vec::new();
    let mut pairs = 0;
    let mut next = Some(Case::default());
    while let Some(first) = next {
        let child = Command::new(env::current_exe().unwrap())
            .args([&*name(test), "--exact", "--nocapture", "--test-threads=1"])
            .env(CASE, first.print())
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let stdout = String::from_utf8(child.stdout).unwrap();
        if child.status.success() {
            let end = stdout.lines().find_map(|line| line.strip_prefix("end "));
            pairs += end.unwrap().parse::<u64>().unwrap();
            break;
        }
        let last = stdout.lines().rev().find_map(|it| it.strip_prefix("case "));
        let last = Case::parse(last.expect("a case"));
        let stderr = String::from_utf8_lossy(&child.stderr);
        let scenario = scenarios[last.scenario];
        failures.push(format!("{scenario:?}, {:?}\n{stderr}", last.faults()));
        if failures.len() == MOST {
            failures.push("and perhaps more".to_owned());
            break;
        }
        // Other calls of the same pair would fail too.
        let next_scenario = Case {
            scenario: last.scenario + 1,
            ..Case::default()
        };
        let is_there = next_scenario.scenario < scenarios.len();
        next = last.next_pair().or(is_there.then_some(next_scenario));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{pairs} cases in which both panicked");
    assert!(pairs >= enough, "too few pairs: {pairs}");
}

/// The full name of a test of this module.
fn name(test: &str) -> String {
    let (_program, module) = module_path!().split_once("::").unwrap();
    format!("{module}::{test}")
}

/// Runs all cases from `first` on; returns in how many both faults fired.
fn run_from(first: Case, scenarios: &[impl Scenario]) -> u64 {
    let mut stdout = io::stdout().lock();
    let mut pairs = 0;
    for (index, &scenario) in scenarios.iter().enumerate().skip(first.scenario) {
        let mut next = Some(match index == first.scenario {
            true => first,
            false => Case {
                scenario: index,
                ..Case::default()
            },
        });
        // Not `println`, whose output may be lost when the process aborts.
        let mut announce = |case: Case| writeln!(stdout, "\ncase {}", case.print()).unwrap();
        next.into_iter().for_each(&mut announce);
        let calls = scenario.run(&[]).calls;
        while let Some(case) = next {
            // Without faults, neither site is called, so the first cannot fire.
            if case.sites.iter().all(|&site| calls[site] == 0) {
                next = case.next_pair();
                continue;
            }
            announce(case);
            let fired = scenario.run(&case.faults()).fired;
            pairs += u64::from(fired == [true; 2]);
            next = case.next(fired);
        }
    }
    pairs
}
