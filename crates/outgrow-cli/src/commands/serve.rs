//! `outgrow serve`: a page on this machine that shows what the database says.
//!
//! It listens on 127.0.0.1 alone, answers only requests that name this machine (a page of somebody else's could otherwise reach it by a name that
//! leads here), opens the database for reading, and needs nothing from elsewhere: all of the page is in the program.

use std::{net::Ipv4Addr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use outgrow_store::{Store, Table};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{query::value, status::as_json};
use crate::{args::Serve, failure::Failure, output::print, place::Place};

/// Serves the page until it is stopped.
pub fn serve(place: &Place, args: &Serve) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(Failure::environment("cannot start"))?.block_on(async {
        let store = Arc::new(place.reading().await?);
        let taken = format!("cannot listen on port {}; another --port may be free", args.port);
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(Failure::environment(taken))?;
        let address = listener.local_addr().map_err(Failure::environment("no address"))?;
        print(&format!("http://{address}/ shows {}; Ctrl-C stops", outgrow_store::Address::shown(&place.db)))?;
        axum::serve(listener, router(store)).await.map_err(Failure::environment("cannot serve"))
    })
}

fn router(store: Arc<Store>) -> Router {
    let file =
        |kind: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../../page/index.html")))
        .route("/page.js", file("text/javascript", include_str!("../../page/page.js")))
        .route("/style.css", file("text/css", include_str!("../../page/style.css")))
        .route("/uPlot.js", file("text/javascript", include_str!("../../page/uPlot.js")))
        .route("/uPlot.css", file("text/css", include_str!("../../page/uPlot.css")))
        .route("/api/sweeps", get(sweeps))
        .route("/api/trials", get(trials))
        .route("/api/means", get(means))
        .route("/api/trial", get(trial))
        .with_state(store)
        .layer(middleware::from_fn(local))
}

/// Answers those who ask for this machine by its own name, and lets the page load nothing from elsewhere.
async fn local(headers: HeaderMap, request: Request, next: Next) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !["127.0.0.1", "localhost"].contains(&name) {
        return (StatusCode::FORBIDDEN, "this page is for this machine: ask for 127.0.0.1").into_response();
    }
    let mut answer = next.run(request).await;
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
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

async fn sweeps(State(store): State<Arc<Store>>) -> Answer {
    let mut all = vec![];
    for sweep in store.sweeps().await? {
        let status = store.status(&sweep.id).await?;
        let failures = store.failures(&sweep.id).await?;
        all.push(as_json(&(sweep, status, failures)));
    }
    Ok(Json(all.into()))
}

async fn trials(State(store): State<Arc<Store>>, Query(asked): Query<Asked>) -> Answer {
    Ok(Json(columns(&store.trial_rows(&asked.sweep).await?)))
}

async fn means(State(store): State<Arc<Store>>, Query(asked): Query<Asked>) -> Answer {
    Ok(Json(columns(&store.mean_curves(&asked.sweep).await?)))
}

async fn trial(State(store): State<Arc<Store>>, Query(asked): Query<Asked>) -> Answer {
    let (definition, [curves, steps, growth]) = store.trial_page(&asked.sweep, &asked.trial).await?;
    let definition: Value = serde_json::from_str(&definition).unwrap_or(Value::Null);
    Ok(Json(
        json!({ "trial": definition, "curves": columns(&curves), "steps": columns(&steps), "growth": columns(&growth) }),
    ))
}

fn columns(table: &Table) -> Value {
    let rows: Vec<Vec<Value>> = table.rows.iter().map(|row| row.iter().map(value).collect()).collect();
    json!({ "columns": table.columns, "rows": rows })
}
