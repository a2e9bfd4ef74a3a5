#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::dataset::Inputs;
use crate::explanation::Owners;
use crate::inference::EmbeddingDescription;
use crate::mlp::OptimiserSettings;
use crate::scalar::narrow;
use crate::vision::fixture::{numbers, uniform};

const ROWS: usize = 400;

fn network() -> FusionNetwork {
    FusionNetwork {
        image_width: 6,
        image_hidden: 5,
        numeric_width: 2,
        embeddings: vec![EmbeddingDescription {
            name: "channel".to_owned(),
            codes: 3,
            width: 2,
        }],
        step_width: 2,
        step_hidden: 4,
        hidden: vec![16],
    }
}

/// Transactions of which each part tells a little.
struct Data {
    images: Vec<Option<Vec<f32>>>,
    rows: Inputs,
    sequences: Vec<Vec<f32>>,
    labels: Vec<f32>,
}

impl Data {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let images: Vec<_> = (0..ROWS as u64)
            .map(|row| (row % 3 != 0).then(|| numbers(6, seed ^ (row << 20))))
            .collect();
        let sequences: Vec<_> = (0..ROWS as u64)
            .map(|row| numbers(2 * random.random_range(0..4), seed ^ (row << 40)))
            .collect();
        let rows = Inputs {
            len: ROWS,
            numeric: numbers(2 * ROWS, seed),
            numeric_width: 2,
            codes: (0..ROWS).map(|_| random.random_range(0..3)).collect(),
            code_width: 1,
        };
        let risk = |row: usize| {
            let image = images[row].as_ref().map_or(0.4, |image| image[0] - image[1]);
            let steps: f32 = sequences[row].iter().step_by(2).sum();
            let code = if rows.codes[row] == 2 { 0.8 } else { -0.3 };
            1.5 * image + rows.numeric_row(row)[0] + steps + code
        };
        let labels = (0..ROWS)
            .map(|row| if risk(row) > 0.3 { 1.0 } else { 0.0 })
            .collect();
        Self {
            images,
            rows,
            sequences,
            labels,
        }
    }

    fn inputs(&self) -> FusionInputs<'_> {
        FusionInputs {
            images: &self.images,
            rows: &self.rows,
            sequences: &self.sequences,
        }
    }
}

