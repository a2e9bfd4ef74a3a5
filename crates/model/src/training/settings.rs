//! How to train, as configured.

use serde::{Deserialize, Serialize};

use crate::metrics::{ThresholdPolicy, ThresholdRule};
use crate::mlp::{ComputeDevice, NetworkSettings, OptimiserSettings};
use crate::preprocessing::PreprocessingSettings;
use crate::{Error, Result};

/// How to train. Every field has a default; unknown ones are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// How features become inputs.
    pub preprocessing: PreprocessingSettings,
    /// The shape of the network.
    pub network: NetworkSettings,
    /// How it learns.
    pub optimiser: OptimiserSettings,
    /// How the threshold is chosen from which on a person looks. By default the share of rows that reviewers can
    /// look at, 1 %.
    pub review: ThresholdRule,
    /// How the threshold is chosen from which on a payment is declined. By default a precision of 90 %.
    pub decline: ThresholdRule,
    /// Where to train. The CPU by default, on which training is reproducible.
    pub device: ComputeDevice,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        let ThresholdPolicy { review, decline } = ThresholdPolicy::default();
        Self {
            preprocessing: PreprocessingSettings::default(),
            network: NetworkSettings::default(),
            optimiser: OptimiserSettings::default(),
            review,
            decline,
            device: ComputeDevice::default(),
        }
    }
}

impl TrainingSettings {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first one.
    pub fn validate(&self) -> Result<()> {
        self.preprocessing.validate()?;
        self.network.validate()?;
        self.optimiser.validate()?;
        self.thresholds().validate()
    }

    /// How both thresholds are chosen.
    #[must_use]
    pub const fn thresholds(&self) -> ThresholdPolicy {
        ThresholdPolicy {
            review: self.review,
            decline: self.decline,
        }
    }
}

/// An error for the first check that does not hold.
pub(crate) fn first_failure(checks: &[(bool, &'static str, &'static str)]) -> Result<()> {
    match checks.iter().find(|(holds, ..)| !holds) {
        Some(&(_, name, must_be)) => Err(Error::Setting { name, must_be }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_default_and_unknown_ones_are_refused() {
        let read = |json: &str| serde_json::from_str::<TrainingSettings>(json);
        assert_eq!(read("{}").unwrap(), TrainingSettings::default());
        let set = read(r#"{"network":{"hidden":[64]},"decline":{"fixed":0.8},"device":{"cuda":0}}"#).unwrap();
        assert_eq!(
            (set.network.hidden, set.decline),
            (vec![64], ThresholdRule::Fixed(0.8))
        );
        assert!(read(r#"{"optimiser":{"learning_speed":1}}"#).is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let mut settings = TrainingSettings::default();
        assert!(settings.validate().is_ok());
        settings.network.dropout = 1.0;
        let error = settings.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the setting network.dropout must be at least 0 and below 1"
        );
    }
}
