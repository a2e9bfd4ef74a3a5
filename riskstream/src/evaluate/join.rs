//! Scores and labels, brought together.

use std::collections::HashMap;

use anyhow::{Result, ensure};

use super::labels::{Known, LabelReader};
use super::scores::{Scored, Scores};
use crate::tables::{Rows, Table};

/// Scores with what is known about what they are of, and all frauds of cards.
#[derive(Debug)]
pub(super) struct Joined {
    /// The scores.
    pub(super) scores: Scores,
    /// For each of them: whether it was a fraud, if a label says so.
    pub(super) fraud: Vec<Option<bool>>,
    /// For each of them: its card, by number.
    pub(super) card: Vec<Option<u64>>,
    /// Frauds of cards, scored or not.
    pub(super) frauds: Vec<CardFraud>,
    /// Whether the labels can tell when frauds became known.
    pub(super) tells_when: bool,
}

/// A fraud that became known.
#[derive(Clone, Copy, Debug)]
pub(super) struct CardFraud {
    /// The card, by number.
    pub(super) card: u64,
    /// When it took place, if that is told.
    pub(super) event_time_us: Option<i64>,
    /// When it became known.
    pub(super) known_at_us: i64,
}

/// Numbers for cards, in the order in which they are met.
#[derive(Default)]
struct Cards(HashMap<String, u64>);

impl Cards {
    fn number(&mut self, card: &str) -> u64 {
        let next = self.0.len() as u64;
        self.0.get(card).copied().unwrap_or_else(|| {
            self.0.insert(card.to_owned(), next);
            next
        })
    }
}

impl Joined {
    /// Reads all labels and joins them to scores.
    pub(super) fn new(scores: Scores, labels: &Table, reader: &LabelReader) -> Result<Self> {
        let mut cards = Cards::default();
        let card = |s: &Scored| s.card.as_deref().map(|card| cards.number(card));
        let card: Vec<Option<u64>> = scores.all.iter().map(card).collect();
        let fraud = vec![None; scores.all.len()];
        let mut joined = Self {
            scores,
            fraud,
            card,
            frauds: Vec::new(),
            tells_when: reader.tells_when(),
        };
        let mut number = 0;
        for batch in labels.batches() {
            for row in Rows::new(&batch?)?.iter() {
                if let Some(known) = reader.read(&row, number)? {
                    joined.add(&known, &mut cards);
                }
                number += 1;
            }
        }
        let matched = joined.fraud.iter().any(Option::is_some);
        ensure!(
            matched || joined.scores.all.is_empty(),
            "no label belongs to any of the scores"
        );
        Ok(joined)
    }

    fn add(&mut self, known: &Known, cards: &mut Cards) {
        let place = self.scores.places.get(&known.id).copied();
        let mut card = known.card.as_deref().map(|card| cards.number(card));
        let mut event_time_us = known.event_time_us;
        if let Some(place) = place {
            self.fraud[place] = Some(known.fraud);
            card = card.or(self.card[place]);
            self.card[place] = card;
            event_time_us = event_time_us.or(self.scores.all[place].event_time_us);
        }
        if let (true, Some(card), Some(known_at_us)) = (known.fraud, card, known.known_at_us) {
            self.frauds.push(CardFraud {
                card,
                event_time_us,
                known_at_us,
            });
        }
    }

    /// When a fraud of each card first became known; those that took place before `since` are forgotten.
    pub(super) fn first_known(&self, since: Option<i64>) -> HashMap<u64, i64> {
        let mut first = HashMap::new();
        for fraud in &self.frauds {
            let forgotten = since.is_some_and(|since| fraud.event_time_us.is_none_or(|at| at < since));
            if !forgotten {
                let known = first.entry(fraud.card).or_insert(fraud.known_at_us);
                *known = fraud.known_at_us.min(*known);
            }
        }
        first
    }
}
