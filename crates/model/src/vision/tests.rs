#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::description::UnitShape;
use super::fixture::{maps, numbers, slope, uniform};
use super::layer::{Layer, WantsInput};
use super::network::Network;
use super::*;

const SHAPE: ImageShape = ImageShape {
    height: 10,
    width: 14,
    channels: 1,
};

const GREY: Treatment = Treatment::Scale {
    mean: 128.0,
    scale: 64.0,
};

fn small() -> ImageNetwork {
    let block = |outputs, stride| ConvBlock { outputs, stride };
    let blocks = vec![block(8, 1), block(12, 2)];
    ImageNetwork::small(SHAPE, GREY, SmallCnn { blocks })
}

/// A short pretrained-like chain: the first units of the large network.
fn residual_units() -> Vec<UnitShape> {
    ImageNetwork::efficientnet_lite0(16, 16, 1)
        .units()
        .into_iter()
        .take(4)
        .collect()
}

/// Noise, in which half of the images hold a bright square.
fn squares(count: usize, seed: u64) -> (Images, Vec<f32>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for at in 0..count {
        let mut image: Vec<u8> = (0..SHAPE.len()).map(|_| random.random_range(60..200)).collect();
        if at % 2 == 1 {
            let (top, left) = (random.random_range(0..7), random.random_range(0..11));
            for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
                image[(top + row) * SHAPE.width + left + column] = 220;
            }
        }
        pixels.extend(image);
        labels.push(if at % 2 == 1 { 1.0 } else { 0.0 });
    }
    (Images::new(SHAPE, pixels).unwrap(), labels)
}

fn settings(max_epochs: usize) -> ImageTrainingSettings {
    ImageTrainingSettings {
        stages: vec![Stage {
            unfrozen: Unfrozen::All,
            max_epochs,
            learning_rate: 1e-2,
            rate_decay: 1.0,
        }],
        batch_images: 32,
        ..Default::default()
    }
}

