//! What an evaluation found, for people and for programs.

use std::collections::BTreeMap;
use std::io::{Result, Write};

use serde::Serialize;

use super::Subjects;

/// What an evaluation found. A measure is absent where it is not defined: without frauds, or with nothing else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    /// What was measured.
    pub(crate) subjects: Subjects,
    /// When the first of them took place.
    pub(crate) from: Option<String>,
    /// When the last one did.
    pub(crate) to: Option<String>,
    /// How many of what.
    pub(crate) counts: Counts,
    /// Area under the receiver operating characteristic.
    pub(crate) auc_roc: Option<f64>,
    /// Average precision.
    pub(crate) average_precision: Option<f64>,
    /// Share of the highest-scored cards of a day that are defrauded, if cards are told apart.
    pub(crate) card_precision: Option<CardPrecision>,
    /// Expected calibration error.
    pub(crate) calibration_error: Option<f64>,
    /// Mean squared error of the scores as probabilities.
    pub(crate) brier: Option<f64>,
    /// Mean negative log-likelihood.
    pub(crate) log_loss: Option<f64>,
    /// What thresholds would do.
    pub(crate) thresholds: Vec<AtThreshold>,
    /// What was decided.
    pub(crate) decisions: BTreeMap<String, Decided>,
    /// Versions of the models that made the scores, and how many each made.
    pub(crate) models: BTreeMap<String, u64>,
}

/// How many of what. `records` = `others` + `outside` + `repeated` + `unscored` + `known_cards` + unlabelled ones left out +
/// `evaluated`, but for records without an identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Records of scores.
    pub(crate) records: u64,
    /// Of images where transactions are measured, or the other way.
    pub(crate) others: u64,
    /// Outside the period.
    pub(crate) outside: u64,
    /// Replaced by another record of the same identifier.
    pub(crate) repeated: u64,
    /// Without a score, since there was no model.
    pub(crate) unscored: u64,
    /// Of cards already known as defrauded.
    pub(crate) known_cards: u64,
    /// Without a label.
    pub(crate) unlabelled: u64,
    /// Transactions or images measured.
    pub(crate) evaluated: u64,
    /// Frauds among them.
    pub(crate) frauds: u64,
}

/// Card precision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CardPrecision {
    /// The column that tells cards apart.
    pub(crate) column: String,
    /// How many cards are looked at a day.
    pub(crate) cards_per_day: usize,
    /// Over how many days it is the mean.
    pub(crate) days: usize,
    /// The precision.
    pub(crate) value: f64,
}

/// What a threshold would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AtThreshold {
    /// Scores of at least this are flagged.
    pub(crate) threshold: f64,
    /// Number of transactions or images flagged.
    pub(crate) flagged: usize,
    /// Their share.
    pub(crate) flagged_share: Option<f64>,
    /// Share of them that are frauds.
    pub(crate) precision: Option<f64>,
    /// Share of the frauds that are among them.
    pub(crate) recall: Option<f64>,
    /// Harmonic mean of the two.
    pub(crate) f1: Option<f64>,
}

/// What became of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Decided {
    /// Transactions or images so decided.
    pub(crate) evaluated: u64,
    /// Frauds among them.
    pub(crate) frauds: u64,
}

impl Report {
    /// Writes the report for people.
    ///
    /// # Errors
    /// If `out` takes no more.
    pub(crate) fn write(&self, out: &mut impl Write) -> Result<()> {
        self.write_counts(out)?;
        self.write_measures(out)?;
        self.write_thresholds(out)?;
        self.write_decisions(out)
    }

    fn write_counts(&self, out: &mut impl Write) -> Result<()> {
        let counts = &self.counts;
        let share = ratio(counts.frauds, counts.evaluated);
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            writeln!(out, "period     {from} to {to}")?;
        }
        let (all, frauds) = (grouped(counts.evaluated), grouped(counts.frauds));
        writeln!(
            out,
            "evaluated  {all} {}, {frauds} frauds ({})",
            self.subjects.name(),
            percent(share)
        )?;
        if !self.models.is_empty() {
            writeln!(out, "models     {}", self.models.len())?;
        }
        let left_out = [
            (counts.others, "not of these"),
            (counts.outside, "outside the period"),
            (counts.repeated, "repeated"),
            (counts.unscored, "without a score"),
            (counts.known_cards, "of cards known as defrauded"),
            (counts.unlabelled, "without a label"),
        ];
        for (number, what) in left_out.into_iter().filter(|(number, _)| *number > 0) {
            writeln!(out, "           {} {what}", grouped(number))?;
        }
        Ok(())
    }

    fn write_measures(&self, out: &mut impl Write) -> Result<()> {
        writeln!(out)?;
        writeln!(out, "AUC ROC               {}", measure(self.auc_roc))?;
        writeln!(out, "average precision     {}", measure(self.average_precision))?;
        if let Some(cards) = &self.card_precision {
            let name = format!("card precision@{}", cards.cards_per_day);
            writeln!(
                out,
                "{name:<22}{}  ({}, mean of {} days)",
                measure(Some(cards.value)),
                cards.column,
                cards.days
            )?;
        }
        writeln!(out, "calibration error     {}", measure(self.calibration_error))?;
        writeln!(out, "Brier score           {}", measure(self.brier))?;
        writeln!(out, "log loss              {}", measure(self.log_loss))
    }

    fn write_thresholds(&self, out: &mut impl Write) -> Result<()> {
        if self.thresholds.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nthreshold     flagged     share  precision  recall      F1"
        )?;
        for at in &self.thresholds {
            let (flagged, share) = (grouped(at.flagged as u64), percent(at.flagged_share));
            let [precision, recall, f1] = [at.precision, at.recall, at.f1].map(measure);
            let threshold = at.threshold;
            writeln!(
                out,
                "{threshold:<9.3}{flagged:>12}{share:>10}{precision:>11}{recall:>8}{f1:>8}"
            )?;
        }
        Ok(())
    }

    fn write_decisions(&self, out: &mut impl Write) -> Result<()> {
        if self.decisions.is_empty() {
            return Ok(());
        }
        let name = self.subjects.name();
        writeln!(out, "\ndecision  {name:>12}    frauds     share")?;
        for (decision, Decided { evaluated, frauds }) in &self.decisions {
            let share = percent(ratio(*frauds, *evaluated));
            let (evaluated, frauds) = (grouped(*evaluated), grouped(*frauds));
            writeln!(out, "{decision:<10}{evaluated:>12}{frauds:>10}{share:>10}")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn ratio(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.2} %", 100.0 * share))
}

fn measure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
