//! What a team that looks at so many cards a day would catch.

use std::collections::{BTreeMap, BTreeSet};

use crate::dataset::is_positive;

/// One scored payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardScore {
    /// The day it was made on, in any numbering that rises.
    pub day: i64,
    /// The card that paid.
    pub card: u64,
    /// The score.
    pub score: f64,
    /// 1 if it was fraud.
    pub label: f32,
}

/// The share of the `top` highest-scored cards of a day that are defrauded on it, averaged over the days. A card's
/// score is its highest of the day; cards found on one day leave the days after. Of equal scores the lower card
/// counts first.
///
/// # Source
/// Le Borgne et al., "Reproducible Machine Learning for Credit Card Fraud Detection" (2022), chapter 4, card
/// precision top-k.
#[must_use]
pub fn card_precision(payments: &[CardScore], top: usize) -> Option<f64> {
    let mut days: BTreeMap<i64, BTreeMap<u64, (f64, bool)>> = BTreeMap::new();
    for payment in payments {
        let card = days.entry(payment.day).or_default().entry(payment.card);
        let (score, fraud) = card.or_insert((f64::NEG_INFINITY, false));
        *score = score.max(payment.score);
        *fraud |= is_positive(payment.label);
    }
    let mut caught = BTreeSet::new();
    let mut sum = 0.0;
    for cards in days.values() {
        let found = caught_on_day(cards, &caught, top);
        sum += found.len() as f64 / top as f64;
        caught.extend(found);
    }
    (!days.is_empty() && top > 0).then(|| sum / days.len() as f64)
}

fn caught_on_day(cards: &BTreeMap<u64, (f64, bool)>, caught: &BTreeSet<u64>, top: usize) -> Vec<u64> {
    let mut ranked: Vec<_> = cards.iter().filter(|(card, _)| !caught.contains(card)).collect();
    ranked.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    let shown = ranked.into_iter().take(top);
    shown
        .filter(|(_, (_, fraud))| *fraud)
        .map(|(&card, _)| card)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// import pandas as pd
    /// rows = [(i // 12, (i * 7) % 10, (i * 37 % 101) / 101, int(i * 5 % 7 < 3)) for i in range(36)]
    /// df = pd.DataFrame(rows, columns=["day", "card", "score", "fraud"])
    /// caught, precisions = [], []
    /// for day in sorted(df.day.unique()):
    ///     d = df[(df.day == day) & ~df.card.isin(caught)]
    ///     top = d.groupby("card").max().sort_values("score", ascending=False).head(3)
    ///     found = top[top.fraud == 1].index.tolist()
    ///     precisions.append(len(found) / 3); caught.extend(found)
    /// sum(precisions) / len(precisions)
    /// ```
    #[test]
    fn card_precision_matches() {
        let payments: Vec<CardScore> = (0..36_u64)
            .map(|i| CardScore {
                day: i64::try_from(i / 12).unwrap_or(0),
                card: (i * 7) % 10,
                score: (i * 37 % 101) as f64 / 101.0,
                label: if i * 5 % 7 < 3 { 1.0 } else { 0.0 },
            })
            .collect();
        let found = card_precision(&payments, 3).unwrap_or(f64::NAN);
        assert!((found - 1.0 / 3.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_caught_card_is_not_shown_again() {
        let payment = |day, card, score, label| CardScore {
            day,
            card,
            score,
            label,
        };
        let payments = [
            payment(0, 1, 0.9, 1.0),
            payment(1, 1, 0.9, 1.0),
            payment(1, 2, 0.1, 0.0),
        ];
        assert_eq!(card_precision(&payments, 1), Some(0.5));
        assert_eq!(card_precision(&[], 1), None);
    }
}
