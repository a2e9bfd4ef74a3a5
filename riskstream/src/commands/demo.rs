//! The whole loop on simulated data, on a real broker: produce, score, train while streaming, evaluate.

mod broker;
mod collect;
mod report;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use imaging::Frame;
use model::vision::{ConvBlock, ImageTrainingSettings};
use registry::{IMAGE_CHAMPION, Registry};
use runtime::Shutdown;
use runtime::telemetry::init_logs;
use schema::time::DAY_US;

use crate::commands::produce::{ProduceArgs, Sent, produce};
use crate::commands::{Format, topics, up};
use crate::config::{Config, Resolved};
use crate::simulate;
use broker::Broker;
use collect::{Collected, Collector};
use report::{Report, Tables};

/// How long the last scores may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Images of documents a day.
const DOCUMENTS_PER_DAY: f64 = 12.0;

/// Shows the whole loop on simulated data.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Folder for everything the demo makes; emptied first.
    #[arg(
        long,
        env = "RISKSTREAM_DEMO_FOLDER",
        default_value = "target/demo",
        value_name = "FOLDER"
    )]
    folder: PathBuf,
    /// Customers to simulate.
    #[arg(long, env = "RISKSTREAM_DEMO_CUSTOMERS", default_value_t = 1500)]
    customers: u32,
    /// Days to simulate.
    #[arg(long, env = "RISKSTREAM_DEMO_DAYS", default_value_t = 90)]
    days: u32,
    /// Records a second while models are trained.
    #[arg(long, env = "RISKSTREAM_DEMO_RATE", default_value_t = 2000.0)]
    rate: f64,
    /// Records a second while latency is measured.
    #[arg(long, env = "RISKSTREAM_DEMO_LIVE_RATE", default_value_t = 1000.0)]
    live_rate: f64,
    /// Script that starts a broker where none is named.
    #[arg(
        long,
        env = "RISKSTREAM_DEMO_KAFKA",
        default_value = "deploy/kafka/kafka",
        value_name = "FILE"
    )]
    kafka: PathBuf,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t, env = "RISKSTREAM_FORMAT")]
    format: Format,
}

/// Runs the demo; its summary is left in `summary.json` of its folder.
pub(crate) fn run(args: &DemoArgs, resolved: Resolved, out: &mut impl Write) -> anyhow::Result<()> {
    if args.folder.exists() {
        Broker::stop_left_over(&args.kafka, &args.folder);
        std::fs::remove_dir_all(&args.folder).with_context(|| args.folder.display().to_string())?;
    }
    std::fs::create_dir_all(&args.folder)?;
    let broker = Broker::start(&args.kafka, &args.folder)?;
    let resolved = configure(args, resolved, broker.servers())?;
    init_logs(&resolved.config.log)?;
    topics::create(&resolved)?;
    let report = stream(args, &resolved)?;
    std::fs::write(
        args.folder.join("summary.json"),
        serde_json::to_vec_pretty(&report)?,
    )?;
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        Format::Text => write!(out, "{}", report.text(&args.folder))?,
    }
    ensure!(
        report.is_complete(),
        "not every transaction was scored exactly once; see {}",
        args.folder.display()
    );
    Ok(())
}

/// The demo's own settings over the configuration: its folder, its broker, a fresh key, quick trainings.
fn configure(args: &DemoArgs, resolved: Resolved, servers: Option<&str>) -> anyhow::Result<Resolved> {
    let mut config = resolved.config;
    if let Some(servers) = servers {
        servers.clone_into(&mut config.kafka.bootstrap_servers);
    }
    config.lake.location = args.folder.join("lake").display().to_string();
    config.server.listen.set_port(0);
    // A broker that has just started says that it is not ready yet; the client asks again.
    config.log.filter = "warn,librdkafka=error,deltalake_core::kernel::transaction=off".into();
    config.trainer.window = Duration::from_secs(14 * 86_400);
    config.trainer.network.network.members = 1;
    quick_images(&mut config);
    config.secrets.token_key = runtime::config::Secret::new(format!(
        "{:032x}{:032x}",
        rand::random::<u128>(),
        rand::random::<u128>()
    ));
    Resolved::new(config)
}

/// The demo's documents are small, and its network of images learns in half a minute what it would learn better in ten.
fn quick_images(config: &mut Config) {
    config.preprocess.images.frame = Frame {
        height: 192,
        width: 192,
    };
    let images = &mut config.trainer.images;
    images.every = Duration::from_secs(14 * 86_400);
    images.network = trainer::ImageNetworkKind::Small;
    images.variants = 1;
    let blocks = [(16, 2), (24, 2), (32, 1), (48, 2), (64, 1)];
    images.small.blocks = blocks
        .map(|(outputs, stride)| ConvBlock { outputs, stride })
        .to_vec();
    let mut training = ImageTrainingSettings::default();
    training.stages[0].max_epochs = 12;
    images.training = Some(training);
}

