//! The work: counting primes, slowly enough to be worth a thread.

use std::ops::Range;

/// The `part`th of `parts` ranges, counted from 0, that together are all numbers below `below`.
pub(crate) fn part(below: u64, part: u64, parts: u64) -> Range<u64> {
    // In u128, where no product of two u64 overflows; the quotient is at most `below`.
    let start = |part: u64| (u128::from(below) * u128::from(part) / u128::from(parts)) as u64;
    start(part)..start(part + 1)
}

/// How many primes there are in the range.
pub(crate) fn count(range: Range<u64>) -> u64 {
    range.filter(|number| is_prime(*number)).count() as u64
}

fn is_prime(number: u64) -> bool {
    let mut divisors = (2..number).take_while(|divisor| *divisor <= number / divisor);
    number >= 2 && divisors.all(|divisor| number % divisor != 0)
}
