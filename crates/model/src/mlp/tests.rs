#![allow(clippy::unwrap_used)]

use rand::RngExt;

use super::*;
use crate::dataset::Inputs;
use crate::inference::fixture;
use candle_core::Device;

/// Rows whose label follows a crooked rule on numbers and categories.
fn table(len: usize, seed: u64) -> Table {
    let inputs = fixture::inputs(len, seed);
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 77);
    let label = |row: usize| {
        let (x, codes) = (inputs.numeric_row(row), inputs.code_row(row));
        let risk = f64::from(x[0] * x[1]) + if codes[0] == 2 { 2.0 } else { -1.0 };
        if random.random_range(0.0..1.0) < crate::scalar::sigmoid(2.0 * risk) {
            1.0
        } else {
            0.0
        }
    };
    let labels = (0..len).map(label).collect();
    Table::new(inputs, labels, vec![1.0; len]).unwrap()
}

fn settings() -> OptimiserSettings {
    OptimiserSettings {
        batch_rows: 64,
        max_epochs: 12,
        learning_rate: 1e-2,
        ..Default::default()
    }
}

fn train(seed: u64, settings: &OptimiserSettings, progress: &mut Progress<'_>) -> Member {
    let request = MemberRequest {
        description: &fixture::description(1),
        train: &table(1_500, 1),
        validation: &table(500, 2),
        dropout: 0.1,
        optimiser: settings,
        device: ComputeDevice::Cpu,
        seed,
        member: 0,
        start: None,
    };
    train_member(&request, progress).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_weights_bit_for_bit() {
    let mut go_on = |_: &EpochReport| ControlFlow::Continue(());
    let first = train(9, &settings(), &mut go_on);
    let again = train(9, &settings(), &mut go_on);
    let other = train(10, &settings(), &mut go_on);
    let bits = |member: &Member| merge_members([&member.weights]).to_safetensors().unwrap();
    assert_eq!(bits(&first), bits(&again));
    assert_eq!(first.epochs, again.epochs);
    assert_ne!(bits(&first), bits(&other));
}

#[test]
fn training_learns_a_crooked_rule_and_keeps_its_best_pass() {
    let member = train(3, &settings(), &mut |_| ControlFlow::Continue(()));
    let start = &member.epochs[0];
    let best = member.epochs.iter().rfind(|epoch| epoch.best).unwrap();
    assert!(
        best.validation_loss < 0.7 * start.validation_loss,
        "{:?}",
        member.epochs
    );
    assert!(best.validation_average_precision > start.validation_average_precision + 0.2);
    let alone = Ensemble::new(&fixture::description(1), &merge_members([&member.weights])).unwrap();
    let validation = table(500, 2);
    let logits = alone.logits(&validation.inputs);
    let found = average_precision(&logits, &validation.labels).unwrap();
    assert_eq!(
        found, best.validation_average_precision,
        "the weights are those of the best pass"
    );
}

#[test]
fn training_stops_when_told_and_when_it_gets_no_better() {
    let mut seen = 0;
    let told = train(3, &settings(), &mut |report| {
        seen += 1;
        if report.epoch == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!((told.epochs.len(), seen, told.interrupted), (3, 3, true));
    let hasty = OptimiserSettings {
        learning_rate: 1e-12,
        patience_epochs: 2,
        max_epochs: 50,
        ..settings()
    };
    let stuck = train(3, &hasty, &mut |_| ControlFlow::Continue(()));
    assert!(stuck.epochs.len() < 50 && !stuck.interrupted);
}

fn one_step(
    description: &NetworkDescription,
    table: &Table,
) -> (Parameters, candle_core::backprop::GradStore) {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let parameters = Parameters::random(description, -1.0, &mut random, &Device::Cpu).unwrap();
    let rows: Vec<usize> = (0..table.inputs.len).collect();
    let batch = Batch::new(table, &rows, 3.0, &Device::Cpu).unwrap();
    let logits = Mlp {
        parameters: &parameters,
        description,
    }
    .forward(&batch, |hidden| Ok(hidden.clone()))
    .unwrap();
    let loss = loss::binary_cross_entropy(&logits, &batch.labels, &batch.weights).unwrap();
    let gradients = loss.backward().unwrap();
    (parameters, gradients)
}

#[test]
fn every_parameter_receives_a_gradient() {
    let description = fixture::description(1);
    let (parameters, gradients) = one_step(&description, &table(200, 5));
    for (name, var) in parameters.iter() {
        let gradient = gradients
            .get(var.as_tensor())
            .unwrap_or_else(|| panic!("{name} has none"));
        assert_eq!(gradient.dims(), var.dims(), "{name}");
        let values: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert!(
            values.iter().all(|x| x.is_finite()) && values.iter().any(|&x| x != 0.0),
            "{name}"
        );
    }
}

/// The gradient of every kind of parameter against the change of the loss when it is nudged.
#[test]
fn gradients_are_those_of_the_loss() {
    let description = fixture::description(1);
    let data = table(64, 5);
    let (parameters, gradients) = one_step(&description, &data);
    let loss_at = |tensors: &BTreeMap<String, Tensor>| {
        let logits = Ensemble::new(&description, &merge_members([tensors]))
            .unwrap()
            .logits(&data.inputs);
        let each = logits
            .iter()
            .zip(&data.labels)
            .map(|(&x, &y)| cross_entropy(x, f64::from(y)) * if y > 0.5 { 3.0 } else { 1.0 });
        each.sum::<f64>() / 64.0
    };
    for (name, var) in parameters.iter() {
        let gradient: Vec<f32> = gradients
            .get(var.as_tensor())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let steepest = (0..gradient.len())
            .max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()))
            .unwrap();
        let nudged = |by: f32| {
            let mut tensors = parameters.to_tensors().unwrap();
            tensors.get_mut(name).unwrap().data[steepest] += by;
            loss_at(&tensors)
        };
        let slope = (nudged(2e-3) - nudged(-2e-3)) / 4e-3;
        let found = f64::from(gradient[steepest]);
        assert!(
            (slope - found).abs() < 0.05 * found.abs() + 1e-4,
            "{name}: {slope} {found}"
        );
    }
}

#[test]
fn the_kernel_agrees_with_candle() {
    let description = fixture::description(1);
    let data = table(300, 8);
    let (parameters, _) = one_step(&description, &data);
    let rows: Vec<usize> = (0..300).collect();
    let batch = Batch::new(&data, &rows, 1.0, &Device::Cpu).unwrap();
    let mlp = Mlp {
        parameters: &parameters,
        description: &description,
    };
    let theirs: Vec<f32> = mlp
        .forward(&batch, |hidden| Ok(hidden.clone()))
        .unwrap()
        .to_vec1()
        .unwrap();
    let weights = merge_members([&parameters.to_tensors().unwrap()]);
    let ours = Ensemble::new(&description, &weights)
        .unwrap()
        .logits(&data.inputs);
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert!((f64::from(*theirs) - ours).abs() < 1e-5, "{theirs} {ours}");
    }
}

