//! The output.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::program::Bytes;
use crate::program::Output;

/// The last line of stderr.
pub(super) struct Account {
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) left: u64,
    pub(super) received: u64,
    pub(super) retried: u64,
    pub(super) started: u64,
    pub(super) died: u64,
}

impl Account {
    /// Checks what holds for every run that ends in order: the summary adds up, each result is
    /// correct, and each item has a result, is reported as failed, or is left.
    #[track_caller]
    pub(super) fn of(output: &Output, items: Range<u64>) -> Self {
        let text = output.stderr.text();
        let account = text.lines().last().unwrap_or_default();
        let words = account.split(|c: char| !c.is_ascii_digit());
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let [count, done, failed, left, received, retried, started, died] = numbers[..] else {
            panic!("no summary in {text:?}");
        };

        let results = results(&output.stdout);
        let failures = failures(output);
        assert_eq!(results.len() as u64, done, "results, of {account}");
        assert_eq!(failures.len() as u64, failed, "failures, of {account}");
        assert_eq!(count, items.end - items.start, "{account}");
        assert_eq!(done + failed + left, count, "{account}");
        for (item, steps) in &results {
            assert!(items.contains(item), "{item} is not an item");
            assert_eq!(*steps, collatz(*item), "the steps of {item}");
            assert!(!failures.contains_key(item), "{item} is done and failed");
        }
        for item in failures.keys() {
            assert!(items.contains(item), "{item} is not an item");
        }
        // Each lost attempt is the death of a worker.
        assert!(died >= retried, "{account}");
        assert!(started >= died, "{account}");
        Self {
            done,
            failed,
            left,
            received,
            retried,
            started,
            died,
        }
    }
}

/// The results by item. Fails if there are two for one.
#[track_caller]
pub(super) fn results(stdout: &Bytes) -> BTreeMap<u64, u32> {
    let mut results = BTreeMap::new();
    for line in stdout.lines() {
        let line = String::from_utf8_lossy(line);
        let (item, steps) = line.split_once(' ').unwrap();
        let (item, steps) = (item.parse().unwrap(), steps.parse().unwrap());
        let twice = results.insert(item, steps);
        assert_eq!(twice, None, "a second result for {item}");
    }
    results
}

/// The failure of each item. Fails if there are two for one.
#[track_caller]
pub(super) fn failures(output: &Output) -> BTreeMap<u64, String> {
    let mut failures = BTreeMap::new();
    for line in output.stderr.text().lines() {
        let failure = line.strip_prefix("process_pool: ");
        let Some((item, why)) = failure.and_then(|failure| failure.split_once(": ")) else {
            continue;
        };
        if let Ok(item) = item.parse() {
            let twice = failures.insert(item, why.to_owned());
            assert_eq!(twice, None, "{item} failed twice");
        }
    }
    failures
}

/// The same output without the line behind the summary.
pub(super) fn without_last_line(mut output: Output) -> Output {
    let text = output.stderr.text();
    let (rest, _) = text.trim_end().rsplit_once('\n').unwrap();
    output.stderr = Bytes(rest.as_bytes().to_vec());
    output
}

/// The number of lines that contain this text.
pub(super) fn lines_with(stderr: &Bytes, what: &str) -> usize {
    let text = stderr.text();
    text.lines().filter(|line| line.contains(what)).count()
}

fn collatz(item: u64) -> u32 {
    let next = |number: &u128| match number {
        1 => None,
        number if number % 2 == 0 => Some(number / 2),
        number => Some(3 * number + 1),
    };
    let steps = std::iter::successors(Some(u128::from(item)), next);
    steps.skip(1).count().try_into().unwrap()
}
