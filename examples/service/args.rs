//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;

/// Accept jobs over HTTP, and do them in the background
#[derive(Parser)]
#[command(name = "service", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes any free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Number of jobs that are done at once
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,

    /// Maximum number of jobs that wait
    #[arg(short, long, value_name = "N", default_value = "64")]
    pub(crate) capacity: NonZeroUsize,

    /// Limit in milliseconds on each step of the stop: ending the accepted jobs, then only those in
    /// hand, then answering the open HTTP requests
    #[arg(long, value_name = "MS", default_value = "10000", value_parser = milliseconds)]
    pub(crate) grace: Duration,
}

const AFTER_HELP: &str = r#"The address is printed to standard output, and the log to standard error.

SIGTERM, SIGHUP or Ctrl-C stops the service, within three times the grace period
and two seconds: one for the jobs that are aborted, and one for the rest of the
log. A second SIGTERM or Ctrl-C, half a second later or more, ends it at once.

Example:
  curl -i localhost:8080/jobs -d '{"name": "mail", "millis": 100}'

Exit status:
  0    stopped, and every accepted job has ended
  1    jobs were handed back or aborted, a worker ended by itself, or the service
       could not start
  2    invalid arguments
  130  ended by a second signal, which was Ctrl-C
  143  ended by a second signal, which was SIGTERM"#;

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
