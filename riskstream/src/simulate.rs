//! `riskstream simulate`: a reproducible stream of card transactions with frauds and their late labels.
//!
//! People live in towns, have means, habits, favourite merchants and a rhythm of the day and the week, and travel
//! now and then ([`customer`], [`purchase`]); merchants have a kind, prices and a place ([`world`], [`category`]).
//! Fraudsters abuse their cards in four ways ([`fraud`]). Every customer's day draws from a stream of chance of
//! its own ([`random`]), so a day is made without those before it, and only one day is held in memory. Receipts and
//! cheques of some purchases come as images ([`documents`]).

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::Args;
use jiff::civil::{Date, Weekday};

use crate::evaluate::ReportFormat;
use crate::tables::{Format, Sink};

mod category;
mod customer;
mod documents;
mod fraud;
mod purchase;
mod random;
mod rows;
mod summary;
mod world;

use customer::Customer;
use documents::{Document, Documents, Events};
use fraud::{Fraudsters, Scene};
use purchase::{Day, Purchase, purchases};
use summary::Summary;
use world::World;

/// Fewest terminals: one of each kind, and some more.
const MIN_TERMINALS: u32 = 20;
/// Most customers and terminals: their numbers must fit a card number.
const MAX_CUSTOMERS: u32 = 100_000_000;
/// Documents a day, if nothing else is said.
pub(crate) const DOCUMENTS_PER_DAY: f64 = 10.0;
/// Most documents a day: a day's are held in memory.
const MAX_DOCUMENTS_PER_DAY: f64 = 10_000.0;

/// Write a reproducible stream of card transactions with frauds and their labels.
///
/// The columns: transaction_id, event_time, customer_id, card_number, terminal_id, merchant_category, amount,
/// currency, channel (chip, contactless, online), country, latitude and longitude of the terminal (none for web
/// shops), device_id (online only), fraud (0 or 1), label_known_at (when the bank learns of a fraud: mostly after
/// 1 to 14 days, for some frauds never), scenario (how a fraud was done: for analysis, no model may see it).
///
/// About one in a hundred transactions is a fraud: an amount far over the customer's habit (over_habit), a
/// terminal manipulated for some weeks (compromised_terminal), card data used elsewhere for days (leaked_card), a
/// card tried with small amounts before a large one (card_testing). A customer who finds out gets a new card.
///
/// With --images, receipts and cheques of these transactions are written besides, as small scans: image_id,
/// event_time (seconds after the transaction, at times before it), customer_id, kind (receipt, cheque),
/// transaction_id (none for some), content (the file, JPEG or PNG), fraud (0 or 1), label_known_at (for frauds and
/// genuine ones alike: mostly after 1 to 7 days, for some never), alteration (what was done: for analysis, no model
/// may see it). About 17 in 100 show an amount altered after the scan, 8 in 100 were shown before by another customer.
/// The transactions are the same with and without images.
///
/// The same settings give the same rows, everywhere. Card numbers are well-formed but lie in a range that no bank
/// issues.
#[derive(Args, Clone, Debug)]
pub(crate) struct SimulateArgs {
    /// How many people hold a card; each makes about two transactions a day
    #[arg(
        long,
        env = "RISKSTREAM_SIMULATE_CUSTOMERS",
        default_value_t = 1_000,
        value_name = "N"
    )]
    customers: u32,
    /// How many terminals and web shops there are (at least 20)
    #[arg(
        long,
        env = "RISKSTREAM_SIMULATE_TERMINALS",
        default_value_t = 500,
        value_name = "N"
    )]
    terminals: u32,
    /// How many days to simulate
    #[arg(
        long,
        env = "RISKSTREAM_SIMULATE_DAYS",
        default_value_t = 60,
        value_name = "N"
    )]
    days: u32,
    /// What the stream grows from: another seed is another world
    #[arg(long, env = "RISKSTREAM_SIMULATE_SEED", default_value_t = 1, value_name = "S")]
    seed: u64,
    /// The first day (UTC)
    #[arg(
        long,
        env = "RISKSTREAM_SIMULATE_START",
        default_value = "2025-01-01",
        value_name = "DATE"
    )]
    start: Date,
    /// Where to write: a name ending in .parquet, .ndjson or .csv; it appears when it is complete
    #[arg(long, short, env = "RISKSTREAM_SIMULATE_OUTPUT", value_name = "FILE")]
    output: PathBuf,
    /// Where to write images of documents besides: a name ending in .parquet
    #[arg(long, env = "RISKSTREAM_SIMULATE_IMAGES", value_name = "FILE")]
    images: Option<PathBuf>,
    /// How many documents come a day on average
    #[arg(
        long,
        env = "RISKSTREAM_SIMULATE_DOCUMENTS_PER_DAY",
        default_value_t = DOCUMENTS_PER_DAY,
        requires = "images",
        value_name = "N"
    )]
    documents_per_day: f64,
    /// How to report what was written
    #[arg(long, env = "RISKSTREAM_SIMULATE_FORMAT", value_enum, default_value_t)]
    format: ReportFormat,
}

