//! The work: counting primes by trial division.

use std::ops::Range;

/// Range number `part`, counted from 0, of the numbers below `below`, divided into `parts` ranges.
pub(crate) fn part(below: u64, part: u64, parts: u64) -> Range<u64> {
    // The product may need 128 bits. The quotient is at most `below`.
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
