//! `/livez`, `/readyz` and `/metrics` on one port, from a thread of its own.

use super::{Health, Report};
use crate::telemetry::Metrics;
use crate::{Error, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

const THREAD: &str = "http";

/// How long requests under way may take once the server is asked to stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How often samples are moved into their histograms when nobody reads `/metrics`, so that they do not pile up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on the address; port 0 lets the system choose one.
    ///
    /// `/livez` and `/readyz` answer 200 or 503, with the components as JSON; `/metrics` answers in the Prometheus
    /// text format.
    ///
    /// # Errors
    /// If the address cannot be listened on, or the thread not be started.
    pub fn start(address: SocketAddr, health: Health, metrics: Metrics) -> Result<Self> {
        let refused = |source| Error::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Thread {
            name: THREAD.to_owned(),
            source,
        })?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(refused)?
        };
        let (stop, stopped) = oneshot::channel();
        let body = move || runtime.block_on(serve(listener, health, metrics, stopped));
        let spawned = std::thread::Builder::new().name(THREAD.to_owned()).spawn(body);
        let thread = spawned.map_err(|source| Error::Thread {
            name: THREAD.to_owned(),
            source,
        })?;
        tracing::info!(address = %bound, "health and metrics are served");
        Ok(Self {
            address: bound,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address it listens on, with the port that was chosen.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, lets requests under way finish within 2 s, and waits for the thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the health server panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    health: Health,
    metrics: Metrics,
    stopped: oneshot::Receiver<()>,
) {
    let (finish, finished) = oneshot::channel::<()>();
    let routes = routes(health, metrics.clone());
    let server = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = finished.await;
    });
    let server = tokio::spawn(server.into_future());
    tokio::select! {
        _ = stopped => {}
        () = upkeep(metrics) => {}
    }
    let _ = finish.send(());
    if tokio::time::timeout(STOP_WITHIN, server).await.is_err() {
        tracing::warn!("requests to the health server were cut off");
    }
}

async fn upkeep(metrics: Metrics) {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        metrics.upkeep();
    }
}

fn routes(health: Health, metrics: Metrics) -> Router {
    let (live, ready) = (health.clone(), health);
    Router::new()
        .route(
            "/livez",
            get(move || std::future::ready(answer(&live.liveness()))),
        )
        .route(
            "/readyz",
            get(move || std::future::ready(answer(&ready.readiness()))),
        )
        .route("/metrics", get(move || std::future::ready(exposition(&metrics))))
}

fn answer(report: &Report) -> Response {
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::to_string(report).expect("a report has only names, numbers and texts");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn exposition(metrics: &Metrics) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        metrics.render(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Shutdown;
    use std::io::{Read, Write};

    fn request(address: SocketAddr, path: &str) -> String {
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        write!(
            connection,
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_answers_flip_with_the_components() {
        let shutdown = Shutdown::new(Duration::ZERO);
        let health = Health::new(Duration::from_secs(60), &shutdown);
        let metrics = Metrics::detached().unwrap();
        let server = Server::start("127.0.0.1:0".parse().unwrap(), health.clone(), metrics).unwrap();
        let address = server.address();
        assert_ne!(address.port(), 0);
        let status = |path: &str| request(address, path).split(' ').nth(1).unwrap().to_owned();

        assert_eq!(
            (status("/livez"), status("/readyz")),
            ("200".to_owned(), "503".to_owned())
        );
        let component = health.register("scorer");
        component.ready(true);
        assert_eq!(status("/readyz"), "200");
        component.ready(false);
        assert_eq!(status("/readyz"), "503");
        component.failed("gap");
        let answer = request(address, "/livez");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.contains(r#""scorer":{"alive":false,"ready":false"#),
            "{answer}"
        );
        assert!(answer.contains(r#""reason":"gap""#), "{answer}");
        assert!(request(address, "/metrics").contains("process_resident_memory_bytes"));
        assert_eq!(status("/nothing"), "404");

        server.stop();
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_port_in_use_is_an_error_that_may_pass() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let shutdown = Shutdown::new(Duration::ZERO);
        let health = Health::new(Duration::from_secs(60), &shutdown);
        let started = Server::start(taken.local_addr().unwrap(), health, Metrics::detached().unwrap());
        let error = started.unwrap_err();
        assert!(matches!(error, Error::Listen { .. }));
        assert!(error.is_retryable());
    }

    #[test]
    fn an_open_connection_does_not_hold_up_the_stop() {
        let shutdown = Shutdown::new(Duration::ZERO);
        let health = Health::new(Duration::from_secs(60), &shutdown);
        let metrics = Metrics::detached().unwrap();
        let server = Server::start("127.0.0.1:0".parse().unwrap(), health, metrics).unwrap();
        let mut idle = std::net::TcpStream::connect(server.address()).unwrap();
        write!(idle, "GET /livez HTTP/1.1\r\n").unwrap();
        let started = std::time::Instant::now();
        server.stop();
        assert!(started.elapsed() < 5 * STOP_WITHIN);
    }
}
