//! Several worker processes, and a ledger of what they say.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use super::PATIENCE;
use super::worker::AT_ONCE;
use super::worker::Limits;
use super::worker::Said;
use super::worker::What;
use super::worker::Worker;

pub(crate) struct Pool {
    servers: Vec<String>,
    limits: Limits,
    /// All processes that were started, by number.
    processes: Vec<Process>,
    said: UnboundedReceiver<Said>,
    say: UnboundedSender<Said>,
    pub(crate) jobs: BTreeMap<u64, Vec<Attempt>>,
    /// Other lines, of all processes.
    pub(crate) lines: Vec<String>,
}

struct Process {
    worker: Worker,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Starting,
    Running,
    Terminated,
    Killed,
    Ended,
}

/// One time that a job was worked on.
#[derive(Debug)]
pub(crate) struct Attempt {
    process: usize,
    pub(crate) number: u32,
    /// When its work was done, in milliseconds.
    pub(crate) at: u64,
    settled: bool,
}

/// What the kills cost.
#[derive(Debug)]
pub(crate) struct Repeated {
    /// Work that was repeated because its process was killed between the work and the acknowledgement.
    pub(crate) by_kill: usize,
    /// Work that was repeated although the broker had confirmed its end, or as its confirmation was late.
    pub(crate) by_broker: usize,
}

impl Pool {
    pub(crate) fn start(servers: Vec<String>, limits: Limits, size: usize) -> Self {
        let (say, said) = mpsc::unbounded_channel();
        let mut pool = Self {
            servers,
            limits,
            processes: Vec::new(),
            said,
            say,
            jobs: BTreeMap::new(),
            lines: Vec::new(),
        };
        for _ in 0..size {
            pool.start_one();
        }
        pool
    }

    fn start_one(&mut self) {
        let number = self.processes.len();
        let worker = Worker::start(&self.servers, self.limits, number, self.say.clone());
        let state = State::Starting;
        self.processes.push(Process { worker, state });
    }

    /// Kills a process with SIGKILL, and starts another.
    pub(crate) async fn kill_one(&mut self) {
        let process = self.random().await;
        self.processes[process].state = State::Killed;
        self.processes[process].worker.kill();
        self.start_one();
    }

    /// Sends SIGTERM to a process, and starts another.
    pub(crate) async fn terminate_one(&mut self) {
        let process = self.random().await;
        self.terminate(process);
        self.start_one();
    }

    fn terminate(&mut self, process: usize) {
        self.processes[process].state = State::Terminated;
        self.processes[process].worker.terminate();
    }

    /// One of those that run, as soon as one does.
    async fn random(&mut self) -> usize {
        loop {
            if let Some(&process) = fastrand::choice(&self.all(State::Running)) {
                return process;
            }
            self.listen().await;
        }
    }

    fn all(&self, state: State) -> Vec<usize> {
        let numbers = 0..self.processes.len();
        numbers
            .filter(|&number| self.processes[number].state == state)
            .collect()
    }

    /// Reads what a process says next.
    pub(crate) async fn listen(&mut self) {
        match timeout(PATIENCE, self.said.recv()).await {
            Ok(said) => self.note(said.expect("this has a sender")),
            Err(_) => panic!("no process says anything: {:?}", self.states()),
        }
    }

    fn states(&self) -> Vec<State> {
        self.processes.iter().map(|it| it.state).collect()
    }

    fn note(&mut self, Said { process, what }: Said) {
        match what {
            What::Worked { job, attempt, at } => self.jobs.entry(job).or_default().push(Attempt {
                process,
                number: attempt,
                at,
                settled: false,
            }),
            What::Settled { job } => {
                let attempts = self.jobs.entry(job).or_default();
                let mut of_process = attempts.iter_mut().filter(|it| it.process == process);
                // A job without an effect has no attempt.
                if let Some(attempt) = of_process.rfind(|it| !it.settled) {
                    attempt.settled = true;
                }
            }
            What::Other(line) => {
                println!("process {process}: {line}");
                self.lines.push(line);
            }
            What::Ready | What::End => self.step(process, what),
        }
    }

    fn step(&mut self, process: usize, what: What) {
        let state = &mut self.processes[process].state;
        *state = match (*state, what) {
            (State::Starting, What::Ready) => State::Running,
            (State::Terminated, What::End) => State::Ended,
            // It may have said something before it was killed.
            (State::Killed, _) => State::Killed,
            (state, what) => panic!("process {process}: {what:?} while {state:?}"),
        };
    }

    /// Ends all processes with SIGTERM. Returns how many did not return success.
    pub(crate) async fn shutdown(&mut self) -> usize {
        while !self.all(State::Starting).is_empty() {
            self.listen().await;
        }
        for process in self.all(State::Running) {
            self.terminate(process);
        }
        while !self.all(State::Terminated).is_empty() {
            self.listen().await;
        }
        let ended = self.processes.iter_mut();
        let ended = ended.filter(|it| it.state == State::Ended);
        ended
            .filter_map(|it| (!it.worker.status().success()).then_some(()))
            .count()
    }

    /// The attempts that did not end their job, each with its reason. Call it after
    /// [`shutdown`](Self::shutdown).
    pub(crate) fn repeated(&self) -> Repeated {
        let is_expected = |line: &String| line.starts_with("given back ");
        assert!(self.lines.iter().all(is_expected), "{:?}", self.lines);
        let mut interrupted = vec![0; self.processes.len()];
        let (mut by_kill, mut by_broker) = (0, 0);
        for (job, attempts) in &self.jobs {
            let (settled, not): (Vec<_>, Vec<_>) = attempts.iter().partition(|it| it.settled);
            for attempt in &not {
                let state = self.processes[attempt.process].state;
                assert_eq!(
                    state,
                    State::Killed,
                    "job {job} was not settled: {attempts:?}"
                );
                interrupted[attempt.process] += 1;
            }
            by_broker += settled.len().saturating_sub(1);
            by_kill += attempts.len() - settled.len().max(1);
        }
        assert!(
            interrupted.iter().all(|&count| count <= AT_ONCE),
            "{interrupted:?}"
        );
        Repeated { by_kill, by_broker }
    }
}
