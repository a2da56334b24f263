//! Proves that two panics of users' code in one call never end the process: the first comes out,
//! the second is swallowed, and no other task pays for either.
//!
//! A case that fails may abort, so all run in child processes, which tell each case before they run
//! it. That is this test again: `TOLLGATE_PANIC_CASE` says from which case on.

use std::env;
use std::fmt::Debug;
use std::io;
use std::io::Write;
use std::process::Command;

use super::faults::Ashes;
use super::faults::Fuse;
use super::faults::SITES;
use super::freeing::Freeing;
use super::matrix::Name;
use super::matrix::Setup;
use super::nested::Nested;
#[cfg(feature = "futures")]
use super::running::Running;
use crate::common::Watchdog;

/// Where a child begins: see [`Case::parse`].
const CASE: &str = "TOLLGATE_PANIC_CASE";

/// Something that is done while two fuses are armed.
trait Scenario: Copy + Debug {
    fn run(self, fuses: &[Fuse]) -> Ashes;
}

impl Scenario for Setup {
    fn run(self, fuses: &[Fuse]) -> Ashes {
        self.run(fuses)
    }
}

impl Scenario for Freeing {
    fn run(self, fuses: &[Fuse]) -> Ashes {
        self.run(fuses)
    }
}

impl Scenario for Nested {
    fn run(self, fuses: &[Fuse]) -> Ashes {
        self.run(fuses)
    }
}

#[cfg(feature = "futures")]
impl Scenario for Running {
    fn run(self, fuses: &[Fuse]) -> Ashes {
        self.run(fuses)
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
    try_all("pairs_in_run", &Running::all(), 12_000);
}

/// A pair of fuses of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Case {
    scenario: usize,
    /// Indices of sites, the first not above the second.
    sites: [usize; 2],
    /// At which calls; 0 of both: at every call.
    calls: [u32; 2],
}

impl Case {
    fn fuses(self) -> [Fuse; 2] {
        [0, 1].map(|it| Fuse {
            site: SITES[self.sites[it]],
            call: self.calls[it],
        })
    }

    /// The next of a scenario, given which of the fuses have blown; none if there is no other.
    ///
    /// The second fuse goes on until it does not blow, and so the last case with a first fuse is
    /// that of this one alone.
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

/// Tries all pairs of all scenarios, and wants so many in which both fuses blow. `test` is the
/// caller's name.
fn try_all(test: &str, scenarios: &[impl Scenario], enough: u64) {
    if let Ok(first) = env::var(CASE) {
        let _watchdog = Watchdog::start();
        let pairs = run_from(Case::parse(&first), scenarios);
        println!("\nend {pairs}");
        return;
    }
    /// How many to tell of at most.
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
        let told = String::from_utf8(child.stdout).unwrap();
        if child.status.success() {
            let end = told.lines().find_map(|line| line.strip_prefix("end "));
            pairs += end.unwrap().parse::<u64>().unwrap();
            break;
        }
        let last = told.lines().rev().find_map(|it| it.strip_prefix("case "));
        let last = Case::parse(last.expect("a case"));
        let stderr = String::from_utf8_lossy(&child.stderr);
        let scenario = scenarios[last.scenario];
        failures.push(format!("{scenario:?}, {:?}\n{stderr}", last.fuses()));
        if failures.len() == MOST {
            failures.push("and perhaps more".to_owned());
            break;
        }
        // Others of the same pair will fail too.
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

/// A test of this module, as the harness names it.
fn name(test: &str) -> String {
    let (_program, module) = module_path!().split_once("::").unwrap();
    format!("{module}::{test}")
}

/// Runs all cases from one on; in how many both fuses blew.
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
        // Not `println`, which the next line of a process that aborts may be missing from.
        let mut tell = |case: Case| writeln!(stdout, "\ncase {}", case.print()).unwrap();
        next.into_iter().for_each(&mut tell);
        let calls = scenario.run(&[]).calls;
        while let Some(case) = next {
            // The first to panic is called where nothing panics.
            if case.sites.iter().all(|&site| calls[site] == 0) {
                next = case.next_pair();
                continue;
            }
            tell(case);
            let blown = scenario.run(&case.fuses()).blown;
            pairs += u64::from(blown == [true; 2]);
            next = case.next(blown);
        }
    }
    pairs
}
