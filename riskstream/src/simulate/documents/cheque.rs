//! Cheques: printed by a bank, filled in by a customer.

use embedded_graphics::mono_font::ascii::{FONT_4X6, FONT_5X7, FONT_5X8, FONT_6X10, FONT_6X12, FONT_6X13};

use super::page::{Cell, Colour, Font, Page, Run, height, width};
use super::wording::{BANKS, NAMES, STREETS, figures, lines, trade, words};
use super::{MAX_SIDE, Paper, Subject, civil};
use crate::simulate::random::{Dice, Use};

/// Points that a signature runs through.
const SIGNATURE_POINTS: u8 = 9;
/// Rows of a cheque: at least, and more by so many at most.
const HEIGHT: (i32, i32) = (76, 8);

/// A customer's cheques, and the customer's hand.
struct Chequebook {
    bank: &'static str,
    tint: Colour,
    printed: Colour,
    pen: Colour,
    font: Font,
    pattern: Pattern,
    holder: String,
    account: usize,
    emblem: Cell,
    /// By how many levels emblem and band are darker than the paper.
    faint: u8,
    /// A band of colour along the left edge or the upper one, and how broad it is.
    band: Option<(Edge, i32)>,
    /// By how many rows what is written lies lower than with other banks.
    lower: i32,
    /// Where what is written begins.
    left: i32,
    /// Where the line for the signature begins.
    signed: i32,
    signature: [(f64, f64); SIGNATURE_POINTS as usize],
}

#[derive(Clone, Copy)]
enum Edge {
    Left,
    Top,
}

/// Waves over the paper that copying machines fail at.
struct Pattern {
    across: f64,
    down: f64,
    bend: f64,
    depth: f64,
    swell: f64,
    centre: (f64, f64),
    round: bool,
}

impl Chequebook {
    fn new(seed: u64, customer: u32) -> Self {
        let mut dice = Dice::new(seed, Use::Chequebook, u64::from(customer), 0);
        let dark = 20 + dice.byte_below(40);
        let band = dice
            .chance(0.6)
            .then(|| (dice.pick(&[Edge::Left, Edge::Top]), 3 + dice.whole_below(8)));
        let left = match band {
            Some((Edge::Left, breadth)) => 5 + breadth,
            Some((Edge::Top, _)) | None => 6,
        };
        let step = 1.0 / f64::from(SIGNATURE_POINTS - 1);
        let mut along = -step;
        Self {
            bank: dice.pick(&BANKS),
            tint: std::array::from_fn(|_| 205 + dice.byte_below(40)),
            printed: [dark, dark + dice.byte_below(20), dark + dice.byte_below(60)],
            pen: dice.pick(&[[25, 30, 90], [30, 30, 34], [20, 45, 110]]),
            font: dice.pick(&[&FONT_6X10, &FONT_6X12, &FONT_6X13]),
            pattern: Pattern::new(&mut dice),
            holder: format!(
                "{}. {}",
                char::from(b'A' + dice.byte_below(26)),
                dice.pick(&NAMES)
            ),
            account: dice.below(100_000_000),
            emblem: Cell {
                left: left + dice.whole_below(50),
                top: 2 + dice.whole_below(50),
                width: 10 + dice.whole_below(30),
                height: 10 + dice.whole_below(22),
            },
            faint: 15 + dice.byte_below(35),
            band,
            lower: dice.whole_below(4),
            left,
            signed: if dice.chance(0.6) { 106 } else { left },
            signature: std::array::from_fn(|_| {
                along += step;
                (along + dice.between(-0.06, 0.06), dice.between(-1.0, 1.0))
            }),
        }
    }

    /// Where there is room beside the signature.
    fn elsewhere(&self) -> i32 {
        if self.signed > 60 { self.left } else { 120 }
    }
}

impl Pattern {
    fn new(dice: &mut Dice) -> Self {
        Self {
            across: dice.between(0.1, 0.7),
            down: dice.between(-0.7, 0.7),
            bend: dice.between(0.0, 3.0),
            depth: dice.between(5.0, 11.0),
            swell: dice.between(8.0, 18.0),
            centre: (dice.between(0.0, 190.0), dice.between(0.0, 80.0)),
            round: dice.chance(0.4),
        }
    }

    /// By how much the paper is lighter at a place.
    fn light(&self, x: f64, y: f64) -> f64 {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let phase = if self.round {
            (dx * dx + 2.0 * dy * dy).sqrt() * (self.across + 0.2)
        } else {
            x * self.across + y * self.down + self.bend * libm::sin(dx * 0.05)
        };
        // A broad swell under the fine waves.
        let swell = libm::cos(dx * (0.02 + 0.05 * self.across)) * libm::cos(dy * (0.04 + 0.06 * self.down));
        self.depth * libm::sin(phase) + self.swell * swell
    }
}

/// Fills in a cheque for a purchase.
pub(super) fn write(seed: u64, dice: &mut Dice, subject: &Subject<'_>) -> Paper {
    let mut book = Chequebook::new(seed, subject.purchase.customer);
    // Paper is never cut twice in the same place.
    book.lower += dice.whole_below(4);
    book.left += dice.whole_below(7);
    let mut page = Page::new(
        MAX_SIDE - dice.whole_below(17),
        HEIGHT.0 + dice.whole_below(HEIGHT.1 + 1),
        book.tint,
    );
    ground(&mut page, &book);
    form(&mut page, dice, &book);
    let amount = fill_in(&mut page, dice, &book, subject);
    sign(&mut page, dice, &book);
    Paper { page, amount }
}

