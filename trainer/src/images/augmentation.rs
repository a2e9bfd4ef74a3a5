//! Versions of images to learn from: drawn from seeds, and written to the lake with their recipes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use imaging::{Image, Recipe, centre};
use lake::{Table, TimeRange};
use schema::hashing::identity_of;
use schema::layout::{column, instant};

use super::config::ImagesSection;
use super::dataset::Dataset;
use crate::config::Settings;
use crate::error::TrainerError;

/// Rows of the table that are written at once: each holds pixels.
const ROWS_A_COMMIT: usize = 512;
/// The time of training.
const AS_OF: &str = "as_of";
/// Which version of its image a row is.
const VERSION: &str = "version";

/// The versions that a training learns from.
pub(crate) struct Versions<'a> {
    data: &'a Dataset,
    section: &'a ImagesSection,
    frame: imaging::Frame,
    /// What the seeds of all of them begin with.
    seed: u64,
    /// How often an image is learned from in a pass, for genuine ones and frauds.
    repeats: [u32; 2],
}

impl<'a> Versions<'a> {
    /// The versions of a set's images; those of the rarer class, among the images to learn from, are learned from more
    /// often.
    pub(crate) fn new(settings: &'a Settings, data: &'a Dataset, train: &[usize], seed: u64) -> Self {
        let section = &settings.section.images;
        let frauds = train.iter().filter(|&&at| data.frauds[at]).count();
        let more = |many: usize, few: usize| {
            let times = u32::try_from((many + few / 2) / few.max(1)).unwrap_or(u32::MAX);
            times.clamp(1, section.max_repeats.max(1))
        };
        let genuine = train.len() - frauds;
        Self {
            repeats: [more(frauds, genuine), more(genuine, frauds)],
            frame: settings.frame,
            section,
            data,
            seed,
        }
    }

    fn repeats(&self, at: usize) -> u32 {
        self.repeats[usize::from(self.data.frauds[at])]
    }

    /// How many versions of an image there are; 0 is the image as it was prepared.
    pub(crate) fn count(&self, at: usize) -> u32 {
        1 + self.section.variants * self.repeats(at)
    }

    /// The images of a pass, each as often as it is learned from.
    pub(crate) fn pass(&self, train: &[usize]) -> Vec<usize> {
        let often = |&at: &usize| std::iter::repeat_n(at, self.repeats(at) as usize);
        train.iter().flat_map(often).collect()
    }

    /// Which version of an image is learned from the n-th time in a pass: all come up by turns.
    pub(crate) fn nth(&self, at: usize, pass: usize, nth: u32) -> u32 {
        let turn = (pass as u64).wrapping_mul(u64::from(self.repeats(at))) + u64::from(nth);
        u32::try_from(turn % u64::from(self.count(at))).expect("below a u32")
    }

    /// What is done to an image for a version of it.
    pub(crate) fn recipe(&self, at: usize, version: u32) -> Recipe {
        if version == 0 {
            return Recipe::default();
        }
        let (kind, settings) = (self.data.kinds[at], &self.section.augmentation);
        Recipe::draw(
            self.frame.width,
            self.frame.height,
            kind,
            settings,
            self.seed_of(at, version),
        )
    }

    fn seed_of(&self, at: usize, version: u32) -> u64 {
        let parts = [
            &self.seed.to_le_bytes()[..],
            self.data.ids[at].as_bytes(),
            &version.to_le_bytes(),
        ];
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one, too")]
        let seed = identity_of(&parts) as u64;
        seed
    }

    /// The pixels of a version.
    pub(crate) fn pixels(&self, at: usize, version: u32) -> Vec<u8> {
        let prepared = self.data.pixels.image(at).to_vec();
        if version == 0 {
            return prepared;
        }
        let image = Image::new(self.frame.width, self.frame.height, prepared);
        centre(&self.recipe(at, version).apply(&image), self.frame).into_pixels()
    }

