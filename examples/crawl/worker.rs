//! The workers: each fetches one page at a time.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;

use reqwest::Client;
use reqwest::Url;
use tollgate::Task;
use tollgate::TaskReceiver;

use crate::backoff::Backoff;
use crate::fetch::Answer;
use crate::fetch::fetch;
use crate::page::Found;
use crate::page::Page;
use crate::reason::Reason;

#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) pages: TaskReceiver<Page>,
    pub(crate) client: Client,
    pub(crate) found: Arc<Found>,
    pub(crate) failures: mpsc::Sender<Failure>,
    pub(crate) backoff: Backoff,
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
    /// Fetches pages until the channel is finished.
    pub(crate) async fn run(self) {
        while let Ok(task) = self.pages.recv().await {
            self.process(task).await;
        }
    }

    async fn process(&self, task: Task<Page>) {
        match fetch(&self.client, &task.url).await {
            Ok(Answer::Page(links)) => {
                let new = |link| self.found.by_link(&task, link);
                self.follow(links.into_iter().filter_map(new), &task);
                task.done();
            }
            Ok(Answer::Moved(to)) => match self.found.by_redirect(&task, to) {
                Ok(new) => {
                    self.follow(new, &task);
                    task.done();
                }
                Err(reason) => self.give_up(task, &reason),
            },
            Err(reason) if reason.is_passing() => self.put_back(task, &reason),
            Err(reason) => self.give_up(task, &reason),
        }
    }

    fn follow(&self, pages: impl IntoIterator<Item = Page>, task: &Task<Page>) {
        for page in pages {
            // Refused after a stop.
            if task.follow_up(page).is_err() {
                self.found.count_refused();
            }
        }
    }

    /// Puts a page back for a later attempt. Until then this worker is free for other pages.
    fn put_back(&self, task: Task<Page>, reason: &Reason) {
        let attempt = task.attempt();
        let pause = self.backoff.pause(attempt, reason.asked());
        let reason: Arc<str> = reason.to_string().into();
        match task.retry_after_or_fail(pause, &*reason) {
            Ok(()) => {}
            // After a stop. The page could have been fetched, so it is left and has not failed.
            Err(error) if error.is_terminated() => {}
            Err(error) => self.record(error.into_inner(), attempt, reason),
        }
    }

    fn give_up(&self, task: Task<Page>, reason: &Reason) {
        let reason: Arc<str> = reason.to_string().into();
        let attempt = task.attempt();
        let page = task.fail(&*reason);
        self.record(page, attempt, reason);
    }

    fn record(&self, page: Page, attempt: u32, reason: Arc<str>) {
        // This fails only while the program exits.
        let _ = self.failures.send(Failure {
            url: page.url,
            attempt,
            reason,
        });
    }
}
