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

    /// Reads a safetensors file of 32-bit floats.
    ///
    /// # Errors
    /// If it is damaged, or holds other types.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(Error::Weights)?;
        let tensors = file.iter().map(|(name, view)| {
            let shape = view.shape().to_vec();
            if view.dtype() != Dtype::F32 {
                return Err(Error::Tensor {
                    name: name.to_owned(),
                    shape,
                });
            }
            let data = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|four| f32::from_le_bytes(*four))
                .collect();
            Ok((name.to_owned(), Tensor { shape, data }))
        });
        Ok(Self {
            tensors: tensors.collect::<Result<_>>()?,
        })
    }
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