fn train(seed: u64, start: ImageStart<'_>, settings: &ImageTrainingSettings) -> TrainedImages {
    let (images, labels) = squares(300, 5);
    let all: Vec<usize> = (0..300).collect();
    let request = ImageTrainingRequest {
        network: &small(),
        start,
        images: &images,
        labels: &labels,
        train: &all[..200],
        validation: &all[200..],
        settings,
        seed,
    };
    train_images(&request, &mut |_, _, image| image.to_vec(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

#[test]
fn the_networks_have_their_published_size() {
    let lite = ImageNetwork::efficientnet_lite0(224, 224, 1_000);
    let mut network = Network::random(&lite, 0.0, uniform(1));
    let count = |network: &mut Network| -> usize {
        network
            .parameters_mut()
            .iter()
            .map(|(_, parameter, _)| parameter.value.len())
            .sum()
    };
    assert_eq!(count(&mut network), 4_652_008);
    let strip = ImageShape {
        height: 48,
        width: 320,
        channels: 1,
    };
    let mut small = Network::random(
        &ImageNetwork::small(strip, GREY, SmallCnn::default()),
        0.0,
        uniform(1),
    );
    assert!(
        (80_000..140_000).contains(&count(&mut small)),
        "{}",
        count(&mut small)
    );
}

#[test]
fn gradients_of_a_layer_are_slopes() {
    for shape in residual_units().into_iter().flat_map(|unit| unit.layers) {
        let mut layer = Layer::random(shape, uniform(1));
        let outputs = layer.shape.outputs;
        // Between the bends of the rectifier, where a slope is one number.
        layer.scale.value = numbers(outputs, 4).iter().map(|x| 0.6 + 0.2 * x).collect();
        layer.shift.value = numbers(outputs, 5).iter().map(|x| 3.0 + 0.1 * x).collect();
        let input = maps(3, 6, 6, layer.shape.inputs, 2);
        let trace = layer.clone().forward(&input, 0.1);
        let gradient = maps(3, trace.output.height, trace.output.width, outputs, 3);
        let mut learned = layer.clone();
        let of_input = learned
            .backward(&input, &trace, gradient.clone(), WantsInput::Yes)
            .unwrap();
        slope(
            &of_input.data,
            &input.data,
            |data| layer.clone().forward(&input.with(data), 0.1).output.data.clone(),
            &gradient.data,
        );
        for part in 0..3 {
            let value = |layer: &mut Layer| layer.parameters_mut()[part].0.value.clone();
            let found = learned.parameters_mut()[part].0.gradient.clone();
            slope(
                &found,
                &value(&mut layer.clone()),
                |values| {
                    let mut moved = layer.clone();
                    moved.parameters_mut()[part].0.value = values.to_vec();
                    moved.forward(&input, 0.1).output.data.clone()
                },
                &gradient.data,
            );
        }
    }
}

#[test]
fn nothing_is_learned_where_the_rectifier_is_flat() {
    let shape = residual_units()[1].layers[0].clone();
    let mut layer = Layer::random(shape, uniform(1));
    layer.scale.value.fill(0.1);
    layer.shift.value.fill(-1.0);
    layer.shift.value[0] = 7.0;
    layer.shift.value[1] = 3.0;
    let input = maps(3, 6, 6, layer.shape.inputs, 2);
    let trace = layer.forward(&input, 0.1);
    let gradient = maps(3, 6, 6, layer.shape.outputs, 3);
    layer.backward(&input, &trace, gradient, WantsInput::No);
    let moved = layer.shift.gradient.iter().map(|&x| x != 0.0);
    assert!(moved.enumerate().all(|(at, moved)| moved == (at == 1)));
}

#[test]
fn training_normalises_by_the_batch_and_scoring_by_what_was_seen() {
    let shape = residual_units()[1].layers[1].clone();
    let mut layer = Layer::random(shape, uniform(1));
    let input = maps(2, 8, 8, layer.shape.inputs, 2);
    let trace = layer.forward(&input, 0.25);
    let outputs = layer.shape.outputs;
    let channel = |at: usize| {
        trace
            .output
            .data
            .iter()
            .skip(at)
            .step_by(outputs)
            .map(|&x| f64::from(x))
    };
    for at in 0..outputs {
        assert!(
            channel(at).sum::<f64>().abs() / 128.0 < 1e-5,
            "the batch's mean is taken away"
        );
    }
    let (mean, variance) = (layer.running_mean.clone(), layer.running_variance.clone());
    assert!(mean.iter().all(|&x| x != 0.0) && variance.iter().all(|&x| x != 1.0));
    for _ in 0..200 {
        layer.forward(&input, 0.25);
    }
    let scored = layer.fold().forward(&input);
    let unbiased = 128.0 / 127.0_f64;
    for (scored, trained) in scored.data.iter().zip(&trace.output.data) {
        let expected = f64::from(*trained) / libm::sqrt(unbiased);
        assert!((f64::from(*scored) - expected).abs() < 0.01, "{scored} {trained}");
    }
    for (first, settled) in mean.iter().zip(&layer.running_mean) {
        assert!(
            (first - 0.25 * settled).abs() < 1e-5,
            "a quarter of the way: {first} {settled}"
        );
    }
}

#[test]
fn frozen_units_and_scoring_keep_their_statistics() {
    let mut network = Network::random(&small(), 0.0, uniform(1));
    let before = network.store();
    let input = || maps(4, 10, 14, 1, 3);
    network.forward(input(), 2, 0.5, |_| Vec::new());
    assert_eq!(network.store(), before, "everything is frozen");
    network.forward(input(), 1, 0.5, |_| Vec::new());
    let after = network.store().into_tensors();
    let kept = |name: &str| after[name] == before.clone().into_tensors()[name];
    assert!(kept("blocks.0.norm.running_mean") && !kept("blocks.1.norm.running_mean"));
    let (images, _) = squares(3, 1);
    let folded = network.fold();
    folded.embeddings(&images).unwrap();
    assert_eq!(network.store().into_tensors(), after);
}

#[test]
fn every_parameter_receives_a_gradient() {
    for description in [small(), ImageNetwork::efficientnet_lite0(32, 32, 1)] {
        let mut network = Network::random(&description, 0.0, uniform(1));
        let ImageShape {
            height,
            width,
            channels,
        } = description.input;
        let trace = network.forward(maps(3, height, width, channels, 2), 0, 0.1, |_| Vec::new());
        network.backward(&trace, &[0.3, -0.2, 0.5]);
        for (unit, parameter, _) in network.parameters_mut() {
            assert!(parameter.gradient.iter().all(|x| x.is_finite()));
            assert!(parameter.gradient.iter().any(|&x| x != 0.0), "unit {unit}");
        }
    }
}

#[test]
fn training_learns_and_keeps_its_best_pass() {
    let trained = train(1, ImageStart::Random, &settings(12));
    let best = trained.curve.iter().rfind(|epoch| epoch.best).unwrap();
    assert!(best.validation_auc_roc > 0.9, "{:?}", trained.curve);
    let (images, labels) = squares(300, 5);
    let scored = trained
        .model
        .scorer()
        .unwrap()
        .score(&images.select(&(200..300).collect::<Vec<_>>()))
        .unwrap();
    let logits: Vec<f64> = scored.iter().map(|image| image.logit).collect();
    let found = crate::metrics::auc_roc(&logits, &labels[200..]).unwrap();
    assert_eq!(found, best.validation_auc_roc);
    assert!(
        scored
            .iter()
            .all(|image| image.probability > 0.0 && image.probability < 1.0)
    );
}

#[test]
fn the_same_seed_gives_the_same_weights_bit_for_bit() {
    let bits = |seed| {
        train(seed, ImageStart::Random, &settings(2))
            .model
            .encode_weights()
            .unwrap()
    };
    assert_eq!(bits(1), bits(1));
    assert_ne!(bits(1), bits(2));
}

#[test]
fn frozen_layers_stay_as_they_were_while_the_head_learns() {
    let before = train(1, ImageStart::Random, &settings(2)).model;
    let mut settings = settings(2);
    settings.stages[0].unfrozen = Unfrozen::Last(1);
    settings.stop_by = ImageStopMetric::Loss;
    let after = train(2, ImageStart::Model(&before), &settings).model;
    let [before, after] = [before, after].map(|model| model.weights.into_tensors());
    let changed: Vec<&String> = after
        .keys()
        .filter(|name| before[*name] != after[*name])
        .collect();
    assert!(
        !changed.is_empty() && changed.iter().all(|name| !name.starts_with("blocks.0")),
        "{changed:?}"
    );
}

#[test]
fn a_model_survives_its_file_and_scores_alike_in_every_batch() {
    let model = train(1, ImageStart::Random, &settings(1)).model;
    let json = serde_json::to_string(&model.record).unwrap();
    let bytes = model.encode_weights().unwrap();
    let read = ImageModel::decode(serde_json::from_str(&json).unwrap(), &bytes).unwrap();
    assert_eq!(read, model);
    let (images, _) = squares(9, 8);
    let together = model.scorer().unwrap().score(&images).unwrap();
    let alone = read.scorer().unwrap().score(&images.select(&[4])).unwrap();
    assert_eq!(alone[0], together[4], "INV-5");
}

#[test]
fn a_heat_map_is_the_slope_of_the_logit_and_points_at_what_was_learned() {
    let model = train(1, ImageStart::Random, &settings(12)).model;
    let scorer = model.scorer().unwrap();
    let mut blank = vec![128; SHAPE.len()];
    for (row, column) in (2..5).flat_map(|row| (8..11).map(move |column| (row, column))) {
        blank[row * SHAPE.width + column] = 220;
    }
    let images = Images::new(SHAPE, blank).unwrap();
    let heat = scorer.heat_map(&images, 0).unwrap();
    assert_eq!((heat.height, heat.width, heat.values.len()), (10, 14, 140));
    let inside = |at: usize| (2..5).contains(&(at / 14)) && (8..11).contains(&(at % 14));
    assert!(
        (0..140).all(|at| inside(at) || heat.values[at] == 0.0),
        "what is even says nothing"
    );
    assert!(
        (0..140)
            .filter(|&at| inside(at))
            .map(|at| heat.values[at])
            .sum::<f32>()
            > 0.0
    );
    assert!(scorer.heat_map(&images, 1).is_err());
}

#[test]
fn slopes_of_the_scoring_network_are_slopes() {
    for description in [small(), ImageNetwork::efficientnet_lite0(32, 32, 1)] {
        let folded = Network::random(&description, 0.0, uniform(1)).fold();
        let ImageShape {
            height,
            width,
            channels,
        } = description.input;
        let image = maps(1, height, width, channels, 2);
        let slopes = folded.slopes(image.clone());
        let logit = |data: &[f32]| folded.outputs(&folded.embedding(image.with(data)));
        // Along the slope, where the bends of many rectifiers even out.
        let step = 1e-3;
        let along = |sign: f32| {
            let moved = image
                .data
                .iter()
                .zip(&slopes.data)
                .map(|(x, slope)| x + sign * step * slope);
            f64::from(logit(&moved.collect::<Vec<_>>())[0])
        };
        let square: f64 = slopes.data.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let found = (along(1.0) - along(-1.0)) / (2.0 * f64::from(step));
        assert!((found / square - 1.0).abs() < 0.05, "{found} {square}");
    }
}

/// Prints how many images a second pass forward and backward on one thread.
#[test]
#[ignore = "prints times"]
#[allow(clippy::print_stderr)]
fn speed() {
    for (name, description, batch) in [
        (
            "small",
            ImageNetwork::small(
                ImageShape {
                    height: 48,
                    width: 320,
                    channels: 1,
                },
                GREY,
                SmallCnn::default(),
            ),
            32,
        ),
        ("lite0", ImageNetwork::efficientnet_lite0(224, 224, 1), 16),
    ] {
        let mut network = Network::random(&description, 0.0, uniform(1));
        let ImageShape {
            height,
            width,
            channels,
        } = description.input;
        let input = maps(batch, height, width, channels, 2);
        for _ in 0..4 {
            let began = std::time::Instant::now();
            let trace = network.forward(input.clone(), 0, 0.1, |_| Vec::new());
            let forward = began.elapsed();
            network.backward(&trace, &vec![0.1; batch]);
            let all = began.elapsed();
            eprintln!(
                "{name} forward {forward:?} all {all:?} images/s {:.1}",
                batch as f64 / all.as_secs_f64()
            );
        }
    }
}
