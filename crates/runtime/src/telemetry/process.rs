//! What the process itself uses, from `/proc`.

use crate::{Error, Result};
use std::fmt::Write;

/// Ticks a second of the times in `/proc/self/stat`: the kernel shows user space 100 on every architecture Rust's
/// standard library runs on, whatever it counts with itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory, processor time and threads of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUsage {
    /// Memory that is resident now.
    pub resident_bytes: u64,
    /// The most that ever was.
    pub peak_resident_bytes: u64,
    /// Processor time of all threads, in user space and in the kernel.
    ///
    /// # Units
    /// Seconds, in steps of 10 ms.
    pub cpu_seconds: f64,
    /// Threads running or waiting.
    pub threads: u64,
}

impl ProcessUsage {
    /// Reads the figures of now.
    ///
    /// # Errors
    /// If `/proc` is not there or not as expected.
    pub fn read() -> Result<Self> {
        let status = contents("/proc/self/status")?;
        let stat = contents("/proc/self/stat")?;
        Ok(Self {
            resident_bytes: 1024 * number(&status, "VmRSS:")?,
            peak_resident_bytes: 1024 * number(&status, "VmHWM:")?,
            threads: number(&status, "Threads:")?,
            cpu_seconds: cpu_seconds(&stat)?,
        })
    }

    /// Appends the figures in the Prometheus text format, under the names that every client library uses. They are
    /// written here because the recorder's counters are whole numbers.
    pub(super) fn write(&self, text: &mut String) {
        let lines = [
            (
                "process_resident_memory_bytes",
                "gauge",
                "Resident memory.",
                self.resident_bytes.to_string(),
            ),
            (
                "process_peak_resident_memory_bytes",
                "gauge",
                "Highest resident memory so far.",
                self.peak_resident_bytes.to_string(),
            ),
            (
                "process_cpu_seconds_total",
                "counter",
                "Processor time, user and kernel.",
                self.cpu_seconds.to_string(),
            ),
            ("process_threads", "gauge", "Threads.", self.threads.to_string()),
        ];
        for (name, kind, help, value) in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
            );
        }
    }
}

fn contents(file: &'static str) -> Result<String> {
    std::fs::read_to_string(file).map_err(|source| Error::Proc { file, source })
}

fn malformed(file: &'static str) -> Error {
    Error::Proc {
        file,
        source: std::io::ErrorKind::InvalidData.into(),
    }
}

/// The number after a name such as `VmRSS:`.
fn number(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| malformed("/proc/self/status"))
}

/// Fields 14 and 15 (proc_pid_stat(5)). The second, a name in brackets, may hold anything: counting starts behind it.
fn cpu_seconds(stat: &str) -> Result<f64> {
    let times = || {
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ').skip(11);
        let user: u32 = fields.next()?.parse().ok()?;
        let kernel: u32 = fields.next()?.parse().ok()?;
        Some(f64::from(user) + f64::from(kernel))
    };
    times()
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .ok_or_else(|| malformed("/proc/self/stat"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_running_process_uses_something() {
        let usage = ProcessUsage::read().unwrap();
        assert!(
            usage.resident_bytes > 100_000 && usage.peak_resident_bytes >= usage.resident_bytes,
            "{usage:?}"
        );
        assert!(usage.threads >= 1 && usage.cpu_seconds >= 0.0, "{usage:?}");
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) R) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_seconds(stat).unwrap().to_bits(), 3.0_f64.to_bits());
    }
}
