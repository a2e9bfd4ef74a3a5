use std::collections::BTreeMap;

use arrow::array::AsArray;
use imaging::{Limits, PerceptualHash, admit};

use super::super::{Images, Settings, Simulation};
use super::*;

const SETTINGS: Settings = Settings {
    customers: 120,
    terminals: 60,
    days: 12,
    seed: 4,
    start: jiff::civil::Date::constant(2025, 1, 1),
    images: None,
};

struct Stream {
    days: Vec<(i64, Vec<Purchase>)>,
    documents: Vec<Document>,
}

fn simulate(days: u32, documents_per_day: f64) -> Stream {
    let settings = Settings {
        days,
        images: Some(Images {
            output: "images.parquet".into(),
            documents_per_day,
        }),
        ..SETTINGS
    };
    let mut simulation = Simulation::new(&settings);
    let mut stream = Stream {
        days: Vec::new(),
        documents: Vec::new(),
    };
    let mut first_id = 1;
    while let Some(day) = simulation.next_rows() {
        let day = day.expect("columns are alike");
        let made = i64::try_from(day.purchases.len()).expect("few");
        stream.days.push((first_id, day.purchases));
        stream.documents.extend(day.documents);
        first_id += made;
    }
    stream
}

impl Stream {
    fn purchase(&self, id: i64) -> &Purchase {
        let (first, day) = self
            .days
            .iter()
            .rfind(|(first, _)| *first <= id)
            .expect("a day has it");
        &day[usize::try_from(id - first).expect("not before its day")]
    }
}

fn hash(file: &[u8]) -> PerceptualHash {
    admit(file, &Limits::default()).expect("an image").phash
}

/// Plans alone, of many days, with an amount a purchase.
fn plans(days: u32) -> Vec<Plan> {
    let world = World::new(1, 60);
    let purchases: Vec<Purchase> = simulate(1, 1.0).days.remove(0).1;
    let documents = Documents::new(9, 20.0);
    let of_day = |number| {
        documents.plan(&Events {
            day: Day {
                number,
                start_ms: purchases[0].at_ms / DAY_MS * DAY_MS,
                weekend: false,
            },
            first_id: 1,
            purchases: &purchases,
            world: &world,
        })
    };
    (0..days).flat_map(of_day).collect()
}

#[test]
fn the_same_settings_give_the_same_documents_and_a_longer_simulation_begins_like_a_shorter_one() {
    let (short, long) = (simulate(6, 4.0), simulate(12, 4.0));
    assert_eq!(long.documents, simulate(12, 4.0).documents);
    assert!(short.documents.len() > 10);
    assert_eq!(short.documents[..], long.documents[..short.documents.len()]);
}

