//! Weights as named tensors, and their file format.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::{Error, Result};

/// A dense array of numbers, the last dimension contiguous.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: Vec<f32>,
}

/// The tensors of a network, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Weights of these tensors.
    #[must_use]
    pub const fn new(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors }
    }

    /// The tensors, by name.
    #[must_use]
    pub fn into_tensors(self) -> BTreeMap<String, Tensor> {
        self.tensors
    }

    /// A tensor of the given shape.
    ///
    /// # Errors
    /// If it is absent, has another shape, or holds a number that is not finite.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        match self.tensors.get(name) {
            Some(tensor) if tensor.shape == shape => {
                if tensor.data.iter().all(|x| x.is_finite()) {
                    Ok(tensor)
                } else {
                    Err(Error::NotFinite {
                        what: format!("a weight of {name}"),
                    })
                }
            }
            _ => Err(Error::Tensor {
                name: name.to_owned(),
                shape: shape.to_vec(),
            }),
        }
    }

    /// The safetensors file; the same bytes for the same weights.
    ///
    /// # Errors
    /// If a tensor's data do not fill its shape.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let bytes: Vec<Vec<u8>> = self.tensors.values().map(little_endian).collect();
        let views = self.tensors.iter().zip(&bytes).map(|((name, tensor), data)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F32, tensor.shape.clone(), data)?,
            ))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(Error::Weights)?;
        serialize(views, None).map_err(Error::Weights)
    }

    /// Reads a safetensors file of floats of 32 bits, or of 16, which are widened.
    ///
    /// # Errors
    /// If it is damaged, or holds other types.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(Error::Weights)?;
        let tensors = file.iter().map(|(name, view)| {
            let shape = view.shape().to_vec();
            let data = match view.dtype() {
                Dtype::F32 => each(view.data(), f32::from_le_bytes),
                Dtype::F16 => each(view.data(), |bytes| widen(u16::from_le_bytes(bytes))),
                _ => {
                    return Err(Error::Tensor {
                        name: name.to_owned(),
                        shape,
                    });
                }
            };
            Ok((name.to_owned(), Tensor { shape, data }))
        });
        Ok(Self {
            tensors: tensors.collect::<Result<_>>()?,
        })
    }
}

fn each<const BYTES: usize>(data: &[u8], read: impl Fn([u8; BYTES]) -> f32) -> Vec<f32> {
    data.as_chunks().0.iter().map(|bytes| read(*bytes)).collect()
}

/// The number of these 16 bits.
///
/// # Source
/// IEEE 754-2019, binary16: one bit of sign, five of exponent biased by 15, ten of fraction.
fn widen(half: u16) -> f32 {
    let (sign, exponent, fraction) = (half >> 15, (half >> 10) & 31, half & 1023);
    let magnitude = match exponent {
        0 => f32::from(fraction) / 16_777_216.0,
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | u32::from(fraction) << 13),
    };
    if sign == 0 { magnitude } else { -magnitude }
}

fn little_endian(tensor: &Tensor) -> Vec<u8> {
    tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let tensor = |shape: &[usize], data: &[f32]| Tensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        Weights::new(BTreeMap::from([
            (
                "b".to_owned(),
                tensor(&[2, 2], &[1.0, -2.5, 3.25, f32::MIN_POSITIVE]),
            ),
            ("a".to_owned(), tensor(&[1], &[0.1])),
        ]))
    }

    #[test]
    fn weights_survive_the_file_bit_for_bit() {
        let bytes = weights().to_safetensors().unwrap();
        assert_eq!(Weights::from_safetensors(&bytes).unwrap(), weights());
        assert_eq!(weights().to_safetensors().unwrap(), bytes);
        assert!(matches!(
            Weights::from_safetensors(&bytes[..bytes.len() - 1]),
            Err(Error::Weights(_))
        ));
    }

    /// `numpy.array(bits, numpy.uint16).view(numpy.float16)`
    #[test]
    fn halves_are_widened_exactly() {
        let bits = [0x0000_u16, 0x0001, 0x03ff, 0x0400, 0x3555, 0xc000, 0x7bff, 0x7c00];
        let right = [
            0.0,
            5.960_464_5e-8,
            6.097_555e-5,
            6.103_515_6e-5,
            0.333_251_95,
            -2.0,
            65504.0,
            f32::INFINITY,
        ];
        assert_eq!(bits.map(widen), right);
        assert!(widen(0xfe00).is_nan());
    }

    #[test]
    fn a_tensor_is_handed_out_only_in_its_shape() {
        assert!(weights().tensor("b", &[2, 2]).is_ok());
        assert!(weights().tensor("b", &[4]).is_err());
        assert_eq!(
            weights().tensor("c", &[4]).unwrap_err().to_string(),
            "the tensor c is absent or does not have the shape [4]"
        );
    }
}
