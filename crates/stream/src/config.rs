//! Every setting of every client, in one place.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use tracing::Level;

use crate::error::StreamError;
use crate::log::TARGET;
use crate::{MAX_RECORD_BYTES, Result};

/// Settings on which a guarantee rests, or which have a place of their own, with the reason told to the user.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it has a setting of its own"),
    ("metadata.broker.list", "it has a setting of its own"),
    ("client.id", "it has a setting of its own"),
    ("group.id", "every worker has its own"),
    ("transactional.id", "it says who fences whom (R12)"),
    ("enable.auto.commit", "offsets are committed last (R3)"),
    ("auto.commit.interval.ms", "offsets are committed last (R3)"),
    ("enable.auto.offset.store", "offsets are committed last (R3)"),
    (
        "auto.offset.reset",
        "a lost record must stop the partition, not pass",
    ),
    (
        "isolation.level",
        "starting points are read when no transaction is open on them (R13)",
    ),
    ("enable.partition.eof", "the end of a partition is asked for"),
    (
        "group.protocol",
        "the generation of the classic protocol is part of the log (R7)",
    ),
    (
        "group.remote.assignor",
        "the generation of the classic protocol is part of the log (R7)",
    ),
    ("partition.assignment.strategy", "rebalances are cooperative"),
    (
        "enable.idempotence",
        "rows are numbered and must not overtake (R1)",
    ),
    (
        "enable.gapless.guarantee",
        "rows are numbered and none may be missing (R1)",
    ),
    (
        "acks",
        "offsets are committed after acknowledgement by all replicas (R3)",
    ),
    ("queue.buffering.max.ms", "its name here is linger.ms"),
    ("compression.codec", "its name here is compression.type"),
    (
        "request.required.acks",
        "offsets are committed after acknowledgement by all replicas (R3)",
    ),
];

/// Parts of the names of settings whose values are never shown.
const SECRET: &[&str] = &["password", "secret", "key.pem", "sasl.oauthbearer.config"];

/// Where the brokers are and how to talk to them. Cheap enough to clone for every worker.
#[derive(Clone, PartialEq, Eq)]
pub struct Kafka {
    bootstrap_servers: String,
    client_id: String,
    properties: BTreeMap<String, String>,
}

impl Kafka {
    /// Takes the brokers (`host:port[,...]`), the name under which they log us, and any librdkafka settings.
    /// The settings win over this crate's own values.
    ///
    /// # Errors
    /// [`StreamError::Setting`], naming the setting, if librdkafka does not take it or a guarantee depends on
    /// it.
    pub fn new(
        bootstrap_servers: impl Into<String>,
        client_id: impl Into<String>,
        properties: BTreeMap<String, String>,
    ) -> Result<Self> {
        let kafka = Self {
            bootstrap_servers: bootstrap_servers.into(),
            client_id: client_id.into(),
            properties,
        };
        if kafka.bootstrap_servers.trim().is_empty() {
            return Err(setting("bootstrap.servers", "no broker is named"));
        }
        for (key, value) in &kafka.properties {
            check(key, value)?;
        }
        Ok(kafka)
    }

    /// The brokers that clients ask first.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The name under which the brokers log these clients.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The same brokers and settings under another client name.
    #[must_use]
    pub fn named(&self, client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            ..self.clone()
        }
    }

    fn client(&self, ours: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", &self.client_id);
        config
            .set("statistics.interval.ms", "0")
            .set("socket.keepalive.enable", "true");
        config
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000");
        config.set("message.max.bytes", MAX_RECORD_BYTES.to_string());
        for (key, value) in ours {
            config.set(*key, *value);
        }
        config.extend(self.properties.clone());
        config.set_log_level(log_level());
        config
    }

    /// Settings that no transport of records depends on: topics and their descriptions.
    pub(crate) fn admin(&self) -> ClientConfig {
        self.client(&[])
    }

    /// A consumer of `group`; a group that is only named, never joined, costs nothing.
    pub(crate) fn consumer(&self, group: &str, options: &ConsumerOptions) -> ClientConfig {
        let mut config = self.client(&[
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            // How soon a transaction that holds an offset is looked at again (R13).
            ("retry.backoff.ms", "20"),
            // A full queue is looked at again soon: the default second would be a hole in the stream.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "100"),
            ("fetch.max.bytes", "16777216"),
            ("heartbeat.interval.ms", "1000"),
        ]);
        let own = [
            ("fetch.wait.max.ms", millis(options.fetch_wait)),
            ("fetch.min.bytes", options.fetch_min_bytes.to_string()),
            ("queued.max.messages.kbytes", kibibytes(options.queued_bytes)),
            ("session.timeout.ms", millis(options.session_timeout)),
            ("max.poll.interval.ms", millis(options.max_poll_interval)),
        ];
        self.fill(&mut config, own);
        if let Some(instance) = &options.instance_id {
            config.set("group.instance.id", instance);
        }
        config
    }

    /// An idempotent producer that would rather fail than leave a gap.
    pub(crate) fn producer(&self, options: &ProducerOptions) -> ClientConfig {
        let mut config = self.client(&[
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("acks", "all"),
            // As Kafka's own clients place keys, so that users' producers and these agree.
            ("partitioner", "murmur2_random"),
            ("retry.backoff.ms", "20"),
            ("queue.buffering.max.messages", "100000"),
            ("batch.num.messages", "10000"),
        ]);
        let own = [
            ("compression.type", options.compression.name().to_owned()),
            (
                "linger.ms",
                format!("{:.3}", options.linger.as_secs_f64() * 1000.0),
            ),
            ("queue.buffering.max.kbytes", kibibytes(options.queued_bytes)),
            ("batch.size", "1000000".to_owned()),
        ];
        self.fill(&mut config, own);
        config
    }

    /// A transactional producer under an id that fences its predecessors.
    pub(crate) fn transactional(&self, id: &str, timeout: Duration) -> ClientConfig {
        let mut config = self.producer(&ProducerOptions::default());
        config.remove("enable.gapless.guarantee"); // a failed record fails its transaction
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", millis(timeout));
        // What a transaction waits while the broker still writes the markers of the one before. At 1 ms the
        // retries drown the broker.
        self.fill(&mut config, [("retry.backoff.ms", "5".to_owned())]);
        config
    }

    /// Sets our values where the user has not set any.
    fn fill<const N: usize>(&self, config: &mut ClientConfig, own: [(&str, String); N]) {
        for (key, value) in own {
            if !self.properties.contains_key(key) {
                config.set(key, value);
            }
        }
    }
}

