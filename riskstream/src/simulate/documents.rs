//! Document images: receipts and cheques of the stream's own transactions, some of them forged.
//!
//! A document is printed ([`receipt`], [`cheque`]) on a page ([`page`]), scanned ([`scan`]) and saved again by whoever
//! sends it in. In between, some amounts are altered ([`forgery`]); others send in what a customer showed before
//! ([`reuse`]). Genuine or not, every document was a JPEG once and passes the same last compression, so compression
//! alone tells nothing.
//!
//! What a day's documents are is planned first, then each is made from a stream of chance of its own.
//!
//! A small image network learns from 450 of them to tell later altered ones from genuine ones with an AUC of .81 to
//! .92 (two worlds): it finds most amounts that were typed again, and few whose digits were copied.

use std::collections::{BTreeSet, VecDeque};

use imaging::DocumentKind;
use jiff::tz::TimeZone;

use super::purchase::{DAY_MS, Day, HOUR_MS, Purchase, days_ms};
use super::random::{Dice, Use, whole};
use super::world::World;

mod cheque;
mod forgery;
mod page;
mod receipt;
mod reuse;
pub(super) mod rows;
mod scan;
mod wording;

use forgery::{Change, Means, forge};
use page::{Page, Run};

/// Share of the documents whose amount was altered after the scan.
const ALTERED: f64 = 0.17;
/// Share of the documents that were shown before, by another customer.
const REUSED: f64 = 0.08;
/// Share of the documents that name no transaction.
const UNNAMED: f64 = 0.08;
/// Share of the documents that come before their transaction.
const EARLY: f64 = 0.2;
/// Least amount that a cheque is written for, in cents, and the share of such purchases that a cheque is shown for.
const CHEQUE: (i64, f64) = (1_500, 0.6);
/// Share of the documents that are sent as PNG.
const PNG: f64 = 0.15;
/// Quality of the JPEG that the others are sent as: from, to.
const QUALITY: (usize, usize) = (72, 94);
/// Median of the days until a document's label is known, and the deviation of their logarithm.
const KNOWN_DAYS: (f64, f64) = (2.6, 0.5);
/// Share of the documents that nobody ever judges.
const UNJUDGED: f64 = 0.04;
/// Longest side of a document in pixels.
const MAX_SIDE: i32 = 192;
/// Genuine documents that forgers may have got hold of: the latest so many.
const ARCHIVE: usize = 400;

/// A document as it was sent in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Its number, from 1, by time.
    pub(super) number: u64,
    /// When it came, in milliseconds since the Unix epoch.
    pub(super) at_ms: i64,
    /// Who sent it.
    pub(super) customer: u32,
    /// What it is.
    pub(super) kind: DocumentKind,
    /// The transaction it is said to belong to.
    pub(super) transaction: Option<i64>,
    /// The file.
    pub(super) content: Vec<u8>,
    /// When it is known whether it is genuine; some are never looked at.
    pub(super) known_at_ms: Option<i64>,
    /// What was done to it, if something was.
    pub(super) alteration: Option<Alteration>,
}

/// What makes a document a fraud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alteration {
    /// The amount was altered after the scan.
    Amount(Change, Means),
    /// It is another customer's, shown before.
    Reused(Way),
}

/// How a document is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// The very same file.
    SameFile,
    /// Saved again.
    Resaved,
    /// Without some pixels at the edges, and saved again.
    Cropped,
    /// Brighter or darker, and saved again.
    Brightened,
}

impl Alteration {
    /// Its name in the output.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Amount(Change::Replaced, Means::Copied) => "replaced_copied",
            Self::Amount(Change::Replaced, Means::SameFont) => "replaced_same_font",
            Self::Amount(Change::Replaced, Means::OtherFont) => "replaced_other_font",
            Self::Amount(Change::Inserted, Means::Copied) => "inserted_copied",
            Self::Amount(Change::Inserted, Means::SameFont) => "inserted_same_font",
            Self::Amount(Change::Inserted, Means::OtherFont) => "inserted_other_font",
            Self::Reused(Way::SameFile) => "reused_same_file",
            Self::Reused(Way::Resaved) => "reused_resaved",
            Self::Reused(Way::Cropped) => "reused_cropped",
            Self::Reused(Way::Brightened) => "reused_brightened",
        }
    }
}