/// ```python
/// def run(p, decay, rate=.1):
///     m = v = 0
///     for t in (1, 2, 3):
///         g = 3 * p * p; m = .9 * m + .1 * g; v = .999 * v + .001 * g * g
///         p = p * (1 - rate * decay) - rate * (m / (1 - .9**t)) / ((v / (1 - .999**t))**.5 + 1e-8)
///     return p
/// run(1., 0), run(-1.5, .5)
/// ```
#[test]
fn the_optimiser_follows_its_source() {
    let description = NetworkDescription {
        numeric_width: 1,
        embeddings: vec![],
        hidden: vec![],
        activation: crate::inference::Activation::Relu,
        members: 1,
    };
    let start = BTreeMap::from([
        (
            "layer.0.bias".to_owned(),
            Tensor {
                shape: vec![1],
                data: vec![1.0],
            },
        ),
        (
            "layer.0.weight".to_owned(),
            Tensor {
                shape: vec![1, 1],
                data: vec![-1.5],
            },
        ),
    ]);
    let parameters = Parameters::from_tensors(&description, &start, &Device::Cpu).unwrap();
    let settings = OptimiserSettings {
        weight_decay: 0.5,
        gradient_clip: 0.0,
        ..Default::default()
    };
    let mut optimiser = AdamW::new(&parameters, &settings).unwrap();
    for _ in 0..3 {
        let cube = |name: &str| parameters.get(name).powf(3.0).unwrap().sum_all().unwrap();
        let loss = (cube("layer.0.bias") + cube("layer.0.weight")).unwrap();
        optimiser
            .step(&parameters, &loss.backward().unwrap(), 0.1)
            .unwrap();
    }
    let found = parameters.to_tensors().unwrap();
    let (bias, weight) = (found["layer.0.bias"].data[0], found["layer.0.weight"].data[0]);
    assert!(
        (bias - 0.7041538).abs() < 1e-5 && (weight + 1.5715694).abs() < 1e-5,
        "{bias} {weight}"
    );
}

#[test]
fn members_split_as_they_were_merged() {
    let description = fixture::description(11);
    let weights = fixture::weights(&description, 1);
    let split = split_members(weights.clone(), 11);
    assert_eq!(merge_members(&split), weights);
    assert_eq!(split[10].len(), description.member_parameters().len());
}

#[test]
fn a_table_of_numbers_alone_needs_no_embedding() {
    let description = NetworkDescription {
        embeddings: vec![],
        ..fixture::description(1)
    };
    let mut data = table(40, 1);
    data.inputs = Inputs {
        codes: vec![],
        code_width: 0,
        ..data.inputs
    };
    let (parameters, gradients) = one_step(&description, &data);
    assert!(
        parameters
            .iter()
            .all(|(_, var)| gradients.get(var.as_tensor()).is_some())
    );
}
