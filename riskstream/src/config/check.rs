//! What has the right shape and still makes no sense.

use features::{Place, Plan};
use imaging::{DocumentKind, Frame};
use model::vision::{ImageNetwork, ImageTrainingSettings};
use runtime::config::{Check, Problems};
use schema::layout::AttributeKind;
use schema::mapping::TextSource;
use schema::tokens::MIN_KEY_BYTES;

use super::Config;

/// Sides of prepared images: what a network reduces by sixteen has to have something left, and a row with its pixels has
/// to fit into a record.
const MIN_FRAME_SIDE: u32 = 16;
const MAX_FRAME_SIDE: u32 = 1024;

impl Check for Config {
    const SECRETS: &'static [&'static str] = &[
        "secrets.token_key",
        "kafka.properties.\"*password*\"",
        "kafka.properties.\"*secret*\"",
    ];

    fn check(&self, problems: &mut Problems) {
        self.check_topics(problems);
        self.check_stages(problems);
        self.check_ingest(problems);
        self.check_features(problems);
        self.check_frame(problems);
        self.check_trainer(problems);
        for (name, mapping) in &self.mappings {
            for (place, message) in mapping.problems() {
                problems.add(format!("mappings.{name}.{place}"), message);
            }
        }
        self.check_image_mappings(problems);
    }
}

impl Config {
    fn check_topics(&self, problems: &mut Problems) {
        if !self.topics.events.contains("{entity}") {
            problems.add_with_remedy(
                "topics.events",
                "has no {entity}",
                "each stage reads a topic of its own",
            );
        }
        if !(1..=1000).contains(&self.topics.partitions) {
            problems.add("topics.partitions", "is not between 1 and 1000");
        }
        if self.topics.replication_factor < 1 {
            problems.add("topics.replication_factor", "is below 1");
        }
    }

    fn check_stages(&self, problems: &mut Problems) {
        if self.preprocess.stages.is_empty() {
            problems.add(
                "preprocess.stages",
                "is empty: at least the account's stage is needed",
            );
        }
        for (nth, stage) in self.preprocess.stages.iter().enumerate() {
            if !self.schema.entities.contains(stage) {
                problems.add_with_remedy(
                    format!("preprocess.stages[{nth}]"),
                    format!("{stage:?} is no entity"),
                    "name it in schema.entities",
                );
            }
        }
        let mut names: Vec<&String> = self.schema.entities.iter().collect();
        names.sort();
        names.dedup();
        if names.len() != self.schema.entities.len() {
            problems.add("schema.entities", "names an entity twice");
        }
    }

    fn check_ingest(&self, problems: &mut Problems) {
        let mapping = &self.ingest.mapping;
        if !mapping.is_empty() && !self.mappings.contains_key(mapping) {
            problems.add("ingest.mapping", format!("there is no mapping named {mapping:?}"));
        }
        if schema::time::parse(&self.ingest.limits.min_event_time).is_none() {
            problems.add("ingest.limits.min_event_time", "is not an RFC 3339 time");
        }
        let most = eventlog::MAX_PAYLOAD_BYTES;
        if !(1..=most).contains(&self.ingest.limits.max_record_bytes) {
            problems.add_with_remedy(
                "ingest.limits.max_record_bytes",
                format!("is not between 1 and {most}"),
                "a row of the log holds a record whole, and has to fit into one itself",
            );
        }
        if self.ingest.images.threads == 0 {
            problems.add("ingest.images.threads", "is 0: nobody would look at images");
        }
        let limit = self.ingest.images.limits.max_bytes;
        if !(1..=most).contains(&limit) {
            problems.add(
                "ingest.images.limits.max_bytes",
                format!("is not between 1 and {most}"),
            );
        }
        for (nth, entity) in self.ingest.tokenise.iter().enumerate() {
            if !self.schema.entities.contains(entity) {
                problems.add(
                    format!("ingest.tokenise[{nth}]"),
                    format!("{entity:?} is no entity"),
                );
            }
        }
    }

    fn check_frame(&self, problems: &mut Problems) {
        let Frame { height, width } = self.preprocess.images.frame;
        let (least, most) = (MIN_FRAME_SIDE, MAX_FRAME_SIDE);
        if ![height, width].iter().all(|side| (least..=most).contains(side)) {
            problems.add_with_remedy(
                "preprocess.images.frame",
                format!("a side is not between {least} and {most}"),
                "networks were trained on sides of 224; more costs time in its square",
            );
        }
    }

    fn check_image_mappings(&self, problems: &mut Problems) {
        for (name, mapping) in &self.image_mappings {
            for (place, message) in mapping.problems() {
                problems.add(format!("image_mappings.{name}.{place}"), message);
            }
            let kinds = DocumentKind::ALL.map(DocumentKind::name);
            if let TextSource::Constant(kind) = &mapping.kind
                && !kinds.contains(&kind.as_str())
            {
                problems.add(
                    format!("image_mappings.{name}.kind"),
                    format!("{kind:?} is none of {}", kinds.join(", ")),
                );
            }
        }
    }

    fn check_features(&self, problems: &mut Problems) {
        let plans = Plan::compile_stages(
            &self.features,
            self.sequence.as_ref(),
            &self.preprocess.stages,
            &self.fields(),
        );
        for problem in plans.err().into_iter().flatten() {
            let place = match problem.place {
                Place::Feature(nth) => format!("features[{nth}]"),
                Place::Sequence => "sequence".to_owned(),
            };
            problems.add(place, problem.message);
        }
    }

    fn check_trainer(&self, problems: &mut Problems) {
        let share = |key: &str, value: f64, problems: &mut Problems| {
            if !(value > 0.0 && value < 1.0) {
                problems.add(format!("trainer.{key}"), "is not between 0 and 1");
            }
        };
        share("validation_share", self.trainer.validation_share, problems);
        if let Err(error) = self.trainer.network.validate() {
            problems.add("trainer.network", error.to_string());
        }
        let images = &self.trainer.images;
        share("images.validation_share", images.validation_share, problems);
        if let Err(error) = images.thresholds.validate() {
            problems.add("trainer.images.thresholds", error.to_string());
        }
        if let Some(Err(error)) = images.training.as_ref().map(ImageTrainingSettings::validate) {
            problems.add("trainer.images.training", error.to_string());
        }
        let most = ImageNetwork::MOST_ENLARGED;
        if !(1..=most).contains(&images.enlargement) {
            problems.add(
                "trainer.images.enlargement",
                format!("is not between 1 and {most}"),
            );
        }
        if let Err(error) = self.trainer.fusion.network.validate() {
            problems.add("trainer.fusion.network", error.to_string());
        }
        if !(0.0..=1.0).contains(&images.augmentation.probability) {
            problems.add(
                "trainer.images.augmentation.probability",
                "is not between 0 and 1",
            );
        }
    }

    /// Numeric fields that features can be made of.
    pub(super) fn fields(&self) -> Vec<String> {
        let numeric = self
            .schema
            .attributes
            .iter()
            .filter(|a| a.kind == AttributeKind::Numeric);
        numeric.map(|a| a.name.clone()).collect()
    }

    /// Why the key of the tokens cannot be used, if it cannot: asked by what needs one.
    pub(crate) fn token_key_problem(&self) -> Option<String> {
        let have = self.secrets.token_key.expose().len();
        (have < MIN_KEY_BYTES).then(|| {
            format!(
                "secrets.token_key has {have} bytes, at least {MIN_KEY_BYTES} are needed \
                 (put 32 random bytes, as text, into a file and name it in RISKSTREAM__SECRETS__TOKEN_KEY_FILE)"
            )
        })
    }
}
