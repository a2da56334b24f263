//! Pages, and the set of those that were found.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::MutexGuard;

use reqwest::Url;

use crate::common::threads::lock;
use crate::reason::Reason;

/// A page to fetch, which is the item of the channel.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    /// The number of links from the first page, on the path by which this page was found first.
    pub(crate) depth: u32,
    /// The number of redirects between the last link of that path and this page.
    pub(crate) redirects: u32,
}

impl Page {
    pub(crate) fn first(url: Url) -> Self {
        Self {
            url,
            depth: 0,
            redirects: 0,
        }
    }
}

/// The limits of a crawl, without which it might never end.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) depth: u32,
    pub(crate) pages: usize,
    pub(crate) redirects: u32,
}

/// What became of links and redirects.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Links on all pages fetched, to pages of the site.
    pub(crate) links: usize,
    /// Links to pages that had been found before.
    pub(crate) known_links: usize,
    /// Redirects that are no failures.
    pub(crate) redirects: usize,
    /// Redirects to pages that had been found before.
    pub(crate) known_redirects: usize,
    /// Redirects to other sites.
    pub(crate) elsewhere: usize,
    /// Links that were left out because of the limits.
    pub(crate) too_deep: usize,
    pub(crate) too_many: usize,
    /// New pages that were found after a stop, and not queued.
    pub(crate) refused: usize,
}

/// All pages that have ever been found, so that no page is fetched twice.
pub(crate) struct Found {
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    pages: HashSet<Url>,
    /// Where pages redirect to. Following these never leads in a circle.
    redirects: HashMap<Url, Url>,
    counts: Counts,
}

impl Found {
    pub(crate) fn only(first: &Page, limits: Limits) -> Self {
        let state = State {
            pages: HashSet::from([first.url.clone()]),
            redirects: HashMap::new(),
            counts: Counts::default(),
        };
        Self {
            limits,
            state: Mutex::new(state),
        }
    }

    /// The page that a link leads to, if it is new and within the limits.
    pub(crate) fn by_link(&self, from: &Page, to: Url) -> Option<Page> {
        let mut state = self.state();
        state.counts.links += 1;
        if state.pages.contains(&to) {
            state.counts.known_links += 1;
            return None;
        }
        if from.depth >= self.limits.depth {
            state.counts.too_deep += 1;
            return None;
        }
        let page = Page {
            url: to,
            depth: from.depth + 1,
            redirects: 0,
        };
        state.add(page, self.limits.pages)
    }

    /// The page that a redirect leads to, if it is new and within the limits.
    pub(crate) fn by_redirect(&self, from: &Page, to: Url) -> Result<Option<Page>, Reason> {
        let mut state = self.state();
        if to.origin() != from.url.origin() {
            // Then not even the first page was fetched.
            if from.depth == 0 {
                return Err(Reason::Elsewhere(to));
            }
            state.counts.redirects += 1;
            state.counts.elsewhere += 1;
            return Ok(None);
        }
        state.check_redirect(from, &to, self.limits.redirects)?;
        state.redirects.insert(from.url.clone(), to.clone());
        state.counts.redirects += 1;
        if state.pages.contains(&to) {
            state.counts.known_redirects += 1;
            return Ok(None);
        }
        let page = Page {
            url: to,
            depth: from.depth,
            redirects: from.redirects + 1,
        };
        Ok(state.add(page, self.limits.pages))
    }

    pub(crate) fn count_refused(&self) {
        self.state().counts.refused += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Fails if the redirect from a page leads back to it, perhaps by other redirects, or if it makes a
    /// chain of more redirects than the limit.
    fn check_redirect(&self, from: &Page, to: &Url, limit: u32) -> Result<(), Reason> {
        let mut at = to;
        for _ in from.redirects..limit {
            if *at == from.url {
                return Err(Reason::Loop);
            }
            match self.redirects.get(at) {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
        Err(Reason::TooManyRedirects(limit))
    }

    fn add(&mut self, page: Page, limit: usize) -> Option<Page> {
        if self.pages.len() >= limit {
            self.counts.too_many += 1;
            return None;
        }
        self.pages.insert(page.url.clone());
        Some(page)
    }
}
