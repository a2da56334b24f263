//! Getting a page, and the links on it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::Client;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::redirect;

/// A server that has not answered by then never will. A choice.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A page must fit into memory, once per worker. A choice.
const MAX_LENGTH: usize = 4 << 20;

/// What is wrong with a page.
#[derive(Debug)]
pub(crate) enum Reason {
    Status(StatusCode),
    TooLong,
    Http(reqwest::Error),
}

impl Reason {
    /// Whether the page may be there another time.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Status(StatusCode::SERVICE_UNAVAILABLE))
    }
}

impl From<reqwest::Error> for Reason {
    fn from(error: reqwest::Error) -> Self {
        // Whoever prints it prints the URL.
        Self::Http(error.without_url())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::TooLong => write!(f, "more than {MAX_LENGTH} bytes"),
            Self::Http(error) => {
                write!(f, "{error}")?;
                let mut source = error.source();
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
        }
    }
}

/// Of the workers all share one: it keeps the connections.
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
/// A link is what stands between `href="` and the next quote, resolved against the page's own
/// address. That does for pages written like ours; character references and other quotes it does
/// not know.
pub(crate) fn links(page: &str, url: &Url) -> impl Iterator<Item = Url> {
    page.split("href=\"").skip(1).filter_map(|rest| {
        let (link, _) = rest.split_once('"')?;
        let mut link = url.join(link).ok()?;
        link.set_fragment(None);
        (link.origin() == url.origin()).then_some(link)
    })
}