fn ground(page: &mut Page, book: &Chequebook) {
    for y in 0..page.height() {
        for x in 0..page.width() {
            let light = book.pattern.light(f64::from(x), f64::from(y));
            page.set(
                (x, y),
                book.tint.map(|level| super::byte(f64::from(level) + light)),
            );
        }
    }
}

/// What the bank has printed.
fn form(page: &mut Page, dice: &mut Dice, book: &Chequebook) {
    let (right, bottom) = (page.width() - 6, page.height());
    if let Some((edge, breadth)) = book.band {
        let (width, height) = match edge {
            Edge::Left => (breadth, bottom),
            Edge::Top => (page.width(), breadth.min(3)),
        };
        let band = Cell {
            left: 0,
            top: 0,
            width,
            height,
        };
        darken(page, band, book.faint);
    }
    darken(page, book.emblem, book.faint);
    page.print(&FONT_5X8, book.printed, (book.left, 4), book.bank);
    page.print(&FONT_4X6, book.printed, (book.left, 13), &book.holder);
    for (y, left, right) in [
        (35 + book.lower, book.left + 26, right - 64),
        (47 + book.lower, book.left, right),
        (bottom - 14, book.signed, book.signed + 66),
    ] {
        let line = Cell {
            left,
            top: y,
            width: right - left,
            height: 1,
        };
        page.fill(line, book.printed);
    }
    page.print(&FONT_4X6, book.printed, (book.left, 28 + book.lower), "PAY TO");
    let number = format!(
        "{:06}  {:08}  {:03}",
        dice.below(1_000_000),
        book.account,
        book.account % 997
    );
    page.print(&FONT_5X7, book.printed, (book.left + 2, bottom - 9), &number);
}

/// What the customer has written; returns the amount in figures.
fn fill_in(page: &mut Page, dice: &mut Dice, book: &Chequebook, subject: &Subject<'_>) -> Run {
    let right = page.width() - 6;
    let (date, _) = civil(subject.purchase.at_ms);
    page.print(&FONT_5X8, book.pen, (right - width(&FONT_5X8, &date), 13), &date);
    let payee = format!("{} {}", dice.pick(&NAMES), trade(subject.category).0);
    page.print(
        &FONT_5X8,
        book.pen,
        (book.left + 28 + dice.whole_below(4), 26 + book.lower),
        &payee,
    );
    // The box has room for the amounts that people pay, and one character before them.
    let frame = Cell {
        left: right - 60,
        top: 22 + book.lower,
        width: 60,
        height: height(book.font) + 4,
    };
    outline(page, frame, book.printed);
    let figures = figures(subject.purchase.amount_minor);
    let left = right - 3 - width(book.font, &figures);
    let amount = page.print(book.font, book.pen, (left, frame.top + 2), &figures);
    let words = words(subject.purchase.amount_minor);
    let room = usize::try_from((right - book.left - 2) / 5).unwrap_or(1);
    for (y, line) in (39 + book.lower..).step_by(9).zip(lines(&words, room)) {
        page.print(&FONT_5X7, book.pen, (book.left + 2, y), &line);
    }
    let place = format!("{} {}", dice.pick(&STREETS), dice.count(1, 99));
    page.print(
        &FONT_4X6,
        book.printed,
        (book.elsewhere(), page.height() - 18),
        &place,
    );
    amount
}

fn darken(page: &mut Page, cell: Cell, levels: u8) {
    for place in cell.places() {
        if let Some(colour) = page.at(place) {
            page.set(place, colour.map(|level| level.saturating_sub(levels)));
        }
    }
}

fn outline(page: &mut Page, cell: Cell, ink: Colour) {
    let inner = cell.wider(-1);
    for place in cell.places().filter(|&place| !inner.holds(place)) {
        page.set(place, ink);
    }
}

/// The customer's signature, never quite the same.
fn sign(page: &mut Page, dice: &mut Dice, book: &Chequebook) {
    let (left, middle) = (f64::from(book.signed + 4), f64::from(page.height() - 20));
    let (length, swing) = (dice.between(46.0, 58.0), dice.between(5.0, 7.0));
    let points = book.signature.map(|(along, up)| {
        (
            left + length * along + dice.between(-0.8, 0.8),
            middle + swing * up + dice.between(-0.8, 0.8),
        )
    });
    for four in points.windows(4) {
        for step in 0..60_u32 {
            let (x, y) = curve(four, f64::from(step) / 60.0);
            dab(page, x, y, book.pen);
        }
    }
}

/// A point on the curve between the second and the third of four points.
///
/// # Source
/// E. Catmull, R. Rom, "A class of local interpolating splines" (1974), the uniform cubic one.
fn curve(points: &[(f64, f64)], t: f64) -> (f64, f64) {
    let blend = |a: f64, b: f64, c: f64, d: f64| {
        let (square, cube) = (t * t, t * t * t);
        0.5 * (2.0 * b
            + (c - a) * t
            + (2.0 * a - 5.0 * b + 4.0 * c - d) * square
            + (3.0 * (b - c) + d - a) * cube)
    };
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| points[at]);
    (blend(a.0, b.0, c.0, d.0), blend(a.1, b.1, c.1, d.1))
}

/// Ink on the four pixels around a point, each by its share.
fn dab(page: &mut Page, x: f64, y: f64, ink: Colour) {
    let (left, top) = (x.floor(), y.floor());
    let (right_part, lower_part) = (x - left, y - top);
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let share = |part: f64, far: f64| if far > 0.0 { part } else { 1.0 - part };
        let cover = share(right_part, dx) * share(lower_part, dy);
        page.ink(
            (super::pixel(left + dx), super::pixel(top + dy)),
            ink,
            super::byte(90.0 * cover),
        );
    }
}