    /// Writes all versions of the images to learn from to the table `training_images`, once for each time of training:
    /// what an earlier training of that time has written, or one that was cut short, is not written again.
    pub(crate) fn write(
        &self,
        settings: &Settings,
        as_of_us: i64,
        train: &[usize],
    ) -> Result<(), TrainerError> {
        let mut table = Table::open_or_create(&settings.store, "tables/training_images", training_schema())?;
        let there = written(&table, as_of_us)?;
        let missing: Vec<(usize, u32)> = train
            .iter()
            .flat_map(|&at| (0..self.count(at)).map(move |version| (at, version)))
            .filter(|&(at, version)| !there.contains(&(self.data.ids[at].clone(), number(version))))
            .collect();
        // Of two trainers that write versions of the same time, one notices.
        let id = format!("riskstream/training_images/{as_of_us}");
        let mut end = i64::try_from(there.len()).unwrap_or(i64::MAX);
        for rows in missing.chunks(ROWS_A_COMMIT) {
            end += i64::try_from(rows.len()).unwrap_or(i64::MAX);
            let rows = self.batch(as_of_us, rows)?;
            table.append(&[rows], &BTreeMap::from([(id.clone(), end)]))?;
        }
        Ok(())
    }

    fn batch(&self, as_of_us: i64, rows: &[(usize, u32)]) -> Result<RecordBatch, TrainerError> {
        let recipe = |&(at, version): &(usize, u32)| {
            serde_json::to_string(&self.recipe(at, version)).expect("a recipe is plain numbers")
        };
        let seed =
            |&(at, version): &(usize, u32)| (version > 0).then(|| self.seed_of(at, version).cast_signed());
        let side = |side: u32| vec![i32::try_from(side).unwrap_or(i32::MAX); rows.len()];
        let pixels: Vec<Vec<u8>> = rows
            .iter()
            .map(|&(at, version)| self.pixels(at, version))
            .collect();
        let version = |&(_, version): &(usize, u32)| number(version);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from(vec![as_of_us; rows.len()]).with_timezone("UTC")),
            Arc::new(
                rows.iter()
                    .map(|&(at, _)| Some(&self.data.ids[at]))
                    .collect::<StringArray>(),
            ),
            Arc::new(rows.iter().map(version).collect::<Int32Array>()),
            Arc::new(
                rows.iter()
                    .map(|&(at, _)| Some(self.data.frauds[at]))
                    .collect::<BooleanArray>(),
            ),
            Arc::new(rows.iter().map(seed).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| Some(recipe(row))).collect::<StringArray>()),
            Arc::new(Int32Array::from(side(self.frame.height))),
            Arc::new(Int32Array::from(side(self.frame.width))),
            Arc::new(BinaryArray::from_iter_values(&pixels)),
        ];
        Ok(RecordBatch::try_new(training_schema(), columns)?)
    }
}

/// The versions that the table has of a time of training, by image and number.
fn written(table: &Table, as_of_us: i64) -> Result<BTreeSet<(String, i32)>, TrainerError> {
    let of_time = TimeRange {
        column: AS_OF,
        from_us: as_of_us,
        to_us: as_of_us + 1,
    };
    let mut written = BTreeSet::new();
    for batch in table.scan(Some(&[column::IMAGE_ID, VERSION]), Some(of_time))? {
        let batch = batch?;
        let ids = batch.column(0).as_string::<i32>();
        let versions = batch.column(1).as_primitive::<Int32Type>().values();
        written.extend(
            ids.iter()
                .flatten()
                .map(str::to_owned)
                .zip(versions.iter().copied()),
        );
    }
    Ok(written)
}

/// A version as its column has it.
fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

/// The columns of `training_images`: one row a version of an image, its pixels of `height × width × 3`.
fn training_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(AS_OF, instant(), false),
        Field::new(column::IMAGE_ID, DataType::Utf8, false),
        Field::new(VERSION, DataType::Int32, false),
        Field::new(column::FRAUD, DataType::Boolean, false),
        Field::new("seed", DataType::Int64, true),
        Field::new("recipe", DataType::Utf8, false),
        Field::new("height", DataType::Int32, false),
        Field::new("width", DataType::Int32, false),
        Field::new(column::IMAGE_PIXELS, DataType::Binary, false),
    ]))
}
