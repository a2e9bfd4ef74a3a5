//! Processes that are measured, and what they use.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

/// Linux counts processor time in hundredths of a second, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a worker may take to drain.
const DRAIN: Duration = Duration::from_secs(60);

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// Processor time, user and kernel.
    pub(crate) cpu_seconds: f64,
    /// Highest resident memory so far.
    pub(crate) peak_bytes: u64,
}

/// A process of a system under measurement, killed when dropped.
pub(crate) struct Worker {
    name: &'static str,
    child: Child,
}

impl Worker {
    /// Starts it; what it says goes to `NAME.log` in the folder.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&file)
            .with_context(|| file.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        Ok(Self {
            name,
            child: child.with_context(|| format!("{name} does not start"))?,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        usage(self.child.id())
    }

    /// Processor seconds of its threads so far, those of one name together.
    pub(crate) fn threads(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let mut threads = BTreeMap::new();
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let Ok(stat) = std::fs::read_to_string(entry?.path().join("stat")) else {
                continue;
            };
            let (name, cpu_seconds) = read(&stat)?;
            *threads.entry(name.to_owned()).or_default() += cpu_seconds;
        }
        Ok(threads)
    }

    /// Fails if the process has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended ({status}); see its log", self.name),
        }
    }

    /// Asks it to drain and waits for its end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("bash")
            .args(["-c", r#"kill -TERM "$0""#, &pid])
            .status()?;
        ensure!(asked.success(), "{} could not be asked to stop", self.name);
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} has not stopped within {DRAIN:?}", self.name)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used so far.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let (_, cpu_seconds) = read(&std::fs::read_to_string(format!("/proc/{pid}/stat"))?)?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    let kibibytes: u64 = peak.context("no VmHWM")?.parse()?;
    Ok(Usage {
        cpu_seconds,
        peak_bytes: kibibytes * 1024,
    })
}

/// How many processes wanted a processor in the last minute, on average.
pub(crate) fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().context("an empty loadavg")?;
    first.parse().context("a load average")
}

/// Name and processor seconds in a `stat` file; the name may hold anything, so the last parenthesis ends it.
fn read(stat: &str) -> anyhow::Result<(&str, f64)> {
    let (head, tail) = stat.rsplit_once(')').context("a stat file without a name")?;
    let (_, name) = head.split_once('(').context("a stat file without a name")?;
    let mut fields = tail.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .context("a short stat file")?
            .parse::<f64>()
            .context("a count of ticks")
    };
    Ok((name, (ticks()? + ticks()?) / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_file_is_read_whatever_the_threads_name() {
        let stat = "17 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(read(stat).unwrap(), ("a) b", 2.0));
    }
}
