//! What was simulated, for people and for programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::purchase::Purchase;

/// What was simulated.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Where it was written.
    pub(crate) output: PathBuf,
    /// Number of transactions.
    pub(crate) transactions: u64,
    /// Number of frauds.
    pub(crate) frauds: u64,
    /// Number of frauds that somebody reports.
    pub(crate) reported: u64,
    /// Number of frauds by the way they were done.
    pub(crate) scenarios: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Counts a day in.
    pub(super) fn count(&mut self, day: &[Purchase]) {
        self.transactions += day.len() as u64;
        for fraud in day.iter().filter_map(|p| p.fraud) {
            self.frauds += 1;
            self.reported += u64::from(fraud.known_at_ms.is_some());
            *self.scenarios.entry(fraud.scenario.name()).or_default() += 1;
        }
    }

    /// Writes it for people.
    #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let percent = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
        writeln!(
            out,
            "{}: {} transactions",
            self.output.display(),
            self.transactions
        )?;
        let (frauds, reported) = (self.frauds, percent(self.reported, self.frauds));
        writeln!(
            out,
            "{frauds} frauds ({:.2} %), {reported:.0} % reported",
            percent(frauds, self.transactions)
        )?;
        for (scenario, number) in &self.scenarios {
            writeln!(
                out,
                "  {scenario:<22}{number:>8}  {:>5.2} %",
                percent(*number, self.transactions)
            )?;
        }
        Ok(())
    }
}
