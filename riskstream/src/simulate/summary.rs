//! What was simulated, for people and for programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Settings;
use super::documents::Document;
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
    /// The images, if there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) images: Option<ImageSummary>,
}

/// What images were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ImageSummary {
    /// Where they were written.
    pub(crate) output: PathBuf,
    /// Number of documents.
    pub(crate) documents: u64,
    /// Number of those that are not genuine.
    pub(crate) frauds: u64,
    /// Number of frauds by what was done.
    pub(crate) alterations: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Nothing has been written yet.
    pub(super) fn new(settings: &Settings, output: &Path) -> Self {
        Self {
            output: output.to_owned(),
            images: settings.images.as_ref().map(|images| ImageSummary {
                output: images.output.clone(),
                ..ImageSummary::default()
            }),
            ..Self::default()
        }
    }

    /// Counts a day in.
    pub(super) fn count(&mut self, purchases: &[Purchase], documents: &[Document]) {
        if let Some(images) = &mut self.images {
            images.count(documents);
        }
        self.transactions += purchases.len() as u64;
        for fraud in purchases.iter().filter_map(|p| p.fraud) {
            self.frauds += 1;
            self.reported += u64::from(fraud.known_at_ms.is_some());
            *self.scenarios.entry(fraud.scenario.name()).or_default() += 1;
        }
    }

    /// Writes it for people.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
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
        self.images.as_ref().map_or(Ok(()), |images| images.write(out))
    }
}

impl ImageSummary {
    fn count(&mut self, documents: &[Document]) {
        self.documents += documents.len() as u64;
        for alteration in documents.iter().filter_map(|d| d.alteration) {
            self.frauds += 1;
            *self.alterations.entry(alteration.name()).or_default() += 1;
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (output, frauds) = (self.output.display(), self.frauds);
        writeln!(out, "{output}: {} documents", self.documents)?;
        writeln!(out, "{frauds} frauds ({:.1} %)", percent(frauds, self.documents))?;
        for (alteration, number) in &self.alterations {
            let share = percent(*number, self.documents);
            writeln!(out, "  {alteration:<22}{number:>8}  {share:>5.2} %")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: u64, of: u64) -> f64 {
    100.0 * part as f64 / of.max(1) as f64
}
