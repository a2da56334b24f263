//! The workers: each fetches one page at a time.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use reqwest::Client;
use reqwest::Url;
use tokio::sync::watch;
use tokio::time;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::backoff;
use crate::common::threads::lock;
use crate::fetch::Reason;
use crate::fetch::fetch;
use crate::fetch::links;

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) pages: TaskReceiver<Url>,
    pub(crate) client: Client,
    pub(crate) seen: Arc<Seen>,
    pub(crate) failures: mpsc::Sender<Failure>,
    pub(crate) backoff: Duration,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// A page that could not be fetched.
pub(crate) struct Failure {
    url: Url,
    attempt: u32,
    reason: Arc<str>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.reason)?;
        match self.attempt {
            1 => Ok(()),
            attempt => write!(f, ", at attempt {attempt}"),
        }
    }
}

impl Worker {
    /// Fetches pages until the channel is finished, or until a stop.
    pub(crate) async fn run(mut self) {
        loop {
            let task = tokio::select! {
                // Checked first, so that no page is taken after a stop. The `recv` that is dropped
                // then has taken nothing.
                biased;
                () = is_true(&mut self.stopped) => return,
                task = self.pages.recv() => task,
            };
            match task {
                Ok(task) => self.process(task).await,
                Err(_) => return,
            }
        }
    }

    async fn process(&mut self, task: Task<Url>) {
        self.pause(task.attempt()).await;
        match fetch(&self.client, &task).await {
            Ok(page) => {
                self.follow_links(&page, &task);
                task.done();
            }
            Err(reason) if reason.is_temporary() => self.put_back(task, &reason),
            Err(reason) => self.give_up(task, &reason),
        }
    }

    /// Waits before a further attempt, with the task in hand.
    async fn pause(&mut self, attempt: u32) {
        if attempt == 1 {
            return;
        }
        tokio::select! {
            () = time::sleep(backoff::pause(self.backoff, attempt)) => {}
            // A stop ends the pause.
            () = is_true(&mut self.stopped) => {}
        }
    }

    fn follow_links(&self, page: &str, task: &Task<Url>) {
        for link in links(page, task) {
            if self.seen.is_new(&link) {
                // Refused after a stop.
                if task.follow_up(link).is_err() {
                    self.seen.count_refused();
                }
            }
        }
    }

    fn put_back(&self, task: Task<Url>, reason: &Reason) {
        let reason: Arc<str> = reason.to_string().into();
        let attempt = task.attempt();
        if let Err(error) = task.retry_or_fail(&*reason) {
            self.record(error.into_inner(), attempt, reason);
        }
    }

    fn give_up(&self, task: Task<Url>, reason: &Reason) {
        let reason: Arc<str> = reason.to_string().into();
        let attempt = task.attempt();
        let url = task.fail(&*reason);
        self.record(url, attempt, reason);
    }

    fn record(&self, url: Url, attempt: u32, reason: Arc<str>) {
        // This fails only while the program exits.
        let _ = self.failures.send(Failure {
            url,
            attempt,
            reason,
        });
    }
}

/// Waits until the flag is true or its sender is dropped.
async fn is_true(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|flag| *flag).await;
}

/// All pages that have ever been queued, so that no page is fetched twice.
pub(crate) struct Seen(Mutex<Links>);

#[derive(Clone, Copy, Default)]
pub(crate) struct LinkCount {
    /// Links on all pages fetched.
    pub(crate) all: usize,
    /// Links to pages that had been seen before.
    pub(crate) known: usize,
    /// Links to new pages, which were found after a stop and not queued.
    pub(crate) refused: usize,
}

struct Links {
    urls: HashSet<Url>,
    count: LinkCount,
}

impl Seen {
    pub(crate) fn only(start: Url) -> Self {
        Self(Mutex::new(Links {
            urls: HashSet::from([start]),
            count: LinkCount::default(),
        }))
    }

    /// Whether this link is the first one to its page.
    fn is_new(&self, link: &Url) -> bool {
        let mut links = lock(&self.0);
        links.count.all += 1;
        if links.urls.contains(link) {
            links.count.known += 1;
            return false;
        }
        links.urls.insert(link.clone())
    }

    fn count_refused(&self) {
        lock(&self.0).count.refused += 1;
    }

    pub(crate) fn links(&self) -> LinkCount {
        lock(&self.0).count
    }
}
