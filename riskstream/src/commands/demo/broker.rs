//! A broker for the demo alone, unless the environment names one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// A broker that ends with the demo.
pub(super) struct Broker {
    own: Option<Own>,
}

struct Own {
    script: PathBuf,
    data: PathBuf,
    servers: String,
}

impl Broker {
    /// Starts the script's broker on a free port with data of its own.
    pub(super) fn start(script: &Path, folder: &Path) -> anyhow::Result<Self> {
        if std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some() {
            return Ok(Self { own: None });
        }
        ensure!(
            script.exists(),
            "{} is not there: run the demo from the project's folder, or name a broker in KAFKA_BOOTSTRAP_SERVERS",
            script.display()
        );
        super::say("starting Apache Kafka (fetched once, if it is not there yet)");
        let data = folder.join("kafka");
        let output = Command::new(script)
            .args(["start", "--port", "0", "--data"])
            .arg(&data)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| script.display().to_string())?;
        ensure!(output.status.success(), "Apache Kafka did not start");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(servers) = text
            .lines()
            .find_map(|l| l.strip_prefix("KAFKA_BOOTSTRAP_SERVERS="))
        else {
            bail!("{} did not say where the broker is", script.display());
        };
        Ok(Self {
            own: Some(Own {
                script: script.into(),
                data,
                servers: servers.to_owned(),
            }),
        })
    }

    /// host:port of the broker that was started, if one was.
    pub(super) fn servers(&self) -> Option<&str> {
        self.own.as_ref().map(|own| own.servers.as_str())
    }

    /// Stops the broker that a demo before this one may have left.
    pub(super) fn stop_left_over(script: &Path, folder: &Path) {
        let data = folder.join("kafka");
        if data.exists() {
            stop(script, &data);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            stop(&own.script, &own.data);
        }
    }
}

fn stop(script: &Path, data: &Path) {
    let status = Command::new(script)
        .args(["stop", "--kill9", "--data"])
        .arg(data)
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|s| s.success()) {
        super::say(&format!("the broker in {} could not be stopped", data.display()));
    }
}
