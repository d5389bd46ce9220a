//! A page on this machine that shows what the database says.
//!
//! It listens on 127.0.0.1 alone, answers only requests that name this machine or a host that was
//! allowed (a page of somebody else's could otherwise reach it by a name that leads here), opens
//! the database for reading, and needs nothing from elsewhere: all of the page is in the program.

mod arms;
mod connections;
mod files;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use outgrow_store::{Cell, Store, Table};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

use self::{
    arms::Arms,
    connections::{Bounds, answer},
};
use crate::{error::Error, phases::phases, status::as_json, tables::value, workspace::Workspace};

impl Workspace {
    /// Serves the page until the process is stopped: on this port of this machine (any free one if
    /// it is 0), to those who ask for this machine or for one of `hosts`. `listening` is called
    /// with the address.
    ///
    /// # Errors
    /// If there is no database, or the port is taken.
    pub fn serve(
        &self,
        port: u16,
        hosts: &[String],
        listening: impl FnOnce(SocketAddr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.map_err(Error::environment("cannot start"))?.block_on(async {
            let store = self.reading().await?;
            let taken = format!("cannot listen on port {port}; another --port may be free");
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .await
                .map_err(Error::environment(taken))?;
            listening(listener.local_addr().map_err(Error::environment("no address"))?)?;
            let arms = Arms::new(Workspace::new(self.db.clone(), self.files.clone()));
            match answer(listener, router(store, arms, hosts), Bounds::PAGE).await {}
        })
    }
}

/// The name of a host that may be allowed, in small letters.
///
/// # Errors
/// If it is more, or less, than a name.
pub fn host_name(text: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    match is_name {
        true => Ok(text.to_ascii_lowercase()),
        false if text.contains('*') => {
            Err("each host is named by itself: a pattern would let in whoever finds a name for it"
                .into())
        }
        false => {
            Err("give the name alone, without scheme, port and path, as x.app.github.dev".into())
        }
    }
}

/// Questions to the database at once; more wait.
const QUESTIONS: usize = 8;
/// The names of this machine.
const OWN: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// What the page shows.
struct Shown {
    store: Store,
    arms: Arms,
}

fn router(store: Store, known: Arms, hosts: &[String]) -> Router {
    let hosts: Arc<[String]> =
        OWN.iter().map(|name| (*name).to_owned()).chain(hosts.iter().cloned()).collect();
    let questions = Arc::new(Semaphore::new(QUESTIONS));
    Router::new()
        .merge(files::routes())
        .merge(
            Router::new()
                .route("/api/sweeps", get(sweeps))
                .route("/api/trials", get(trials))
                .route("/api/means", get(means))
                .route("/api/arms", get(arms))
                .route("/api/trial", get(trial))
                .route_layer(middleware::from_fn_with_state(questions, in_turn)),
        )
        .with_state(Arc::new(Shown { store, arms: known }))
        .layer(middleware::from_fn_with_state(hosts, local))
}

/// Asks the database when it is this question's turn.
async fn in_turn(
    State(questions): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let _turn = questions.acquire().await.expect("it is never closed");
    next.run(request).await
}

/// Whether a request asks for one of these hosts, and for no other.
fn is_for(hosts: &[String], request: &Request) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    let name =
        named.next().and_then(|host| host.to_str().ok()).map(|host| match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
            _ => host,
        });
    let is_allowed = |name: &str| hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
    name.is_some_and(is_allowed)
        && named.next().is_none()
        && request.uri().host().is_none_or(is_allowed)
}

/// Answers those who ask for an allowed host, and lets the page load nothing from elsewhere.
async fn local(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let is_for_us = is_for(&hosts, &request);
    let mut answer = match is_for_us {
        true => next.run(request).await,
        false => {
            let text = "this page is for this machine: ask for 127.0.0.1, or start it with \
                        --allow-host HOST";
            (StatusCode::FORBIDDEN, text).into_response()
        }
    };
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A failure as its text.
struct Refused(outgrow_store::StoreError);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0.to_string()).into_response()
    }
}

impl From<outgrow_store::StoreError> for Refused {
    fn from(error: outgrow_store::StoreError) -> Self {
        Refused(error)
    }
}

type Answer = Result<Json<Value>, Refused>;

#[derive(Deserialize)]
struct Asked {
    sweep: String,
    #[serde(default)]
    trial: String,
}

async fn sweeps(State(shown): State<Arc<Shown>>) -> Answer {
    let mut all = vec![];
    for sweep in shown.store.sweeps().await? {
        let status = shown.store.status(&sweep.id).await?;
        let failures = shown.store.failures(&sweep.id).await?;
        all.push(as_json(&(sweep, status, failures)));
    }
    Ok(Json(all.into()))
}

async fn trials(State(shown): State<Arc<Shown>>, Query(asked): Query<Asked>) -> Answer {
    Ok(Json(columns(&shown.store.trial_rows(&asked.sweep).await?)))
}

async fn means(State(shown): State<Arc<Shown>>, Query(asked): Query<Asked>) -> Answer {
    let [means, longer] = shown.store.mean_curves(&asked.sweep).await?;
    let mut answer = columns(&means);
    answer["longer"] = columns(&thinned(longer));
    Ok(Json(answer))
}

async fn arms(State(shown): State<Arc<Shown>>, Query(asked): Query<Asked>) -> Answer {
    Ok(Json(shown.arms.of(&shown.store, &asked.sweep).await?))
}

async fn trial(State(shown): State<Arc<Shown>>, Query(asked): Query<Asked>) -> Answer {
    let (definition, [curves, steps, growth]) =
        shown.store.trial_page(&asked.sweep, &asked.trial).await?;
    let phases = serde_json::from_str(&definition).map_or_else(|_| vec![], |trial| phases(&trial));
    let definition: Value = serde_json::from_str(&definition).unwrap_or(Value::Null);
    Ok(Json(json!({ "trial": definition, "phases": phases, "curves": columns(&curves),
                "steps": columns(&steps), "growth": columns(&growth) })))
}

/// Trials beyond the end of a mean that are shown; more hide each other.
const MOST_THIN: usize = 150;
/// Points of each.
const MOST_POINTS: usize = 64;

/// The rows of the first trials, of each no more than a line needs.
fn thinned(mut table: Table) -> Table {
    let member = |row: &Vec<Cell>| row[2].clone();
    let trials: Vec<&[Vec<Cell>]> =
        table.rows.chunk_by(|a, b| member(a) == member(b)).take(MOST_THIN).collect();
    let points = |rows: &&[Vec<Cell>]| {
        let (every, last) = (rows.len().div_ceil(MOST_POINTS), rows.len() - 1);
        let shown = rows
            .iter()
            .enumerate()
            .filter(move |(n, _)| *n == 0 || (last - n).is_multiple_of(every));
        shown.map(|(_, row)| row.clone()).collect::<Vec<_>>()
    };
    let rows = trials.iter().flat_map(points).collect();
    table.rows = rows;
    table
}

fn columns(table: &Table) -> Value {
    let rows: Vec<Vec<Value>> =
        table.rows.iter().map(|row| row.iter().map(value).collect()).collect();
    json!({ "columns": table.columns, "rows": rows })
}
