//! The metrics of the process and their text.

use super::process::ProcessUsage;
use crate::{Error, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// 0.5 ms to 1 min.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// 1 KiB to 64 MiB, each four times the one before.
const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// 1 to 65,536, each four times the one before.
const ROWS: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0];

/// Renders everything that was recorded through the `metrics` macros. Clones render the same.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    /// Records from now on for the whole process. Histograms get their buckets by the end of their name: `_seconds`,
    /// `_bytes` or `_rows`.
    ///
    /// # Errors
    /// If a recorder was set up before in this process.
    pub fn install() -> Result<Self> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        ::metrics::set_global_recorder(recorder)
            .map_err(|_already| Error::AlreadySetUp { what: "metrics" })?;
        Ok(Self { handle })
    }

    /// A handle that nothing is recorded for, apart from the process itself: where recording is not wanted.
    ///
    /// # Errors
    /// Never in practice; the buckets are constants.
    pub fn detached() -> Result<Self> {
        Ok(Self {
            handle: recorder()?.handle(),
        })
    }

    /// Everything in the Prometheus text format, the memory and the processor time of the process included.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        match ProcessUsage::read() {
            Ok(usage) => usage.write(&mut text),
            // Nothing to show beats numbers that are wrong.
            Err(error) => tracing::debug!(%error, "process metrics are missing"),
        }
        text
    }

    /// Moves samples into their histograms; without it they pile up until somebody renders.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn recorder() -> Result<PrometheusRecorder> {
    let buckets = [("_seconds", SECONDS), ("_bytes", BYTES), ("_rows", ROWS)];
    let builder = buckets
        .into_iter()
        .try_fold(PrometheusBuilder::new(), |builder, (suffix, bounds)| {
            builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), bounds)
        });
    Ok(builder.map_err(Error::Buckets)?.build_recorder())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered() {
        let recorder = recorder().unwrap();
        let metrics = Metrics {
            handle: recorder.handle(),
        };
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("riskstream_events_received_total", "partition" => "3").increment(2);
            ::metrics::histogram!("riskstream_batch_seconds").record(0.02);
            ::metrics::histogram!("riskstream_batch_rows").record(300.0);
        });
        metrics.upkeep();
        let text = metrics.render();
        for line in [
            "riskstream_events_received_total{partition=\"3\"} 2",
            "riskstream_batch_seconds_bucket{le=\"0.025\"} 1",
            "riskstream_batch_rows_bucket{le=\"256\"} 0",
            "# TYPE process_cpu_seconds_total counter",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
