//! What the windows must give, by looking at every event for every row.

use crate::fixed;
use crate::spec::{AMOUNT, Aggregate, FeatureSpec, SECONDS_SINCE_PREVIOUS, SequenceSpec};

#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) id: u128,
    pub(super) entity: usize,
    pub(super) time_us: i64,
    pub(super) values: [i64; 2],
    pub(super) earlier: f64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: u128,
    entity: usize,
    known_at_us: i64,
    fraud: bool,
}

/// All events so far, as they came.
#[derive(Default)]
pub(super) struct Oracle {
    taken: Vec<Taken>,
    items: Vec<Vec<f32>>,
    known: Vec<Known>,
}

impl Oracle {
    pub(super) fn label(&mut self, entity: usize, id: u128, known_at_us: i64, fraud: bool) {
        self.known.push(Known {
            id,
            entity,
            known_at_us,
            fraud,
        });
    }

    /// Takes a row; gives its features.
    pub(super) fn take(&mut self, row: Taken, specs: &[FeatureSpec]) -> Vec<f64> {
        self.taken.push(row);
        specs.iter().map(|spec| self.feature(&row, spec)).collect()
    }

    /// Whether a transaction is known as a fraud at an instant: by the label known last, of those the one
    /// come last.
    fn is_fraud(&self, transaction: &Taken, at_us: i64) -> bool {
        let labels = self.known.iter().enumerate();
        let labels =
            labels.filter(|(_, label)| (label.id, label.entity) == (transaction.id, transaction.entity));
        let known = labels.filter(|(_, label)| label.known_at_us <= at_us);
        known
            .max_by_key(|(arrival, label)| (label.known_at_us, *arrival))
            .is_some_and(|(_, label)| label.fraud)
    }

    fn feature(&self, row: &Taken, spec: &FeatureSpec) -> f64 {
        let micros = |span: Option<std::time::Duration>| span.unwrap_or_default().as_micros() as i64;
        let until = row.time_us - micros(spec.delay);
        let after = until - micros(spec.window);
        let inside =
            |other: &&Taken| other.entity == row.entity && other.time_us > after && other.time_us <= until;
        let window: Vec<&Taken> = self.taken.iter().filter(inside).collect();
        let field = usize::from(spec.field.as_deref() == Some("age"));
        let values: Vec<i64> = window
            .iter()
            .map(|t| t.values[field])
            .filter(|v| *v != fixed::MISSING)
            .collect();
        let sum = values.iter().sum::<i64>() as f64 / 1e6;
        let frauds = window.iter().filter(|t| self.is_fraud(t, row.time_us)).count() as f64;
        match spec.aggregate {
            Aggregate::Count => window.len() as f64,
            Aggregate::Sum => sum,
            Aggregate::Mean => sum / values.len() as f64,
            Aggregate::FraudCount => frauds,
            Aggregate::FraudRate if window.is_empty() => 0.0,
            Aggregate::FraudRate => frauds / window.len() as f64,
            Aggregate::SecondsSinceLast => {
                let others = window.iter().filter(|other| other.id != row.id);
                others
                    .map(|other| row.time_us - other.time_us)
                    .min()
                    .map_or(f64::NAN, |gap| gap as f64 / 1e6)
            }
            Aggregate::Amount => fixed::to_f64(row.values[field]),
            other => panic!("{other} has an oracle of its own"),
        }
    }

    /// The sequence of the row taken last, whose features are given.
    pub(super) fn sequence(
        &mut self,
        spec: &SequenceSpec,
        specs: &[FeatureSpec],
        features: &[f64],
    ) -> Vec<f32> {
        let row = *self.taken.last().unwrap();
        let after = row.time_us - spec.window.unwrap().as_micros() as i64;
        let earlier = self.taken[..self.taken.len() - 1].iter().enumerate();
        let inside = |(_, other): &(usize, &Taken)| {
            other.entity == row.entity && other.time_us > after && other.time_us <= row.time_us
        };
        let mut items: Vec<(usize, &Taken)> = earlier.filter(inside).collect();
        items.sort_by_key(|(arrival, other)| (other.time_us, *arrival));
        let gap = items
            .last()
            .map_or(f64::NAN, |(_, other)| (row.time_us - other.time_us) as f64 / 1e6);
        let value = |field: &String| match field.as_str() {
            AMOUNT => fixed::to_f64(row.values[0]),
            SECONDS_SINCE_PREVIOUS => gap,
            "earlier" => row.earlier,
            name => features[specs.iter().position(|spec| spec.name == name).unwrap()],
        };
        self.items
            .push(spec.fields.iter().map(|field| value(field) as f32).collect());
        let arrivals: Vec<usize> = items
            .iter()
            .map(|(arrival, _)| *arrival)
            .chain([self.items.len() - 1])
            .collect();
        let kept = &arrivals[arrivals.len().saturating_sub(spec.length)..];
        let mut out = vec![f32::NAN; (spec.length - kept.len()) * spec.fields.len()];
        out.extend(kept.iter().flat_map(|arrival| &self.items[*arrival]));
        out
    }
}
