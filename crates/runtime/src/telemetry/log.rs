//! Logs: text for people at a terminal, JSON for machines.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text where the log goes to a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How a line looks.
    #[serde(default)]
    pub format: LogFormat,
    /// A level, or directives such as `info,scorer=debug`.
    #[serde(default = "info")]
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            filter: info(),
        }
    }
}

fn info() -> String {
    "info".to_owned()
}

impl LogSettings {
    /// Whether the filter can be read.
    ///
    /// # Errors
    /// If it cannot.
    pub fn validate(&self) -> Result<()> {
        self.parsed_filter().map(|_| ())
    }

    fn parsed_filter(&self) -> Result<EnvFilter> {
        let unreadable = |source| Error::LogFilter {
            filter: self.filter.clone(),
            source,
        };
        EnvFilter::builder().parse(&self.filter).map_err(unreadable)
    }
}

/// Logs to stderr from now on, panics included.
///
/// # Errors
/// If the filter cannot be read, or logging was set up before in this process.
pub fn init_logs(settings: &LogSettings) -> Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let subscriber = subscriber(settings, json, terminal, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_already| Error::AlreadySetUp { what: "logging" })?;
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(thread, place, reason = message, "panicked");
    }));
    Ok(())
}

fn subscriber<W>(
    settings: &LogSettings,
    json: bool,
    colours: bool,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(settings.parsed_filter()?)
        .with_ansi(colours && !json)
        .with_thread_names(true)
        .with_writer(writer);
    Ok(if json {
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        Box::new(builder.finish())
    })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// Keeps what is logged while `work` runs.
    pub(in crate::telemetry) fn logged(settings: &LogSettings, json: bool, work: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(settings, json, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_their_fields() {
        let lines = logged(&LogSettings::default(), true, || {
            tracing::info!(partition = 3, "assigned");
            tracing::debug!("not shown");
        });
        let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(
            (&line["message"], &line["partition"]),
            (&"assigned".into(), &3.into())
        );
        assert_eq!(
            (&line["level"], line["timestamp"].is_string()),
            (&"INFO".into(), true)
        );
    }

    #[test]
    fn a_filter_chooses_levels_by_target() {
        let settings = LogSettings {
            filter: "warn,runtime=debug".to_owned(),
            ..LogSettings::default()
        };
        let lines = logged(&settings, false, || {
            tracing::debug!("mine");
            tracing::info!(target: "other", "theirs");
        });
        assert!(lines.contains("mine") && !lines.contains("theirs"), "{lines}");
        assert!(!lines.contains('\u{1b}'), "{lines}");
    }

    #[test]
    fn an_unreadable_filter_is_refused() {
        let settings = LogSettings {
            filter: "runtime=loud".to_owned(),
            ..LogSettings::default()
        };
        assert!(matches!(settings.validate(), Err(Error::LogFilter { .. })));
    }
}
