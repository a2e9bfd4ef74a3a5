//! librdkafka's own log lines and errors, handed to `tracing`.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::error::KafkaError;
use tracing::{debug, error, info, warn};

/// The target under which they can be filtered.
pub(crate) const TARGET: &str = "librdkafka";

/// A line of librdkafka's log.
pub(crate) fn line(level: Level, facility: &str, message: &str) {
    match level {
        // Every client is told of settings that are for the other kind; that is no news.
        _ if facility == "CONFWARN" => debug!(target: TARGET, facility, message, "client log"),
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
            error!(target: TARGET, facility, message, "client log");
        }
        Level::Warning => warn!(target: TARGET, facility, message, "client log"),
        Level::Notice | Level::Info => info!(target: TARGET, facility, message, "client log"),
        Level::Debug => debug!(target: TARGET, facility, message, "client log"),
    }
}

/// An error of the client as a whole; librdkafka goes on trying.
pub(crate) fn trouble(error: &KafkaError, reason: &str) {
    warn!(target: TARGET, %error, reason, "client error");
}

/// The context of clients that want nothing but their log lines told.
pub(crate) struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: Level, facility: &str, message: &str) {
        line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        trouble(&error, reason);
    }
}
