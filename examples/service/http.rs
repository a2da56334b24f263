//! The handlers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde_json::Value;
use serde_json::json;
use tollgate::Sender;
use tollgate::Stats;
use tollgate::TrySendError;

use crate::jobs::Job;
use crate::ledger;

/// The longest body of a request. Queued jobs and lines of the log keep the name that a client gave.
const MOST_BYTES: usize = 4096;

/// What handlers share.
pub(crate) struct Service {
    sender: Sender<Job>,
    last_id: AtomicU64,
    refused: AtomicU64,
    /// The highest `done` that was shown.
    done: AtomicU64,
}

impl Service {
    pub(crate) fn new(sender: Sender<Job>) -> Arc<Self> {
        Arc::new(Self {
            sender,
            last_id: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            done: AtomicU64::new(0),
        })
    }

    fn stats(&self) -> Stats {
        let mut stats = self.sender.monitor().stats();
        // It is too low for a moment while a job ends in another way. Prometheus takes a counter
        // that decreases for one that was reset, and would count all its jobs again.
        let done = &mut stats.report.done;
        *done = self.done.fetch_max(*done, Relaxed).max(*done);
        stats
    }
}

pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/jobs", post(enqueue))
        .route("/stats", get(stats))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(service)
}

/// 202 once the job is queued; 503 if there is no room, or if the service is stopping.
async fn enqueue(State(service): State<Arc<Service>>, body: Bytes) -> Response {
    let order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => {
            let body = json_body(json!({ "error": error.to_string() }));
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
    };
    let id = service.last_id.fetch_add(1, Relaxed) + 1;
    let (why, seconds, closes) = match service.sender.try_send(Job { id, order }) {
        Ok(()) => return (StatusCode::ACCEPTED, json_body(json!({ "id": id }))).into_response(),
        Err(TrySendError::Full(_)) => ("the queue is full", "1", false),
        // By then, another instance has taken over. This one is about to close the connection, and a
        // client that used it again might get no answer.
        Err(TrySendError::Closed(_)) => ("the service is stopping", "5", true),
    };
    service.refused.fetch_add(1, Relaxed);
    let again = [(RETRY_AFTER, seconds)];
    let body = json_body(json!({ "error": why }));
    let refused = (StatusCode::SERVICE_UNAVAILABLE, again, body);
    if closes {
        ([(CONNECTION, "close")], refused).into_response()
    } else {
        refused.into_response()
    }
}

async fn stats(State(service): State<Arc<Service>>) -> impl IntoResponse {
    json_body(ledger::json(
        &service.stats(),
        service.refused.load(Relaxed),
    ))
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let text = ledger::prometheus(&service.stats(), service.refused.load(Relaxed));
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

fn json_body(value: Value) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], value.to_string())
}
