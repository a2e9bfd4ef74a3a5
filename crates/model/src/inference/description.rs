//! What a network looks like, apart from its weights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The function between layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`
    #[default]
    Relu,
}

/// A learned table that turns the code of a category into numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingDescription {
    /// The categorical feature.
    pub name: String,
    /// Its codes, the unknown included.
    pub codes: usize,
    /// Numbers a code turns into.
    pub width: usize,
}

/// A multi-layer perceptron over numeric inputs and embedded categories, with one logit as output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkDescription {
    /// Numeric inputs.
    pub numeric_width: usize,
    /// One table a categorical feature, in the order of the codes.
    pub embeddings: Vec<EmbeddingDescription>,
    /// The widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// The function after each hidden layer.
    pub activation: Activation,
    /// Networks of this shape whose logits are averaged.
    pub members: usize,
}

impl NetworkDescription {
    /// Inputs of the first layer: the numbers, then the embeddings.
    #[must_use]
    pub fn input_width(&self) -> usize {
        self.numeric_width
            + self
                .embeddings
                .iter()
                .map(|embedding| embedding.width)
                .sum::<usize>()
    }

    /// Inputs and outputs of each layer.
    #[must_use]
    pub fn layers(&self) -> Vec<(usize, usize)> {
        let inputs = std::iter::once(self.input_width()).chain(self.hidden.iter().copied());
        let outputs = self.hidden.iter().copied().chain(std::iter::once(1));
        inputs.zip(outputs).collect()
    }

    /// The shapes of one member's parameters, by name without the member.
    #[must_use]
    pub fn member_parameters(&self) -> BTreeMap<String, Vec<usize>> {
        let tables = self.embeddings.iter().enumerate();
        let mut shapes: BTreeMap<_, _> = tables
            .map(|(at, table)| (format!("embedding.{at}"), vec![table.codes, table.width]))
            .collect();
        for (at, (inputs, outputs)) in self.layers().into_iter().enumerate() {
            shapes.insert(format!("layer.{at}.weight"), vec![inputs, outputs]);
            shapes.insert(format!("layer.{at}.bias"), vec![outputs]);
        }
        shapes
    }

    /// The shapes of all parameters, by name.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, Vec<usize>> {
        let of_member = self.member_parameters();
        let all = (0..self.members).flat_map(|member| {
            of_member
                .iter()
                .map(move |(name, shape)| (member_name(member, name), shape.clone()))
        });
        all.collect()
    }

    /// Refuses a network that computes nothing.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] says what is empty.
    pub fn validate(&self) -> Result<()> {
        let layers = self.layers();
        if self.members == 0
            || layers
                .iter()
                .any(|&(inputs, outputs)| inputs == 0 || outputs == 0)
        {
            return Err(Error::Inconsistent {
                reason: "the network has an empty layer or no member",
            });
        }
        Ok(())
    }
}

/// The name of a member's parameter among all.
pub(crate) fn member_name(member: usize, name: &str) -> String {
    format!("member.{member}.{name}")
}