/// What a document is printed for.
struct Subject<'a> {
    purchase: &'a Purchase,
    /// The kind of its merchant.
    category: &'static str,
}

/// A printed document.
struct Paper {
    page: Page,
    /// The amount in figures, where it stands on the page.
    amount: Run,
}

/// A day that has been simulated.
pub(super) struct Events<'a> {
    /// The day.
    pub(super) day: Day,
    /// Number of its first transaction.
    pub(super) first_id: i64,
    /// Its transactions, numbered as they come.
    pub(super) purchases: &'a [Purchase],
    /// Towns and terminals.
    pub(super) world: &'a World,
}

/// What a document is to become.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    /// Place of its purchase among those of the day.
    purchase: usize,
    at_ms: i64,
    known_at_ms: Option<i64>,
    named: bool,
    deed: Deed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Genuine,
    Altered(Means),
    Reused(Way),
}

/// A genuine document that may be shown again.
struct Kept {
    customer: u32,
    kind: DocumentKind,
    content: Vec<u8>,
}

/// The documents of a simulation.
pub(super) struct Documents {
    seed: u64,
    per_day: f64,
    made: u64,
    archive: VecDeque<Kept>,
}

impl Documents {
    /// So many documents a day on average; none has come yet.
    pub(super) fn new(seed: u64, per_day: f64) -> Self {
        Self {
            seed,
            per_day,
            made: 0,
            archive: VecDeque::new(),
        }
    }

    /// The documents of the next day, by time.
    pub(super) fn day(&mut self, events: &Events<'_>) -> Vec<Document> {
        let plans = self.plan(events);
        let documents: Vec<Document> = (1..)
            .zip(&plans)
            .map(|(who, plan)| self.make(who, plan, events))
            .collect();
        for document in documents.iter().filter(|d| d.alteration.is_none()) {
            self.archive.push_back(Kept {
                customer: document.customer,
                kind: document.kind,
                content: document.content.clone(),
            });
        }
        let old = self.archive.len().saturating_sub(ARCHIVE);
        self.archive.drain(..old);
        documents
    }

    fn plan(&self, events: &Events<'_>) -> Vec<Plan> {
        let mut dice = Dice::new(self.seed, Use::Document, 0, u64::from(events.day.number));
        let mut chosen = BTreeSet::new();
        let number = number(&mut dice, self.per_day).min(events.purchases.len());
        while chosen.len() < number {
            chosen.insert(dice.below(events.purchases.len()));
        }
        let mut plans: Vec<Plan> = chosen
            .into_iter()
            .map(|purchase| plan(&mut dice, events, purchase))
            .collect();
        plans.sort_by_key(|plan| plan.at_ms);
        plans
    }

    fn make(&mut self, who: u64, plan: &Plan, events: &Events<'_>) -> Document {
        let mut dice = Dice::new(self.seed, Use::Document, who, u64::from(events.day.number));
        let purchase = &events.purchases[plan.purchase];
        let shown_before = match plan.deed {
            Deed::Reused(way) => self.reused(&mut dice, purchase.customer, way),
            Deed::Genuine | Deed::Altered(_) => None,
        };
        let (kind, content, alteration) = shown_before.unwrap_or_else(|| {
            let category = events.world.terminal(purchase.terminal).category.name;
            self.new_document(&mut dice, &Subject { purchase, category }, plan.deed)
        });
        self.made += 1;
        let transaction = events.first_id + i64::try_from(plan.purchase).unwrap_or(0);
        Document {
            number: self.made,
            at_ms: plan.at_ms,
            customer: purchase.customer,
            kind,
            transaction: plan.named.then_some(transaction),
            content,
            known_at_ms: plan.known_at_ms,
            alteration,
        }
    }

