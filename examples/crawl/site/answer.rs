//! The answers of the site.

use std::future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::header::RETRY_AFTER;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use axum::routing::get;
use futures_util::stream;
use tokio::time;

use super::Manner;
use super::Page;
use super::Site;
use super::html;

pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/page/{number}", get(page))
        .route("/moved/{number}", get(moved))
        .route("/trap/{number}", get(trap))
        .with_state(site)
}

async fn page(
    State(site): State<Arc<Site>>,
    Path(number): Path<usize>,
    headers: HeaderMap,
) -> Response {
    time::sleep(site.latency).await;
    let Some(page) = site.pages.get(number) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let before = page.requests.fetch_add(1, Ordering::Relaxed);
    match page.manner {
        Manner::Refuses(times) if before < times => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Manner::Busy(times) if before < times => {
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response()
        }
        Manner::Breaks if before == 0 => broken(),
        Manner::Refuses(_) | Manner::Busy(_) | Manner::Breaks => {
            serve(&site, number, page, &headers)
        }
        Manner::Moved => Redirect::permanent(&format!("/moved/{number}")).into_response(),
        Manner::Missing => StatusCode::NOT_FOUND.into_response(),
        Manner::Loops => Redirect::temporary(&format!("{number}#again")).into_response(),
        Manner::Hangs => future::pending().await,
    }
}

/// The page of another address that redirects here.
async fn moved(
    State(site): State<Arc<Site>>,
    Path(number): Path<usize>,
    headers: HeaderMap,
) -> Response {
    match site.pages.get(number) {
        Some(page) if matches!(page.manner, Manner::Moved) => serve(&site, number, page, &headers),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn trap(State(site): State<Arc<Site>>, Path(number): Path<u64>) -> Response {
    if !site.has_trap {
        return StatusCode::NOT_FOUND.into_response();
    }
    Html(html::trap(number.saturating_add(1))).into_response()
}

fn serve(site: &Site, number: usize, page: &Page, headers: &HeaderMap) -> Response {
    page.served.fetch_add(1, Ordering::Relaxed);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let mut html = html::page(number, &page.links, host.unwrap_or_default());
    if site.has_trap && number == 0 {
        html += &html::trap(1);
    }
    Html(html).into_response()
}

/// An answer whose connection is closed before it is complete.
fn broken() -> Response {
    let error = stream::once(future::ready(Err::<&[u8], _>(io::Error::other("broken"))));
    Html(Body::from_stream(error)).into_response()
}
