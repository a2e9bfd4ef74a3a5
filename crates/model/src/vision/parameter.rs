//! Numbers that learn.

/// The values of a parameter and the gradient that the last backward pass added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parameter {
    pub(super) value: Vec<f32>,
    pub(super) gradient: Vec<f32>,
}

impl Parameter {
    pub(super) fn new(value: Vec<f32>) -> Self {
        let gradient = vec![0.0; value.len()];
        Self { value, gradient }
    }
}