/// Three acts: history at a steady rate while models are trained; full speed; live traffic.
fn stream(args: &DemoArgs, resolved: &Resolved) -> anyhow::Result<Report> {
    let tables = Tables {
        transactions: args.folder.join("transactions.parquet"),
        images: args.folder.join("images.parquet"),
    };
    let settings = simulate::Settings {
        customers: args.customers,
        days: args.days,
        images: Some(simulate::Images {
            output: tables.images.clone(),
            documents_per_day: DOCUMENTS_PER_DAY,
        }),
        ..simulate::Settings::default()
    };
    let simulated = simulate::simulate(&settings, &tables.transactions)?;
    say(&format!(
        "{} transactions simulated, {} of them frauds, and images of documents",
        simulated.transactions, simulated.frauds
    ));

    let start_us = settings
        .start
        .to_zoned(jiff::tz::TimeZone::UTC)?
        .timestamp()
        .as_microsecond();
    let shutdown = Shutdown::new(Duration::from_secs(30));
    shutdown.listen_to_signals()?;
    let stack = up::Stack::start(resolved, up::Workers::ALL, &shutdown)?;
    let collector = Collector::start(resolved)?;
    let mut acts = Acts {
        tables: &tables,
        resolved,
        start_us,
        days: i64::from(args.days),
        collector: &collector,
        shutdown: &shutdown,
        sent: Sent::default(),
    };

    say(&format!(
        "streaming history at {} a second, training on the way",
        args.rate
    ));
    let trained = acts.play(0, acts.days * 2 / 3, Some(args.rate), true)?;
    acts.wait_for_image_model()?;
    say("full speed");
    let fast = acts.play(acts.days * 2 / 3, acts.days - 5, None, true)?;
    say(&format!("live traffic, {} a second", args.live_rate));
    collector.measure_latency(true);
    acts.play(acts.days - 5, acts.days + 1, Some(args.live_rate), false)?;
    let Sent {
        transactions, images, ..
    } = acts.sent;

    shutdown.request("the demo is over");
    let collected: Collected = collector.finish()?;
    stack.join(&shutdown)?;
    let produced = report::Produced {
        transactions,
        images,
        throughput: collected.throughput(trained, fast),
    };
    report::make(resolved, &tables, &collected, produced)
}

/// The parts of the simulated stream.
struct Acts<'a> {
    tables: &'a Tables,
    resolved: &'a Resolved,
    start_us: i64,
    days: i64,
    collector: &'a Collector,
    shutdown: &'a Shutdown,
    /// All that has been sent so far.
    sent: Sent,
}

impl Acts<'_> {
    /// Sends a part and waits until all of it is scored; how many transactions it had. Labels and images belong to history.
    fn play(&mut self, from_day: i64, to_day: i64, rate: Option<f64>, history: bool) -> anyhow::Result<u64> {
        let last = to_day > self.days;
        let args = ProduceArgs {
            input: Some(self.tables.transactions.clone()),
            // A day of the simulation goes by in seconds. What comes rarely then holds back what comes often, as it would not
            // if times were those of now: where latency is measured, it is that of transactions among themselves.
            images: history.then(|| self.tables.images.clone()),
            mapping: None,
            image_mapping: None,
            from: Some(self.start_us + from_day * DAY_US),
            to: (!last).then_some(self.start_us + to_day * DAY_US),
            rate,
            speedup: None,
            no_labels: !history,
            format: Format::Text,
        };
        let sent = produce(&args, self.resolved)?;
        self.sent.transactions += sent.transactions;
        self.sent.images += sent.images;
        let Sent {
            transactions, images, ..
        } = self.sent;
        self.wait(
            &format!("all of {transactions} transactions and {images} images"),
            || Ok(self.collector.scored() >= transactions && self.collector.images() >= images),
        )?;
        Ok(sent.transactions)
    }

    /// Waits for the first model of images, which is in training by now.
    fn wait_for_image_model(&self) -> anyhow::Result<()> {
        let registry = Registry::open(self.resolved.store()?);
        let there = || Ok(registry.current(IMAGE_CHAMPION)?.is_some());
        if !there()? {
            say("waiting for the first model of images");
        }
        self.wait("a model of images", there)
    }

    fn wait(&self, what: &str, done: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done()? {
            ensure!(
                !self.shutdown.is_requested(),
                "stopped: {}",
                self.shutdown.reason().unwrap_or_default()
            );
            ensure!(
                Instant::now() < deadline,
                "{what} not there after {PATIENCE:?}: {} transactions and {} images are scored",
                self.collector.scored(),
                self.collector.images()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "demo: {text}");
}
