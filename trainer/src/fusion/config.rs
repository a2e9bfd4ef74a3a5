//! What can be set about models of transactions with their images.

use model::fusion::FusionSettings;
use serde::{Deserialize, Serialize};

/// The section `[trainer.fusion]`. The schedule and the window are those of transactions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionSection {
    /// Fewer transactions with an image than this are not trained on.
    pub min_images: usize,
    /// Fewer frauds among them than this are not trained on; a tenth of it has to be in the validation part.
    pub min_frauds: usize,
    /// The network and how it learns.
    #[serde(default)]
    pub network: FusionSettings,
}
