//! Sites that the tests serve. They count the requests, and can hold answers back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::LOCATION;
use axum::http::header::RETRY_AFTER;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// An answer to a request, of which the argument is the number.
pub(crate) type Answer = Box<dyn Fn(usize) -> Response + Send + Sync>;

pub(crate) fn page(html: &str) -> Answer {
    let html = Html(html.to_owned());
    Box::new(move |_| html.clone().into_response())
}

/// A page of these bytes.
pub(crate) fn raw(content_type: &'static str, html: Vec<u8>) -> Answer {
    Box::new(move |_| ([(CONTENT_TYPE, content_type)], html.clone()).into_response())
}

pub(crate) fn status(code: u16) -> Answer {
    let code = StatusCode::from_u16(code).unwrap();
    Box::new(move |_| code.into_response())
}

pub(crate) fn status_after(code: u16, time: &'static str) -> Answer {
    let code = StatusCode::from_u16(code).unwrap();
    Box::new(move |_| (code, [(RETRY_AFTER, time)]).into_response())
}

pub(crate) fn moved(code: u16, to: &str) -> Answer {
    let code = StatusCode::from_u16(code).unwrap();
    let to = to.to_owned();
    Box::new(move |_| (code, [(LOCATION, to.clone())]).into_response())
}

/// The first answer, and then the other one.
pub(crate) fn at_first(first: Answer, then: Answer) -> Answer {
    Box::new(move |number| match number {
        1 => first(number),
        _ => then(number),
    })
}

/// A site that counts requests. It is served until it is dropped.
pub(crate) struct Served {
    pub(crate) address: String,
    state: Arc<Pages>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Pages {
    answers: Mutex<BTreeMap<String, Answer>>,
    requests: Mutex<BTreeMap<String, usize>>,
    /// While this is true, only `/` is answered.
    held: watch::Sender<bool>,
}

impl Served {
    pub(crate) fn new(pages: &[(&str, &str)]) -> Self {
        Self::answering(pages.iter().map(|(path, html)| (*path, page(html))))
    }

    pub(crate) fn answering<'a>(answers: impl IntoIterator<Item = (&'a str, Answer)>) -> Self {
        let state = Arc::<Pages>::default();
        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        let site = Self {
            address,
            state,
            _runtime: runtime,
        };
        for (path, answer) in answers {
            site.add(path, answer);
        }
        site
    }

    pub(crate) fn add(&self, path: &str, answer: Answer) {
        let mut answers = self.state.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The number of requests for each page.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn hold(&self) {
        self.state.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.state.held.send_replace(false);
    }
}

async fn answer(State(pages): State<Arc<Pages>>, uri: Uri) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    let number = {
        let mut requests = pages.requests.lock().unwrap();
        let number = requests.entry(path.clone()).or_default();
        *number += 1;
        *number
    };
    if path != "/" {
        let mut held = pages.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
    }
    match pages.answers.lock().unwrap().get(&path) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(answer) => answer(number),
    }
}