/// What a simulation grows from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Number of people who hold a card.
    pub(crate) customers: u32,
    /// Number of terminals and web shops.
    pub(crate) terminals: u32,
    /// Number of days.
    pub(crate) days: u32,
    /// What chance grows from.
    pub(crate) seed: u64,
    /// The first day, UTC.
    pub(crate) start: Date,
    /// Images of documents besides the transactions, if there are to be some.
    pub(crate) images: Option<Images>,
}

/// Images of documents: how many, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// The Parquet file.
    pub(crate) output: PathBuf,
    /// Documents a day, on average.
    pub(crate) documents_per_day: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            customers: 1_000,
            terminals: 500,
            days: 60,
            seed: 1,
            start: Date::constant(2025, 1, 1),
            images: None,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        ensure!(
            (1..=MAX_CUSTOMERS).contains(&self.customers),
            "customers must be from 1 to {MAX_CUSTOMERS}"
        );
        ensure!(
            (MIN_TERMINALS..=MAX_CUSTOMERS).contains(&self.terminals),
            "terminals must be from {MIN_TERMINALS} to {MAX_CUSTOMERS}"
        );
        ensure!((1..=36_500).contains(&self.days), "days must be from 1 to 36500");
        self.images.as_ref().map_or(Ok(()), Images::check)
    }

    fn day(&self, number: u32) -> Option<Day> {
        let date = self
            .start
            .checked_add(jiff::Span::new().days(i64::from(number)))
            .ok()?;
        let start_ms = date.duration_since(Date::constant(1970, 1, 1)).as_hours() * 3_600_000;
        Some(Day {
            number,
            start_ms,
            weekend: matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
        })
    }
}

impl Images {
    fn check(&self) -> Result<()> {
        ensure!(
            self.documents_per_day > 0.0 && self.documents_per_day <= MAX_DOCUMENTS_PER_DAY,
            "documents per day must be above 0 and at most {MAX_DOCUMENTS_PER_DAY}"
        );
        ensure!(
            Format::of(&self.output).is_ok_and(|format| format == Format::Parquet),
            "{}: images go to a file whose name ends in .parquet",
            self.output.display()
        );
        Ok(())
    }
}

/// A simulation under way.
pub(crate) struct Simulation {
    settings: Settings,
    world: World,
    customers: Vec<Customer>,
    fraudsters: Fraudsters,
    documents: Option<Documents>,
    next_day: u32,
    next_id: i64,
}