    /// What another customer showed on an earlier day; nothing if there is none.
    fn reused(&self, dice: &mut Dice, customer: u32, way: Way) -> Option<Made> {
        let others: Vec<&Kept> = self
            .archive
            .iter()
            .filter(|kept| kept.customer != customer)
            .collect();
        if others.is_empty() {
            return None;
        }
        let kept = dice.pick(&others);
        let (content, way) = reuse::reuse(dice, &kept.content, way);
        Some((kept.kind, content, Some(Alteration::Reused(way))))
    }

    fn new_document(&self, dice: &mut Dice, subject: &Subject<'_>, deed: Deed) -> Made {
        let (least, share) = CHEQUE;
        let cheque = dice.chance(share) && subject.purchase.amount_minor >= least;
        let (kind, paper) = if cheque {
            (DocumentKind::Cheque, cheque::write(self.seed, dice, subject))
        } else {
            (DocumentKind::Receipt, receipt::print(self.seed, dice, subject))
        };
        let scan = scan::scan(dice, &paper.page);
        let (image, alteration) = match deed {
            Deed::Altered(means) => {
                let forged = forge(dice, &scan, &paper, means);
                (
                    forged.image,
                    Some(Alteration::Amount(forged.change, forged.means)),
                )
            }
            Deed::Genuine | Deed::Reused(_) => (scan.image, None),
        };
        let content = if dice.chance(PNG) {
            image.to_png()
        } else {
            image.to_jpeg(scan::quality(dice, QUALITY))
        };
        (kind, content, alteration)
    }
}

/// A kind, a file, and what was done to it.
type Made = (DocumentKind, Vec<u8>, Option<Alteration>);

/// How many documents come on a day.
fn number(dice: &mut Dice, per_day: f64) -> usize {
    // In pieces, because a Poisson number is drawn by products that must not become too small.
    const PIECE: f64 = 64.0;
    let mut left = per_day;
    let mut number = 0;
    while left > 0.0 {
        number += dice.poisson(left.min(PIECE));
        left -= PIECE;
    }
    number
}

fn plan(dice: &mut Dice, events: &Events<'_>, purchase: usize) -> Plan {
    let seconds = if dice.chance(EARLY) {
        -dice.between(1.0, 20.0)
    } else {
        dice.between(2.0, 45.0)
    };
    let at_ms = events.purchases[purchase].at_ms + whole(seconds * 1_000.0);
    let deed = match dice.unit() {
        x if x < ALTERED => Deed::Altered(Means::draw(dice)),
        x if x < ALTERED + REUSED => {
            Deed::Reused(dice.pick(&[Way::SameFile, Way::Resaved, Way::Cropped, Way::Brightened]))
        }
        _ => Deed::Genuine,
    };
    // Documents stay within their day, so that days follow one another in order.
    let at_ms = at_ms.clamp(events.day.start_ms, events.day.start_ms + DAY_MS - 1);
    let known_at_ms = at_ms + HOUR_MS + days_ms(dice.log_normal(KNOWN_DAYS.0, KNOWN_DAYS.1));
    Plan {
        purchase,
        at_ms,
        known_at_ms: (!dice.chance(UNJUDGED)).then_some(known_at_ms),
        named: !dice.chance(UNNAMED),
        deed,
    }
}

/// Date and time of day, as documents have them.
fn civil(at_ms: i64) -> (String, String) {
    let at = jiff::Timestamp::from_millisecond(at_ms)
        .unwrap_or_default()
        .to_zoned(TimeZone::UTC);
    (
        format!("{:02}.{:02}.{}", at.day(), at.month(), at.year()),
        format!("{:02}:{:02}", at.hour(), at.minute()),
    )
}

/// The nearest byte.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range, and rounded before"
)]
fn byte(value: f64) -> u8 {
    value.clamp(0.0, 255.0).round() as u8
}

/// The nearest pixel.
fn pixel(value: f64) -> i32 {
    i32::try_from(whole(value)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
