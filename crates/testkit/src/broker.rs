//! A real Kafka for a test process, gone when the process is, however that ends.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::project;

/// The project's own way to start Kafka.
const SCRIPT: &str = "deploy/kafka/kafka";
/// The variable that names a broker to use instead of starting one.
const VARIABLE: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// One Kafka cluster.
#[derive(Debug)]
pub struct Broker {
    bootstrap_servers: String,
    started: Option<Started>,
}

impl Broker {
    /// The cluster of this test process: the one that `KAFKA_BOOTSTRAP_SERVERS` names, or one broker that is
    /// started at the first call. Every test uses it, on topics and groups of its own ([`unique`]).
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        #[expect(
            clippy::disallowed_methods,
            reason = "a test has no configuration, and the scripts speak this way"
        )]
        let named = || std::env::var(VARIABLE).ok().filter(|servers| !servers.is_empty());
        SHARED.get_or_init(|| match named() {
            Some(servers) => Self {
                bootstrap_servers: servers,
                started: None,
            },
            None => Self::start(&[]),
        })
    }

    /// A cluster of the caller's own, for tests that stop or break it. `arguments` go to the script's `start`,
    /// such as `["--nodes", "3"]`. It is stopped when this is dropped.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let started = Started::new(arguments);
        Self {
            bootstrap_servers: started.bootstrap_servers.clone(),
            started: Some(started),
        }
    }

    /// `host:port[,...]`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Kills a broker (from 1) as a power switch would, but for the page cache, and starts it again.
    ///
    /// # Panics
    /// If the cluster is not this process's own, or the broker does not come back.
    pub fn kill_and_restart(&self, node: u32) {
        self.run(&["restart-node", &node.to_string(), "--kill9"]);
    }

    /// Stops a broker (from 1) in good order.
    ///
    /// # Panics
    /// If the cluster is not this process's own, or the broker does not stop.
    pub fn stop_node(&self, node: u32) {
        self.run(&["stop-node", &node.to_string()]);
    }

    fn run(&self, arguments: &[&str]) {
        let started = self
            .started
            .as_ref()
            .expect("only a cluster of the test's own can be stopped or broken");
        script(&started.data, arguments);
    }
}

/// A name that no other test, of this run or another, uses: for topics, groups and transactional ids.
#[must_use]
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let chance = RandomState::new().hash_one(std::process::id());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test-{chance:016x}-{count}-{name}")
}

/// A cluster that was started here, with the process that stops it.
#[derive(Debug)]
struct Started {
    bootstrap_servers: String,
    data: PathBuf,
    watchdog: Child,
}

impl Started {
    fn new(arguments: &[&str]) -> Self {
        // The watchdog removes the folder, so that it goes away even when this process is killed.
        let data = TempDir::with_prefix("riskstream-kafka-")
            .expect("a temporary folder")
            .keep();
        let watchdog = watchdog(&data);
        let mut start = vec!["start", "--port", "0"];
        start.extend(arguments);
        let said = script(&data, &start);
        let servers = said
            .trim()
            .strip_prefix("KAFKA_BOOTSTRAP_SERVERS=")
            .expect("the script names the brokers");
        Self {
            bootstrap_servers: servers.to_owned(),
            data,
            watchdog,
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// A process that waits for the end of this one, then stops the cluster and removes its folder. Its input is a
/// pipe that only this process holds, and that the system closes however this process ends: a statics' owner
/// is never dropped, and a killed process drops nothing.
fn watchdog(data: &Path) -> Child {
    Command::new("setsid")
        .args(["bash", "-c", r#"cat; "$0" stop --kill9 --data "$1"; rm -rf "$1""#])
        .args([&project().join(SCRIPT), data])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("setsid and bash are there")
}

/// Runs the script and returns what it prints.
fn script(data: &Path, arguments: &[&str]) -> String {
    let output = Command::new(project().join(SCRIPT))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the script is there");
    assert!(
        output.status.success(),
        "kafka {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