fn train(data: &Data, seed: u64) -> TrainedFusion {
    let all: Vec<usize> = (0..ROWS).collect();
    let request = FusionRequest {
        network: &network(),
        inputs: &data.inputs(),
        labels: &data.labels,
        train: &all[..280],
        validation: &all[280..],
        optimiser: &OptimiserSettings {
            batch_rows: 32,
            max_epochs: 30,
            patience_epochs: 30,
            learning_rate: 1e-2,
            ..Default::default()
        },
        dropout: 0.05,
        seed,
    };
    train_fusion(&request, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn all_three_parts_are_learned_from() {
    let data = Data::new(1);
    let trained = train(&data, 2);
    let best = trained.curve.iter().rfind(|epoch| epoch.best).unwrap();
    assert!(best.validation_auc_roc > 0.9, "{best:?}");
    let whole = trained.model.logits(&data.inputs()).unwrap();
    let without = |inputs: FusionInputs<'_>| trained.model.logits(&inputs).unwrap();
    let (no_images, no_sequences) = (vec![None; ROWS], vec![vec![]; ROWS]);
    assert_ne!(
        whole,
        without(FusionInputs {
            images: &no_images,
            ..data.inputs()
        })
    );
    assert_ne!(
        whole,
        without(FusionInputs {
            sequences: &no_sequences,
            ..data.inputs()
        })
    );
}

#[test]
fn every_parameter_has_the_slope_of_the_outputs_as_its_gradient() {
    let data = Data::new(3);
    let network = network::Network::random(&network(), 0.1, uniform(4));
    let rows: Vec<usize> = (0..40).collect();
    let weights = numbers(40, 5);
    let mut learned = network.clone();
    let trace = learned.forward(&data.inputs(), &rows, Vec::new());
    learned.backward(&data.inputs(), &rows, &trace, &weights);
    for part in 0..network.clone().parameters_mut().len() {
        let found = learned.parameters_mut()[part].0.gradient.clone();
        let steepest = (0..found.len())
            .max_by(|&a, &b| found[a].abs().total_cmp(&found[b].abs()))
            .unwrap();
        let moved = |by: f32| -> f64 {
            let mut moved = network.clone();
            moved.parameters_mut()[part].0.value[steepest] += by;
            let trace = moved.forward(&data.inputs(), &rows, Vec::new());
            let each = trace.logits().iter().zip(&weights);
            each.map(|(&logit, &weight)| f64::from(logit) * f64::from(weight))
                .sum()
        };
        // A row's rectifier may bend within the step.
        let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
        let found = f64::from(found[steepest]);
        assert!(
            (slope - found).abs() < 0.1 * found.abs() + 1e-3,
            "{part}: {slope} {found}"
        );
        assert!(found != 0.0, "{part} learns nothing");
    }
}

#[test]
fn a_row_scores_alike_alone_and_from_the_file_and_the_seed_decides() {
    let data = Data::new(1);
    let [model, again, other] = [2, 2, 3].map(|seed| train(&data, seed).model);
    let bytes = |model: &FusionModel| model.weights().to_safetensors().unwrap();
    assert_eq!(bytes(&model), bytes(&again));
    assert_ne!(bytes(&model), bytes(&other));
    let json = serde_json::to_string(model.record()).unwrap();
    let weights = Weights::from_safetensors(&bytes(&model)).unwrap();
    let read = FusionModel::new(serde_json::from_str(&json).unwrap(), &weights).unwrap();
    let together = model.probabilities(&data.inputs()).unwrap();
    for row in [0, 1, 399] {
        let alone = FusionInputs {
            images: &data.images[row..=row],
            rows: &data.rows.select(&[row]),
            sequences: &data.sequences[row..=row],
        };
        assert_eq!(
            read.probabilities(&alone).unwrap()[0].to_bits(),
            together[row].to_bits(),
            "INV-5"
        );
    }
}

/// The network's features: two numbers, and a category.
fn explainer(model: &FusionModel, data: &Data) -> FusionExplainer {
    let owners = Owners {
        numeric: vec![0, 2],
        codes: vec![1],
        features: 3,
    };
    FusionExplainer::new(model, &data.rows.select(&[5]), &owners)
}

#[test]
fn contributions_of_features_add_up_and_those_of_image_and_sequence_are_what_is_lost_without() {
    let data = Data::new(1);
    let model = train(&data, 2).model;
    let explained = explainer(&model, &data).explain(&model, &data.inputs()).unwrap();
    let logits = |inputs: FusionInputs<'_>| model.logits(&inputs).unwrap();
    let baselines = data.rows.select(&[5; ROWS]);
    let at_baseline = logits(FusionInputs {
        rows: &baselines,
        ..data.inputs()
    });
    let (no_images, no_sequences) = (vec![None; ROWS], vec![vec![]; ROWS]);
    let without_image = logits(FusionInputs {
        images: &no_images,
        ..data.inputs()
    });
    let without_sequence = logits(FusionInputs {
        sequences: &no_sequences,
        ..data.inputs()
    });
    let whole = logits(data.inputs());
    for (row, explained) in explained.iter().enumerate() {
        assert_eq!(explained.logit.to_bits(), whole[row].to_bits());
        let sum: f64 = explained.features.iter().map(|&c| f64::from(c)).sum();
        assert!((sum - (whole[row] - at_baseline[row])).abs() < 1e-4, "row {row}");
        assert_eq!(explained.image, narrow(whole[row] - without_image[row]));
        assert_eq!(explained.sequence, narrow(whole[row] - without_sequence[row]));
        assert_eq!(explained.image == 0.0, data.images[row].is_none());
        assert_eq!(explained.sequence == 0.0, data.sequences[row].is_empty());
    }
    assert_eq!(explained[5].features, [0.0; 3], "the baseline explains itself");
}

#[test]
fn explanations_do_not_depend_on_the_batch() {
    let data = Data::new(1);
    let model = train(&data, 2).model;
    let explainer = explainer(&model, &data);
    let together = explainer.explain(&model, &data.inputs()).unwrap();
    for row in [0, 7, 398] {
        let alone = FusionInputs {
            images: &data.images[row..=row],
            rows: &data.rows.select(&[row]),
            sequences: &data.sequences[row..=row],
        };
        let alone = explainer.explain(&model, &alone).unwrap();
        assert_eq!(alone, together[row..=row], "INV-5");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let data = Data::new(1);
    let model = train(&data, 2).model;
    let refused = |inputs: FusionInputs<'_>| model.logits(&inputs).is_err();
    assert!(refused(FusionInputs {
        images: &data.images[1..],
        ..data.inputs()
    }));
    let mut images = data.images.clone();
    images[4] = Some(vec![0.0; 5]);
    assert!(refused(FusionInputs {
        images: &images,
        ..data.inputs()
    }));
    let mut rows = data.rows.clone();
    rows.codes[7] = 3;
    assert!(refused(FusionInputs {
        rows: &rows,
        ..data.inputs()
    }));
    let mut sequences = data.sequences.clone();
    sequences[3] = vec![0.0; 3];
    assert!(refused(FusionInputs {
        sequences: &sequences,
        ..data.inputs()
    }));
}
