//! Fetches a page, and finds its links.

use std::fmt;
use std::time::Duration;

use reqwest::Client;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::redirect;

use crate::common::descriptors;
use crate::common::errors::Chain;
use crate::common::errors::causes;

/// The time that a server has for its answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest page. Each worker holds one in memory.
const MAX_LENGTH: usize = 4 << 20;

/// Why a page could not be fetched.
#[derive(Debug)]
pub(crate) enum Reason {
    Status(StatusCode),
    TooLong,
    Http(reqwest::Error),
}

impl Reason {
    /// Whether a later request may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Status(status) => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLong => false,
            // Not a failure of the page: this program has too many open files.
            Self::Http(error) => causes(error)
                .filter_map(|cause| cause.downcast_ref())
                .any(descriptors::is_shortage),
        }
    }
}

impl From<reqwest::Error> for Reason {
    fn from(error: reqwest::Error) -> Self {
        // The URL is printed separately.
        Self::Http(error.without_url())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::TooLong => write!(f, "more than {MAX_LENGTH} bytes"),
            Self::Http(error) => Chain(error).fmt(f),
        }
    }
}

/// A client, which the workers share because it keeps the connections.
pub(crate) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
}

/// Makes one request.
pub(crate) async fn fetch(client: &Client, url: &Url) -> Result<String, Reason> {
    let mut response = client.get(url.clone()).send().await?;
    if response.status() != StatusCode::OK {
        return Err(Reason::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_LENGTH {
            return Err(Reason::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The links of `page` to pages of the same site.
///
/// A link is the text between `href="` and the next quote, relative to the address of the page.
/// That is enough for the pages of this program; character references and other quotes are not
/// supported.
pub(crate) fn links(page: &str, url: &Url) -> impl Iterator<Item = Url> {
    page.split("href=\"").skip(1).filter_map(|rest| {
        let (link, _) = rest.split_once('"')?;
        let mut link = url.join(link).ok()?;
        link.set_fragment(None);
        (link.origin() == url.origin()).then_some(link)
    })
}