impl Simulation {
    /// Makes the world and its people; nothing has happened yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let world = World::new(settings.seed, settings.terminals);
        let customers = (0..settings.customers)
            .map(|id| Customer::new(settings.seed, id, &world))
            .collect();
        let fraudsters = Fraudsters::new(settings.seed);
        let documents = settings
            .images
            .as_ref()
            .map(|images| Documents::new(settings.seed, images.documents_per_day));
        Self {
            settings: settings.clone(),
            world,
            customers,
            fraudsters,
            documents,
            next_day: 0,
            next_id: 1,
        }
    }

    /// The columns of its rows.
    pub(crate) fn schema() -> SchemaRef {
        rows::schema()
    }

    /// Everything that happens on the next day, by time; nothing once the last day is over.
    fn next_day(&mut self) -> Option<Vec<Purchase>> {
        let (seed, number) = (self.settings.seed, self.next_day);
        let day = (number < self.settings.days)
            .then(|| self.settings.day(number))
            .flatten()?;
        let mut happening = Vec::new();
        for (id, customer) in (0..).zip(&self.customers) {
            purchases(seed, id, customer, day, &self.world, &mut happening);
        }
        let scene = Scene {
            day,
            purchases: &happening,
            world: &self.world,
        };
        let frauds = self.fraudsters.day(&scene, &mut self.customers);
        self.with_todays_cards(&mut happening);
        happening.extend(frauds);
        happening.sort_by_key(|p| (p.at_ms, p.customer));
        self.next_day += 1;
        Some(happening)
    }

    /// The next day, and its rows.
    ///
    /// # Errors
    /// None that a simulation causes: the columns are made alike.
    fn next_rows(&mut self) -> Option<Result<Happened>> {
        let day = self.settings.day(self.next_day)?;
        let purchases = self.next_day()?;
        let first_id = self.next_id;
        self.next_id += i64::try_from(purchases.len()).unwrap_or(0);
        let events = Events {
            day,
            first_id,
            purchases: &purchases,
            world: &self.world,
        };
        let documents = self
            .documents
            .as_mut()
            .map_or_else(Vec::new, |documents| documents.day(&events));
        let rows = rows::batch(self.settings.seed, first_id, &purchases, &self.world);
        Some(
            rows.context("cannot build the rows of a day")
                .map(|rows| Happened {
                    purchases,
                    rows,
                    documents,
                }),
        )
    }

    /// A card may have been replaced since the purchases were made up: by what was found out on this very day.
    fn with_todays_cards(&self, purchases: &mut [Purchase]) {
        for purchase in purchases {
            purchase.cards_before = self.customers[purchase.customer as usize].cards_before(purchase.at_ms);
        }
    }
}

/// What happened on a day.
struct Happened {
    purchases: Vec<Purchase>,
    /// The purchases as rows.
    rows: RecordBatch,
    /// The documents that came; none without images.
    documents: Vec<Document>,
}

/// Simulates into a file; images of documents into another one, if there are to be some.
///
/// # Errors
/// If a setting is out of range, or the file cannot be written.
pub(crate) fn simulate(settings: &Settings, output: &Path) -> Result<Summary> {
    settings.check()?;
    ensure!(
        settings
            .images
            .as_ref()
            .is_none_or(|images| images.output != output),
        "{}: transactions and images need a file each",
        output.display()
    );
    let mut simulation = Simulation::new(settings);
    let mut sink = Sink::create(output, Simulation::schema())?;
    let images = settings.images.as_ref();
    let mut images = images
        .map(|images| Sink::create(&images.output, documents::rows::schema()))
        .transpose()?;
    let mut summary = Summary::new(settings, output);
    while let Some(day) = simulation.next_rows() {
        let day = day?;
        summary.count(&day.purchases, &day.documents);
        sink.write(&day.rows)?;
        if let Some(images) = &mut images {
            images.write(&documents::rows::batch(&day.documents)?)?;
        }
    }
    sink.finish()?;
    images.map(Sink::finish).transpose()?;
    Ok(summary)
}

