//! Why a page could not be fetched.

use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::Url;

use crate::common::descriptors;
use crate::common::errors::Chain;
use crate::common::errors::causes;
use crate::fetch::MAX_LENGTH;

#[derive(Debug)]
pub(crate) enum Reason {
    /// The answer has this status, and perhaps the time after which the server wants to be asked again.
    Status(StatusCode, Option<Duration>),
    TooLong,
    /// A redirect that does not say where to.
    Nowhere(StatusCode),
    /// A redirect of the first page to another site.
    Elsewhere(Url),
    Loop,
    TooManyRedirects(u32),
    Http(reqwest::Error),
}

impl Reason {
    /// Whether a later request may succeed: the server said so, or the connection failed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(
                *status,
                StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::INTERNAL_SERVER_ERROR
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            Self::Http(error) => !error.is_builder(),
            Self::TooLong
            | Self::Nowhere(_)
            | Self::Elsewhere(_)
            | Self::Loop
            | Self::TooManyRedirects(_) => false,
        }
    }

    /// For how long the server asked to be left alone.
    pub(crate) fn asked(&self) -> Option<Duration> {
        match self {
            Self::Status(_, asked) => *asked,
            _ => None,
        }
    }

    /// The error of the system, if the reason is that too many files are open here. This is no fault
    /// of the page.
    pub(crate) fn shortage(&self) -> Option<&io::Error> {
        let Self::Http(error) = self else {
            return None;
        };
        causes(error)
            .filter_map(|cause| cause.downcast_ref())
            .find(|error| descriptors::is_shortage(error))
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
            Self::Status(status, _) => write!(f, "{status}"),
            Self::TooLong => write!(f, "more than {MAX_LENGTH} bytes"),
            Self::Nowhere(status) => write!(f, "{status}, without a valid address to go to"),
            Self::Elsewhere(url) => write!(f, "redirects to another site: {url}"),
            Self::Loop => write!(f, "redirects in a circle"),
            Self::TooManyRedirects(limit) => write!(f, "more than {limit} redirects"),
            Self::Http(error) => Chain(error).fmt(f),
        }
    }
}
