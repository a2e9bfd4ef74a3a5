//! `riskstream simulate`: a reproducible stream of card transactions with frauds and their late labels.
//!
//! People live in towns, have means, habits, favourite merchants and a rhythm of the day and the week, and travel
//! now and then ([`customer`], [`purchase`]); merchants have a kind, prices and a place ([`world`], [`category`]).
//! Fraudsters abuse their cards in four ways ([`fraud`]). Every customer's day draws from a stream of chance of
//! its own ([`random`]), so a day is made without those before it, and only one day is held in memory.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::Args;
use jiff::civil::{Date, Weekday};

use crate::evaluate::ReportFormat;
use crate::tables::Sink;

mod category;
mod customer;
mod fraud;
mod purchase;
mod random;
mod rows;
mod summary;
mod world;

use customer::Customer;
use fraud::{Fraudsters, Scene};
use purchase::{Day, Purchase, purchases};
use summary::Summary;
use world::World;

/// Fewest terminals: one of each kind, and some more.
const MIN_TERMINALS: u32 = 20;
/// Most customers and terminals: their numbers must fit a card number.
const MAX_CUSTOMERS: u32 = 100_000_000;

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            customers: 1_000,
            terminals: 500,
            days: 60,
            seed: 1,
            start: Date::constant(2025, 1, 1),
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
        Ok(())
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

/// A simulation under way.
pub(crate) struct Simulation {
    settings: Settings,
    world: World,
    customers: Vec<Customer>,
    fraudsters: Fraudsters,
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
        Self {
            settings: settings.clone(),
            world,
            customers,
            fraudsters,
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
    fn next_rows(&mut self) -> Option<(Vec<Purchase>, Result<RecordBatch>)> {
        let day = self.next_day()?;
        let first = self.next_id;
        self.next_id += i64::try_from(day.len()).unwrap_or(0);
        let batch = rows::batch(self.settings.seed, first, &day, &self.world);
        Some((day, batch.context("cannot build the rows of a day")))
    }

    /// A card may have been replaced since the purchases were made up: by what was found out on this very day.
    fn with_todays_cards(&self, purchases: &mut [Purchase]) {
        for purchase in purchases {
            purchase.cards_before = self.customers[purchase.customer as usize].cards_before(purchase.at_ms);
        }
    }
}

/// Simulates into a file.
///
/// # Errors
/// If a setting is out of range, or the file cannot be written.
pub(crate) fn simulate(settings: &Settings, output: &Path) -> Result<Summary> {
    settings.check()?;
    let mut simulation = Simulation::new(settings);
    let mut sink = Sink::create(output, Simulation::schema())?;
    let mut summary = Summary {
        output: output.to_owned(),
        ..Summary::default()
    };
    while let Some((day, batch)) = simulation.next_rows() {
        summary.count(&day);
        sink.write(&batch?)?;
    }
    sink.finish()?;
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
            .map(|(_, batch)| batch.expect("columns are alike"))
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
