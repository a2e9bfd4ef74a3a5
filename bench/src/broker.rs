//! The broker that everything runs against.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::args::BenchArgs;
use crate::process::{self, Usage};
use crate::{say, topics};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A Kafka, started here unless one was named.
pub(crate) struct Broker {
    servers: String,
    script: PathBuf,
    /// Folder of the one that was started here.
    data: Option<PathBuf>,
    client: BaseConsumer,
}

impl Broker {
    /// Starts a broker with empty data, or takes the one that was named.
    pub(crate) fn start(args: &BenchArgs) -> anyhow::Result<Self> {
        let data = args.folder.join("kafka");
        if data.exists() {
            stop(&args.kafka, &data);
        }
        if args.folder.exists() {
            std::fs::remove_dir_all(&args.folder).with_context(|| args.folder.display().to_string())?;
        }
        std::fs::create_dir_all(&args.folder).with_context(|| args.folder.display().to_string())?;
        let (servers, data) = match &args.bootstrap_servers {
            Some(servers) => (servers.clone(), None),
            None => (start(&args.kafka, &data)?, Some(data)),
        };
        let client = config(&servers).create().context("a client")?;
        Ok(Self {
            servers,
            script: args.kafka.clone(),
            data,
            client,
        })
    }

    /// host:port
    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// What the broker has used so far, where it is ours.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let pid = std::fs::read_to_string(self.data.as_ref()?.join("node-1/pid")).ok()?;
        process::usage(pid.trim().parse().ok()?).ok()
    }

    /// Records ever written to a topic, markers of transactions included.
    pub(crate) fn records(&self, topic: &str, partitions: i32) -> anyhow::Result<i64> {
        let ends = (0..partitions).map(|p| {
            self.client
                .fetch_watermarks(topic, p, TIMEOUT)
                .map(|(_, high)| high)
        });
        Ok(ends.collect::<Result<Vec<_>, _>>()?.into_iter().sum())
    }

    /// Deletes the topics whose names begin so, lest old data weigh on later rounds.
    pub(crate) fn forget(&self, prefix: &str) -> anyhow::Result<()> {
        topics::delete(&self.client, &self.servers, &format!("{prefix}."))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(data) = &self.data {
            stop(&self.script, data);
        }
    }
}

/// What every bare client here begins with.
pub(crate) fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    // Batches of the chain grow from hop to hop while it catches up; topics take as much.
    config.set("message.max.bytes", "16777216");
    config
}

fn start(script: &Path, data: &Path) -> anyhow::Result<String> {
    ensure!(
        script.exists(),
        "{} is not there: run this from the project's folder",
        script.display()
    );
    let output = Command::new(script)
        .args(["start", "--port", "0", "--data"])
        .arg(data)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| script.display().to_string())?;
    ensure!(output.status.success(), "Apache Kafka did not start");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let servers = text
        .lines()
        .find_map(|line| line.strip_prefix("KAFKA_BOOTSTRAP_SERVERS="));
    Ok(servers
        .context("the script did not say where the broker is")?
        .to_owned())
}

fn stop(script: &Path, data: &Path) {
    let stop = Command::new(script)
        .args(["stop", "--kill9", "--data"])
        .arg(data)
        .stderr(Stdio::null())
        .status();
    if !stop.is_ok_and(|status| status.success()) {
        say(&format!("the broker in {} could not be stopped", data.display()));
    }
}