impl fmt::Debug for Kafka {
    /// Names of settings only: a value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

fn check(key: &str, value: &str) -> Result<()> {
    if let Some((_, reason)) = RESERVED.iter().find(|(name, _)| *name == key) {
        return Err(setting(key, &format!("it cannot be changed: {reason}")));
    }
    let mut alone = ClientConfig::new();
    alone.set(key, value);
    match alone.create_native_config() {
        Ok(_) => Ok(()),
        Err(_) if SECRET.iter().any(|part| key.contains(part)) => {
            Err(setting(key, "librdkafka refuses its value"))
        }
        Err(rdkafka::error::KafkaError::ClientConfig(_, reason, _, _)) => Err(setting(key, &reason)),
        Err(source) => Err(StreamError::of("checking a setting", source)),
    }
}

fn setting(key: &str, reason: &str) -> StreamError {
    StreamError::Setting {
        key: key.to_owned(),
        reason: reason.to_owned(),
    }
}

/// As much as `tracing` wants to hear.
fn log_level() -> RDKafkaLogLevel {
    if tracing::enabled!(target: TARGET, Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else if tracing::enabled!(target: TARGET, Level::INFO) {
        RDKafkaLogLevel::Info
    } else {
        RDKafkaLogLevel::Warning
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn kibibytes(bytes: usize) -> String {
    bytes.div_ceil(1024).max(1).to_string()
}

/// How a consumer fetches and how long the group waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// How long a broker holds a fetch without data, or without enough. Partitions that are newly assigned or resumed
    /// wait for it.
    pub fetch_wait: Duration,
    /// Bytes that a broker gathers before it answers a fetch, for no longer than `fetch_wait`: more than one where
    /// records are many, small and not in a hurry.
    pub fetch_min_bytes: usize,
    /// Bytes fetched ahead of [`Consumer::poll`](crate::Consumer::poll), over all partitions (INV-8). A fetch
    /// under way may exceed it by its own size.
    pub queued_bytes: usize,
    /// After this time without a sign of life the group goes on without this member.
    pub session_timeout: Duration,
    /// The longest time between two polls; longer, and the partitions are lost.
    pub max_poll_interval: Duration,
    /// Static membership: a member that comes back under the same name in time keeps its partitions.
    pub instance_id: Option<String>,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            fetch_wait: Duration::from_millis(100),
            fetch_min_bytes: 1,
            queued_bytes: 32 * 1024 * 1024,
            session_timeout: Duration::from_secs(10),
            max_poll_interval: Duration::from_mins(5),
            instance_id: None,
        }
    }
}

/// How batches are compressed on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: the least processor time.
    #[default]
    None,
    /// Fast, modest.
    Lz4,
    /// Slower, better.
    Zstd,
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// How a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerOptions {
    /// How batches are compressed.
    pub compression: Compression,
    /// How long a record waits for company. Zero suits records that are batches themselves; records that have
    /// gathered while a request was under way travel together anyway.
    pub linger: Duration,
    /// Bytes of records not yet acknowledged above which [`Producer::send`](crate::Producer::send) waits
    /// (INV-8).
    pub queued_bytes: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            linger: Duration::ZERO,
            queued_bytes: 64 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(key: &str, value: &str) -> Result<Kafka> {
        Kafka::new(
            "localhost:9092",
            "test",
            BTreeMap::from([(key.to_owned(), value.to_owned())]),
        )
    }

    #[test]
    fn settings_that_carry_a_guarantee_are_refused_by_name() {
        for (key, _) in RESERVED {
            let error = with(key, "true").unwrap_err();
            assert!(
                matches!(&error, StreamError::Setting { key: named, .. } if named == key),
                "{error}"
            );
        }
    }

    #[test]
    fn unknown_settings_and_values_are_refused_by_name() {
        assert!(
            with("no.such.setting", "1")
                .unwrap_err()
                .to_string()
                .contains("no.such.setting")
        );
        assert!(
            with("socket.timeout.ms", "soon")
                .unwrap_err()
                .to_string()
                .contains("socket.timeout.ms")
        );
    }

    #[test]
    fn the_users_settings_win() {
        let kafka = with("linger.ms", "7").unwrap();
        assert_eq!(
            kafka.producer(&ProducerOptions::default()).get("linger.ms"),
            Some("7")
        );
        let kafka = with("retry.backoff.ms", "33").unwrap();
        assert_eq!(
            kafka
                .transactional("id", Duration::from_secs(9))
                .get("retry.backoff.ms"),
            Some("33")
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let kafka = with("sasl.password", "hunter2").unwrap();
        assert!(!format!("{kafka:?}").contains("hunter2"));
    }
}
