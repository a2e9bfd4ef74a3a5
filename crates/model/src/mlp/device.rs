//! Where a network is trained.

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A processor to train on. Scoring needs none but the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeDevice {
    /// The CPU.
    #[default]
    Cpu,
    /// The NVIDIA device of this number; needs the `cuda` feature.
    Cuda(usize),
}

impl ComputeDevice {
    /// Opens the device.
    ///
    /// # Errors
    /// If it is absent, or support for it was not compiled in.
    pub(super) fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => Ok(Device::new_cuda(number)?),
        }
    }
}
