//! The files of the page; all of them are in the program.

use axum::{Router, http::header, routing::get};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Path, type and text of each.
const FILES: [(&str, &str, &str); 12] = [
    ("/", HTML, include_str!("../../page/index.html")),
    ("/style.css", STYLE, include_str!("../../page/style.css")),
    ("/page.js", SCRIPT, include_str!("../../page/page.js")),
    ("/state.js", SCRIPT, include_str!("../../page/state.js")),
    ("/words.js", SCRIPT, include_str!("../../page/words.js")),
    ("/elements.js", SCRIPT, include_str!("../../page/elements.js")),
    ("/chart.js", SCRIPT, include_str!("../../page/chart.js")),
    ("/curves.js", SCRIPT, include_str!("../../page/curves.js")),
    ("/tables.js", SCRIPT, include_str!("../../page/tables.js")),
    ("/timeline.js", SCRIPT, include_str!("../../page/timeline.js")),
    ("/uPlot.js", SCRIPT, include_str!("../../page/uPlot.js")),
    ("/uPlot.css", STYLE, include_str!("../../page/uPlot.css")),
];

/// Gives each file under its path.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], text) }))
    })
}
