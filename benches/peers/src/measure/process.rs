//! A process for each question. It is killed if it hangs.

use std::env;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Seek;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use nix::sched::CpuSet;
use nix::sched::sched_setaffinity;
use nix::unistd::Pid;
use serde::Deserialize;
use serde::Serialize;
use wait_timeout::ChildExt;

use super::rounds::Event;
use super::rounds::Measurement;
use super::rounds::Plan;
use super::rounds::measure;
use crate::question::Question;

/// What a process is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub question: Question,
    pub plan: Plan,
    /// The contestants that take part. If the list is empty, all take part.
    pub only: Vec<String>,
    /// The contestants that take no part.
    pub without: Vec<String>,
    /// Whether only the first processor is used.
    pub one_cpu: bool,
}

/// What was measured, and which contestants failed.
#[derive(Debug, Default)]
pub struct Answer {
    pub measured: Vec<Measurement>,
    pub failures: Vec<Failure>,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub contestant: String,
    pub what: String,
}

/// If the process prints nothing for this long, the contestant is assumed to hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interval at which a process is checked. It is long, so that the checks do not slow it down.
const LOOK: Duration = Duration::from_millis(500);

/// Measures in a new process. If the process hangs or crashes, measures everything again without the
/// contestant that was running.
pub fn ask(mut job: Job) -> io::Result<Answer> {
    let mut failures = Vec::new();
    loop {
        // A file, not a pipe: no reader has to wake up, and it is never full.
        let mut output = tempfile::tempfile()?;
        let argument = serde_json::to_string(&job)?;
        let child = Command::new(env::current_exe()?)
            .args(["cell", &argument])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .spawn()?;
        let ending = wait(child, &output)?;

        let mut answer = Answer::default();
        let mut running = None;
        output.rewind()?;
        for line in BufReader::new(output).lines() {
            match serde_json::from_str(&line?)? {
                Event::Begun(contestant) => running = Some(contestant),
                Event::Measured(measurement) => answer.measured.push(measurement),
                Event::Wrong(contestant, what) => {
                    answer
                        .measured
                        .retain(|measured| measured.contestant != contestant);
                    answer.failures.push(Failure { contestant, what });
                }
            }
        }
        let what = match ending {
            Some(status) if status.success() => {
                answer.failures.extend(failures);
                return Ok(answer);
            }
            Some(status) => format!("crashed ({status})"),
            None => "hung".to_owned(),
        };
        let contestant = running.ok_or_else(|| io::Error::other(what.clone()))?;
        failures.push(Failure {
            contestant: contestant.clone(),
            what,
        });
        job.without.push(contestant);
    }
}

/// How the process ended, unless it had to be killed.
fn wait(mut child: Child, output: &File) -> io::Result<Option<ExitStatus>> {
    let mut length = 0;
    let mut heard = Instant::now();
    loop {
        if let Some(status) = child.wait_timeout(LOOK)? {
            return Ok(Some(status));
        }
        let longer = output.metadata()?.len();
        if longer > length {
            length = longer;
            heard = Instant::now();
        } else if heard.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
    }
}

/// Measures in the process that [`ask`] started, and prints the events.
pub fn serve(job: &str) -> io::Result<()> {
    let job: Job = serde_json::from_str(job)?;
    if job.one_cpu {
        let mut first = CpuSet::new();
        first.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &first)?;
    }
    // The documentation of crossfire advises this.
    crossfire::detect_backoff_cfg();
    let mut contestants = job.question.contestants();
    contestants.retain(|contestant| {
        (job.only.is_empty() || job.only.contains(&contestant.name))
            && !job.without.contains(&contestant.name)
    });
    let mut output = io::stdout().lock();
    let mut told = Ok(());
    measure(contestants, job.plan, |event| {
        let line = serde_json::to_string(&event).expect("an event can be written");
        if told.is_ok() {
            told = writeln!(output, "{line}").and_then(|()| output.flush());
        }
    });
    told
}