#[test]
fn files_are_the_same_on_every_machine() {
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in simulate(4, 4.0).documents.iter().flat_map(|d| &d.content) {
        digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // FNV-1a of all files: another value means that documents of the same settings are others than they were.
    assert_eq!(format!("{digest:016x}"), "3b4cdb0df2dd51e1");
}

#[test]
fn transactions_are_the_same_without_images() {
    let mut without = Simulation::new(&SETTINGS);
    let mut with = Simulation::new(&Settings {
        images: Some(Images {
            output: "images.parquet".into(),
            documents_per_day: 1.0,
        }),
        ..SETTINGS
    });
    for _ in 0..SETTINGS.days {
        let [one, two] = [&mut without, &mut with].map(|s| s.next_rows().expect("a day").expect("rows"));
        assert_eq!(one.rows, two.rows);
        assert!(one.documents.is_empty());
    }
}

#[test]
fn documents_come_in_time_order_shortly_after_or_before_their_transactions() {
    let stream = simulate(12, 6.0);
    assert!(stream.documents.is_sorted_by_key(|d| (d.at_ms, d.number)));
    let mut early = 0;
    for document in &stream.documents {
        let Some(id) = document.transaction else { continue };
        let purchase = stream.purchase(id);
        assert_eq!(document.customer, purchase.customer);
        assert!(
            (document.at_ms - purchase.at_ms).abs() <= 45_000,
            "{}",
            document.number
        );
        early += usize::from(document.at_ms < purchase.at_ms);
        let delay = document.known_at_ms.map_or(DAY_MS, |at| at - document.at_ms);
        assert!(delay > HOUR_MS);
    }
    assert!(early > 3, "{early} come early");
    assert!(stream.documents.iter().any(|d| d.transaction.is_none()));
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn frauds_have_their_shares_and_labels_come_mostly_within_a_week() {
    let plans = plans(400);
    let share =
        |of: &dyn Fn(&Plan) -> bool| plans.iter().filter(|p| of(p)).count() as f64 / plans.len() as f64;
    let altered = share(&|p| matches!(p.deed, Deed::Altered(_)));
    let copied = share(&|p| p.deed == Deed::Altered(Means::Copied));
    let reused = share(&|p| matches!(p.deed, Deed::Reused(_)));
    let resaved = share(&|p| p.deed == Deed::Reused(Way::Resaved));
    assert!((altered - ALTERED).abs() < 0.015, "{altered}");
    assert!((copied - 0.15 * ALTERED).abs() < 0.008, "{copied}");
    assert!((reused - REUSED).abs() < 0.01, "{reused}");
    assert!((resaved - REUSED / 4.0).abs() < 0.006, "{resaved}");
    for fraud in [true, false] {
        let of_class = |p: &Plan| (p.deed != Deed::Genuine) == fraud;
        let unjudged = share(&|p| of_class(p) && p.known_at_ms.is_none()) / share(&of_class);
        assert!((unjudged - UNJUDGED).abs() < 0.02, "{unjudged}");
        let week = DAY_MS..=7 * DAY_MS;
        let usual = |p: &Plan| of_class(p) && p.known_at_ms.is_some_and(|at| week.contains(&(at - p.at_ms)));
        assert!(share(&usual) / share(&of_class) > 0.85);
    }
}

#[test]
fn what_a_document_shows_is_its_transaction() {
    let stream = simulate(6, 1.0);
    let world = World::new(SETTINGS.seed, SETTINGS.terminals);
    for purchase in stream.days.iter().flat_map(|(_, day)| day).take(400) {
        let subject = Subject {
            purchase,
            category: world.terminal(purchase.terminal).category.name,
        };
        let mut dice = Dice::new(1, Use::Document, 1, 0);
        let (date, _) = civil(purchase.at_ms);
        let amount = wording::figures(purchase.amount_minor);
        for paper in [
            receipt::print(SETTINGS.seed, &mut dice, &subject),
            cheque::write(SETTINGS.seed, &mut dice, &subject),
        ] {
            assert_eq!(paper.amount.text, amount);
            let texts: Vec<&str> = paper.page.runs().iter().map(|run| run.text.as_str()).collect();
            assert!(texts.iter().any(|text| text.contains(&date)), "{texts:?}");
            assert!(texts.contains(&amount.as_str()), "{texts:?}");
            assert!(paper.page.width() <= MAX_SIDE && paper.page.height() <= MAX_SIDE);
            for run in paper.page.runs() {
                let right = run.left + page::width(run.font, &run.text);
                let bottom = run.top + page::height(run.font);
                assert!(run.left >= 0 && run.top >= 0, "{run:?}");
                assert!(
                    right <= paper.page.width() && bottom <= paper.page.height(),
                    "{run:?}"
                );
            }
        }
    }
}

#[test]
fn prices_of_a_receipt_add_up() {
    let stream = simulate(2, 1.0);
    let world = World::new(SETTINGS.seed, SETTINGS.terminals);
    for purchase in stream.days.iter().flat_map(|(_, day)| day) {
        let category = world.terminal(purchase.terminal).category.name;
        let paper = receipt::print(
            1,
            &mut Dice::new(1, Use::Document, 2, 0),
            &Subject { purchase, category },
        );
        let runs = paper.page.runs().iter().map(|run| run.text.replace('.', ""));
        let figures = paper.page.runs().iter().zip(runs).filter(|(run, _)| {
            let places = run.text.split_once('.');
            places.is_some_and(|(_, cents)| cents.len() == 2 && cents.bytes().all(|b| b.is_ascii_digit()))
        });
        let sum: i64 = figures
            .map(|(_, cents)| cents.parse::<i64>().expect("an amount"))
            .sum();
        assert_eq!(sum, 2 * purchase.amount_minor, "goods and their total");
    }
}

#[test]
fn every_file_is_admitted_and_small() {
    for document in simulate(12, 6.0).documents {
        let admitted = admit(&document.content, &Limits::default()).expect("an image");
        assert!(admitted.width <= 192 && admitted.height <= 192);
        assert!(admitted.width >= 100 && admitted.height >= 70);
    }
}

#[test]
fn what_is_shown_again_is_nearly_what_was_shown_and_everything_else_is_not() {
    let documents = simulate(40, 8.0).documents;
    let is_reused = |d: &&Document| matches!(d.alteration, Some(Alteration::Reused(_)));
    let hashes: BTreeMap<u64, PerceptualHash> =
        documents.iter().map(|d| (d.number, hash(&d.content))).collect();
    let (reused, first): (Vec<&Document>, Vec<&Document>) = documents.iter().partition(is_reused);
    assert!(reused.len() > 10);
    for again in reused {
        let source = first.iter().find(|d| {
            d.number < again.number
                && d.customer != again.customer
                && d.alteration.is_none()
                && hashes[&d.number].distance(hashes[&again.number]) <= reuse::NEAR_BITS
        });
        assert!(source.is_some_and(|d| d.kind == again.kind), "{}", again.number);
        let same_file = again.alteration == Some(Alteration::Reused(Way::SameFile));
        let file = first.iter().any(|d| d.content == again.content);
        assert_eq!(file, same_file, "{}", again.number);
    }
    let pairs = first
        .iter()
        .flat_map(|a| first.iter().map(move |b| (a.number, b.number)));
    let near = pairs
        .filter(|(a, b)| a < b && hashes[a].distance(hashes[b]) <= reuse::NEAR_BITS)
        .count();
    let all = first.len() * (first.len() - 1) / 2;
    assert!(near * 10_000 < all, "{near} of {all} pairs look alike");
}

#[test]
fn rows_are_what_documents_are() {
    let documents = simulate(12, 4.0).documents;
    let rows = rows::batch(&documents).expect("columns are alike");
    let fraud = rows["fraud"].as_primitive::<arrow::datatypes::Int64Type>();
    let alteration = rows["alteration"].as_string::<i32>();
    let content = rows["content"].as_binary::<i32>();
    for (row, document) in documents.iter().enumerate() {
        assert_eq!(fraud.value(row), i64::from(document.alteration.is_some()));
        let name = alteration.iter().nth(row).flatten();
        assert_eq!(name, document.alteration.map(Alteration::name));
        assert_eq!(content.value(row), document.content);
    }
}
