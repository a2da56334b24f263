//! Fetches a page.

use std::time::Duration;
use std::time::SystemTime;

use reqwest::Client;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::LOCATION;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect;
use tokio::time;

use crate::common::descriptors;
use crate::links::links;
use crate::reason::Reason;

/// The longest page. Each worker holds one in memory.
pub(crate) const MAX_LENGTH: usize = 4 << 20;

/// What a server has at an address.
pub(crate) enum Answer {
    /// A page with these links to pages of the same site.
    Page(Vec<Url>),
    /// The page is at another address.
    Moved(Url),
}

/// A client, which the workers share because it keeps the connections. A page must be complete when
/// the time is over.
pub(crate) fn client(timeout: Duration, connections: usize) -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        // A redirect leads to a page like any other, which may be known already.
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(connections)
        .timeout(timeout)
        .build()
}

/// Makes one request. If too many files are open, it waits: putting the page back would not help,
/// because any other page needs a file as well.
pub(crate) async fn fetch(client: &Client, url: &Url) -> Result<Answer, Reason> {
    loop {
        let answer = request(client, url).await;
        match answer.as_ref().err().and_then(Reason::shortage) {
            Some(error) => descriptors::warn_of_shortage(error),
            None => return answer,
        }
        time::sleep(descriptors::PAUSE).await;
    }
}

async fn request(client: &Client, url: &Url) -> Result<Answer, Reason> {
    let response = client.get(url.clone()).send().await?;
    match response.status() {
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => match target(&response, url) {
            Some(url) => Ok(Answer::Moved(url)),
            None => Err(Reason::Nowhere(response.status())),
        },
        status if !status.is_success() => Err(Reason::Status(status, asked(&response))),
        _ => {
            let content_type = response.headers().get(CONTENT_TYPE);
            let content_type = content_type.map(|it| String::from_utf8_lossy(it.as_bytes()));
            let content_type = content_type.unwrap_or_default().into_owned();
            if !is_html(&content_type) {
                return Ok(Answer::Page(Vec::new()));
            }
            let html = read(response).await?;
            Ok(Answer::Page(links(&html, &content_type, url)))
        }
    }
}

/// Where a redirect leads.
fn target(response: &Response, url: &Url) -> Option<Url> {
    let location = response.headers().get(LOCATION)?;
    // Not all servers encode it as they should.
    let location: String = location
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            0x80.. => format!("%{byte:02X}"),
            _ => char::from(*byte).to_string(),
        })
        .collect();
    let mut target = url.join(&location).ok()?;
    target.set_fragment(None);
    Some(target)
}

/// The time that the server wants to pass before the next request: seconds, or a date.
fn asked(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number of more than 64 bits means the longest time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(SystemTime::now()).ok()
}

/// Whether the answer can have links. If the server does not say what it is, it can.
fn is_html(content_type: &str) -> bool {
    let (media, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    ["", "text/html", "application/xhtml+xml"]
        .iter()
        .any(|html| media.trim().eq_ignore_ascii_case(html))
}

async fn read(mut response: Response) -> Result<Vec<u8>, Reason> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_LENGTH {
            return Err(Reason::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
