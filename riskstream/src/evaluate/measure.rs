//! Measures of joined scores.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use model::metrics;
use schema::time::DAY_US;

use super::join::Joined;
use super::report::{AtThreshold, CardPrecision, Counts, Decided, Report};
use super::scores::Scored;
use super::{EvaluateArgs, Unlabelled};

/// What is measured: one entry a transaction or image.
#[derive(Default)]
struct Sample {
    scores: Vec<f64>,
    labels: Vec<f32>,
    cards: Vec<metrics::CardScore>,
    decisions: BTreeMap<String, Decided>,
    models: BTreeMap<String, u64>,
    counts: Counts,
    first_us: Option<i64>,
    last_us: Option<i64>,
}

/// Measures.
pub(super) fn measure(args: &EvaluateArgs, joined: &Joined) -> Result<Report> {
    ensure!(
        joined.tells_when || !args.exclude_known_cards,
        "to leave out known cards, name when frauds became known: --known-at-column or --label-delay"
    );
    let sample = Sample::new(args, joined);
    let (scores, labels) = (&sample.scores, &sample.labels);
    let card_precision = args.card_column.as_ref().and_then(|column| {
        let value = metrics::card_precision(&sample.cards, args.cards_per_day)?;
        let days = sample
            .cards
            .iter()
            .map(|c| c.day)
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        Some(CardPrecision {
            column: column.clone(),
            cards_per_day: args.cards_per_day,
            days,
            value,
        })
    });
    Ok(Report {
        subjects: args.subjects(),
        from: sample.first_us.map(schema::time::format),
        to: sample.last_us.map(schema::time::format),
        auc_roc: metrics::auc_roc(scores, labels),
        average_precision: metrics::average_precision(scores, labels),
        card_precision,
        calibration_error: metrics::expected_calibration_error(scores, labels, metrics::CALIBRATION_BINS),
        brier: metrics::brier(scores, labels),
        log_loss: metrics::log_loss(scores, labels),
        thresholds: args
            .threshold
            .iter()
            .map(|&at| at_threshold(scores, labels, at))
            .collect(),
        decisions: sample.decisions,
        models: sample.models,
        counts: sample.counts,
    })
}

impl Sample {
    fn new(args: &EvaluateArgs, joined: &Joined) -> Self {
        let known = if args.exclude_known_cards {
            joined.first_known(args.known_since)
        } else {
            Default::default()
        };
        let mut sample = Self::default();
        let scores = &joined.scores;
        sample.counts = Counts {
            records: scores.records,
            others: scores.others,
            outside: scores.outside,
            repeated: scores.repeated,
            ..Counts::default()
        };
        for (place, scored) in scores.all.iter().enumerate() {
            let day = scored.event_time_us.map(|at| at.div_euclid(DAY_US));
            let card = joined.card[place];
            let known_before = |day: i64| {
                card.and_then(|c| known.get(&c))
                    .is_some_and(|&at| at < day.saturating_mul(DAY_US))
            };
            let Some(score) = scored.score else {
                sample.counts.unscored += 1;
                continue;
            };
            if day.is_some_and(known_before) {
                sample.counts.known_cards += 1;
                continue;
            }
            sample.counts.unlabelled += u64::from(joined.fraud[place].is_none());
            let fraud = match (joined.fraud[place], args.unlabelled) {
                (None, Unlabelled::LeaveOut) => continue,
                (fraud, _) => fraud.unwrap_or(false),
            };
            sample.add(score, fraud, scored);
            if let Some(version) = scored.version {
                *sample.models.entry(scores.versions[version].clone()).or_default() += 1;
            }
            if let (Some(day), Some(card)) = (day, card) {
                sample.cards.push(metrics::CardScore {
                    day,
                    card,
                    score,
                    label: f32::from(u8::from(fraud)),
                });
            }
        }
        sample
    }

    fn add(&mut self, score: f64, fraud: bool, scored: &Scored) {
        self.scores.push(score);
        self.labels.push(f32::from(u8::from(fraud)));
        self.counts.evaluated += 1;
        self.counts.frauds += u64::from(fraud);
        if let Some(decision) = &scored.decision {
            let decided = self.decisions.entry(decision.clone()).or_default();
            decided.evaluated += 1;
            decided.frauds += u64::from(fraud);
        }
        let at_us = scored.event_time_us;
        self.first_us = self.first_us.into_iter().chain(at_us).min();
        self.last_us = self.last_us.into_iter().chain(at_us).max();
    }
}

fn at_threshold(scores: &[f64], labels: &[f32], threshold: f64) -> AtThreshold {
    let counts = metrics::confusion(scores, labels, threshold);
    AtThreshold {
        threshold,
        flagged: counts.true_positives + counts.false_positives,
        flagged_share: counts.flagged_share(),
        precision: counts.precision(),
        recall: counts.recall(),
        f1: counts.f1(),
    }
}
