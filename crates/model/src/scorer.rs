//! Scores: a pure function of raw feature rows and a bundle.

use crate::bundle::Bundle;
use crate::calibration::Calibration;
use crate::explanation::{Explainer, Owners};
use crate::inference::{Ensemble, Weights};
use crate::metrics::Thresholds;
use crate::preprocessing::Preprocessing;
use crate::{Error, FeatureKind, FeatureSchema, Result, Rows};

/// One row's score.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// What the network said.
    pub logit: f64,
    /// How often rows like this one are fraud, strictly between 0 and 1.
    pub probability: f64,
    /// For each feature in the order of the schema, how far it moved the logit from the baseline row's; a fusion model
    /// has two more, see [`FusionScorer::score`](crate::FusionScorer::score).
    pub contributions: Vec<f32>,
    /// How many features were missing or had a text that training never saw.
    pub unknown_features: u32,
}

/// A bundle prepared for scoring. It can be shared between threads.
#[derive(Debug)]
pub struct Scorer {
    schema: FeatureSchema,
    preprocessing: Preprocessing,
    ensemble: Ensemble,
    explainer: Explainer,
    calibration: Calibration,
    thresholds: Thresholds,
}

impl Scorer {
    /// Prepares a bundle.
    ///
    /// # Errors
    /// If the weights do not fit the description.
    pub fn new(bundle: &Bundle) -> Result<Self> {
        let manifest = &bundle.manifest;
        let ensemble = Ensemble::new(&manifest.network, &Weights::from_safetensors(&bundle.weights)?)?;
        let schema = manifest.feature_schema.features.clone();
        let baseline = manifest.preprocessing.apply(&manifest.baseline_row()?)?.inputs;
        let explainer = Explainer::new(&ensemble, &baseline, &owners(&schema, &manifest.preprocessing));
        Ok(Self {
            schema,
            preprocessing: manifest.preprocessing.clone(),
            ensemble,
            explainer,
            calibration: manifest.calibration.clone(),
            thresholds: manifest.thresholds,
        })
    }

    /// The features it reads; contributions are in their order.
    #[must_use]
    pub const fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// From which probabilities on to act.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The logit of the row that contributions are measured from.
    #[must_use]
    pub const fn baseline_logit(&self) -> f64 {
        self.explainer.baseline_logit()
    }

    /// Whether rows with these columns can be scored.
    ///
    /// # Errors
    /// [`Error::MissingFeatures`] lists all that are absent.
    pub fn check_schema<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        self.schema.check(names)
    }

    /// Scores and explains rows. A row's numbers are the same in every batch (INV-5).
    ///
    /// # Errors
    /// If features are absent or of another kind, or a logit is not finite.
    pub fn score(&self, rows: &Rows) -> Result<Vec<Scored>> {
        self.check_schema(rows.names())?;
        let encoded = self.preprocessing.apply(rows)?;
        let explained = self.explainer.explain(&self.ensemble, &encoded.inputs);
        let scored = explained
            .into_iter()
            .zip(encoded.unknown)
            .map(|(explained, unknown_features)| Scored {
                logit: explained.logit,
                probability: self.calibration.probability(explained.logit),
                contributions: explained.contributions,
                unknown_features,
            });
        let scored: Vec<Scored> = scored.collect();
        finite(scored.iter().map(|row| row.logit))?;
        Ok(scored)
    }

    /// The calibrated probabilities alone, for half the work: the same bits as [`Self::score`] gives.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn probabilities(&self, rows: &Rows) -> Result<Vec<f64>> {
        self.check_schema(rows.names())?;
        let logits = self.ensemble.logits(&self.preprocessing.apply(rows)?.inputs);
        finite(logits.iter().copied())?;
        Ok(logits
            .into_iter()
            .map(|logit| self.calibration.probability(logit))
            .collect())
    }
}

/// Refuses logits that are not numbers.
pub(crate) fn finite(logits: impl IntoIterator<Item = f64>) -> Result<()> {
    let broken = logits.into_iter().position(|logit| !logit.is_finite());
    broken.map_or(Ok(()), |row| {
        Err(Error::NotFinite {
            what: format!("the logit of row {row}"),
        })
    })
}

/// Which feature of the schema each input belongs to.
pub(crate) fn owners(schema: &FeatureSchema, preprocessing: &Preprocessing) -> Owners {
    let numeric: Vec<usize> = schema.of_kind(FeatureKind::Numeric).map(|(at, _)| at).collect();
    Owners {
        numeric: preprocessing
            .numeric_owners()
            .into_iter()
            .map(|owner| numeric[owner])
            .collect(),
        codes: schema
            .of_kind(FeatureKind::Categorical)
            .map(|(at, _)| at)
            .collect(),
        features: schema.features().len(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Column;
    use crate::training::fixture::{bundle, rows};

    #[test]
    fn a_row_scores_alike_alone_in_a_batch_and_from_the_stored_bundle() {
        let scorer = Scorer::new(&bundle()).unwrap();
        let rows = rows(150, 3);
        let together = scorer.score(&rows).unwrap();
        let read = Scorer::new(&Bundle::decode(&bundle().encode()).unwrap()).unwrap();
        assert_eq!(read.score(&rows).unwrap(), together);
        for row in [0, 17, 149] {
            assert_eq!(
                scorer.score(&rows.select(&[row])).unwrap()[0],
                together[row],
                "INV-5"
            );
        }
        let probabilities = scorer.probabilities(&rows).unwrap();
        assert!(
            probabilities
                .iter()
                .zip(&together)
                .all(|(p, scored)| p.to_bits() == scored.probability.to_bits())
        );
    }

    #[test]
    fn contributions_follow_the_schema_and_add_up() {
        let scorer = Scorer::new(&bundle()).unwrap();
        for scored in scorer.score(&rows(60, 4)).unwrap() {
            assert_eq!(scored.contributions.len(), scorer.schema().features().len());
            let sum: f64 = scored.contributions.iter().map(|&c| f64::from(c)).sum();
            assert!((sum - (scored.logit - scorer.baseline_logit())).abs() < 1e-4);
        }
    }

    #[test]
    fn rows_without_a_feature_are_refused_and_unknown_values_counted() {
        let scorer = Scorer::new(&bundle()).unwrap();
        let absent = scorer.check_schema(["amount"]).unwrap_err();
        assert_eq!(absent.to_string(), "the rows lack the features channel, risk");
        assert!(matches!(
            scorer.score(&Rows::new(3)),
            Err(Error::MissingFeatures { .. })
        ));
        let mut row = rows(1, 1);
        row.insert("amount", Column::Numeric(vec![f64::NAN])).unwrap();
        row.insert("risk", Column::Numeric(vec![0.5])).unwrap();
        row.insert(
            "channel",
            Column::Categorical(vec![Some("never seen".to_owned())]),
        )
        .unwrap();
        let scored = scorer.score(&row).unwrap();
        assert_eq!(scored[0].unknown_features, 2);
        assert!(scored[0].probability > 0.0 && scored[0].probability < 1.0);
    }
}
