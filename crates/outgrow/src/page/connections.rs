//! Connections, and their bounds: nobody can hold up the page by being many, slow or gone.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{sleep, timeout},
};

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// So many at once; one more takes the place of the oldest that waits for nothing.
    pub connections: usize,
    /// For the head of a request, from the first wait for it on: an idle connection lasts as long.
    pub head: Duration,
    /// For an answer.
    pub request: Duration,
    /// For all of a connection; whoever reads too slowly is cut off then.
    pub life: Duration,
}

impl Bounds {
    /// Of the page, which asks every two or ten seconds.
    pub const PAGE: Bounds = Bounds {
        connections: 128,
        head: Duration::from_secs(15),
        request: Duration::from_secs(60),
        life: Duration::from_secs(300),
    };
}

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;
/// Lines of a request's head.
const HEAD_LINES: usize = 64;
/// For the last answer of a connection whose time is up.
const LAST: Duration = Duration::from_secs(5);

/// A connection that is open.
struct Open {
    task: AbortHandle,
    /// Whether a request is being answered.
    is_busy: Arc<AtomicBool>,
}

/// Answers for ever.
pub async fn answer(listener: TcpListener, router: Router, bounds: Bounds) -> Infallible {
    let mut open: VecDeque<Open> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, or the client has gone: the next may come through.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        open.retain(|connection| !connection.task.is_finished());
        if open.len() >= bounds.connections {
            let Some(idle) = open.iter().position(|connection| !connection.is_busy.load(Relaxed))
            else {
                continue;
            };
            open.remove(idle).expect("it is there").task.abort();
        }
        let is_busy = Arc::new(AtomicBool::new(false));
        let task =
            tokio::spawn(one(stream, router.clone(), bounds, is_busy.clone())).abort_handle();
        open.push_back(Open { task, is_busy });
    }
}

/// One connection, to its end. When its client goes, whatever is being answered is dropped where it
/// waits.
async fn one(stream: TcpStream, router: Router, bounds: Bounds, is_busy: Arc<AtomicBool>) {
    // An answer that is late is no reason to end.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (answer, is_busy) = (router.call(request), is_busy.clone());
        async move {
            is_busy.store(true, Relaxed);
            let answer = within(bounds.request, answer).await;
            is_busy.store(false, Relaxed);
            Ok::<Response, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    builder.max_buf_size(HEAD_BYTES).max_headers(HEAD_LINES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    if timeout(bounds.life, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST, connection).await;
    }
}

/// An answer in time.
async fn within(
    most: Duration,
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    match timeout(most, answer).await {
        Ok(Ok(answer)) => answer,
        Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the database did not answer in time").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Instant};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SHORT: Bounds = Bounds {
        connections: 8,
        head: Duration::from_millis(300),
        request: Duration::from_millis(500),
        life: Duration::from_secs(2),
    };

    /// Counts how many of it there are.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Relaxed);
        }
    }

    /// A server with a page that answers at once and one that never does, its address, and how many
    /// wait for the latter.
    async fn server(bounds: Bounds) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = waiting.clone();
        let never = move || async move {
            counter.fetch_add(1, Relaxed);
            let _counted = Counted(counter);
            std::future::pending::<()>().await
        };
        let large = || async { "x".repeat(16 << 20) };
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/never", get(never))
            .route("/large", get(large));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(answer(listener, router, bounds));
        (address, waiting)
    }

    async fn send(address: std::net::SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream =
            send(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
                .await;
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits for something that must come.
    async fn until(what: impl Fn() -> bool) {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(30), "it did not come");
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_slow_or_many_holds_nobody_up() {
        let long = Duration::from_secs(3600);
        let (address, _) = server(Bounds { head: long, life: long, ..SHORT }).await;
        let mut slow = vec![];
        for text in
            ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: "].into_iter().cycle().take(100)
        {
            slow.push(send(address, text).await);
        }
        for _ in 0..20 {
            assert!(ask(address, "/").await.ends_with("here"));
        }
        // Those that read nothing are as slow.
        for _ in 0..20 {
            slow.push(send(address, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await);
        }
        assert!(ask(address, "/").await.ends_with("here"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_says_nothing_is_cut_off_and_a_late_answer_is_told() {
        let (address, waiting) = server(SHORT).await;
        for text in ["", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let mut stream = send(address, text).await;
            let mut rest = vec![];
            let ended = timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "{text:?} holds its connection");
        }
        assert!(ask(address, "/never").await.starts_with("HTTP/1.1 503"));
        until(|| waiting.load(Relaxed) == 0).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_question_of_who_has_gone_is_dropped() {
        let (address, waiting) =
            server(Bounds { request: Duration::from_secs(3600), ..Bounds::PAGE }).await;
        let stream = send(address, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(|| waiting.load(Relaxed) == 1).await;
        drop(stream);
        until(|| waiting.load(Relaxed) == 0).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_head_has_its_bounds() {
        let (address, _) = server(Bounds::PAGE).await;
        let lines: String = (0..100).map(|n| format!("X-{n}: a\r\n")).collect();
        for head in [
            format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(1 << 20)),
            format!("GET / HTTP/1.1\r\n{lines}\r\n"),
            format!("GET /{} ", "a".repeat(1 << 20)),
        ] {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let _ = stream.write_all(head.as_bytes()).await;
            let mut answer = vec![];
            let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
                .await
                .expect("it is cut off");
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        assert!(ask(address, "/").await.ends_with("here"));
    }
}