/// Runs the command.
///
/// # Errors
/// If a setting is out of range, or something cannot be written.
pub(crate) fn run(args: &SimulateArgs, out: &mut impl Write) -> Result<()> {
    let settings = Settings {
        customers: args.customers,
        terminals: args.terminals,
        days: args.days,
        seed: args.seed,
        start: args.start,
        images: args.images.clone().map(|output| Images {
            output,
            documents_per_day: args.documents_per_day,
        }),
    };
    let summary = simulate(&settings, &args.output)?;
    match args.format {
        ReportFormat::Text => summary.write(out)?,
        ReportFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::compute::concat_batches;

    fn rows(seed: u64, days: u32) -> RecordBatch {
        let settings = Settings {
            customers: 200,
            terminals: 60,
            days,
            seed,
            ..Settings::default()
        };
        let mut simulation = Simulation::new(&settings);
        let batches: Vec<_> = std::iter::from_fn(|| simulation.next_rows())
            .map(|day| day.expect("columns are alike").rows)
            .collect();
        concat_batches(&Simulation::schema(), &batches).expect("one schema")
    }

    #[test]
    fn the_same_settings_give_the_same_rows_and_another_seed_others() {
        assert_eq!(rows(4, 20), rows(4, 20));
        assert_ne!(rows(4, 20), rows(5, 20));
    }

    #[test]
    fn a_longer_simulation_begins_like_a_shorter_one() {
        let (short, long) = (rows(4, 10), rows(4, 20));
        assert_eq!(short, long.slice(0, short.num_rows()));
    }

    #[test]
    fn rows_come_in_time_order_with_rising_identifiers() {
        let rows = rows(9, 20);
        let times = rows["event_time"].to_data();
        let times: &[i64] = &times.buffer(0)[..rows.num_rows()];
        assert!(times.is_sorted());
        assert_eq!(times[0] / 86_400_000, 20_089, "2025-01-01");
    }

    #[test]
    fn the_file_is_the_same_twice() {
        let folder = std::env::temp_dir().join(format!("riskstream-simulate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let settings = Settings {
            customers: 50,
            terminals: 30,
            days: 5,
            ..Settings::default()
        };
        for ending in ["parquet", "ndjson", "csv"] {
            let [one, two] = ["one", "two"].map(|name| folder.join(format!("{name}.{ending}")));
            let summary = simulate(&settings, &one).expect("simulates");
            simulate(&settings, &two).expect("simulates");
            assert_eq!(
                std::fs::read(one).expect("there"),
                std::fs::read(two).expect("there"),
                "{ending}"
            );
            assert!(summary.transactions > 100);
        }
        std::fs::remove_dir_all(folder).expect("removes");
    }

    #[test]
    fn the_file_of_images_is_the_same_twice() {
        let folder = std::env::temp_dir().join(format!("riskstream-simulate-images-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let [one, two] = ["one", "two"].map(|name| {
            let output = folder.join(format!("{name}.parquet"));
            let settings = Settings {
                customers: 50,
                terminals: 30,
                days: 3,
                images: Some(Images {
                    output: output.clone(),
                    documents_per_day: 3.0,
                }),
                ..Settings::default()
            };
            let summary = simulate(&settings, &folder.join(format!("{name}.csv"))).expect("simulates");
            assert!(summary.images.is_some_and(|images| images.documents > 2));
            std::fs::read(output).expect("there")
        });
        assert!(one == two, "the bytes differ");
        std::fs::remove_dir_all(folder).expect("removes");
    }

    #[test]
    fn images_that_cannot_be_are_refused() {
        for (output, documents_per_day, problem) in [
            ("images.csv", 1.0, ".parquet"),
            ("images.parquet", 0.0, "above 0"),
            ("images.parquet", f64::NAN, "above 0"),
            ("images.parquet", 1e9, "at most 10000"),
        ] {
            let images = Images {
                output: output.into(),
                documents_per_day,
            };
            let error = images.check().expect_err("refused").to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (customers, terminals, days) in [(0, 100, 1), (10, 19, 1), (10, 100, 0)] {
            let settings = Settings {
                customers,
                terminals,
                days,
                ..Settings::default()
            };
            assert!(settings.check().is_err());
        }
    }
}
