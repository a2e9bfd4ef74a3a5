//! Receipts, as merchants print them.

use embedded_graphics::mono_font::ascii::{FONT_5X8, FONT_6X9, FONT_6X10, FONT_6X13_BOLD, FONT_7X13_BOLD};

use super::page::{Cell, Colour, Font, Page, Run, advance, height, width};
use super::wording::{NAMES, STREETS, THANKS, figures, trade};
use super::{MAX_SIDE, Paper, Subject, civil};
use crate::simulate::random::{Dice, Use};

/// Pixels left free at either side.
const MARGIN: i32 = 5;
/// Most lines of goods.
const MAX_GOODS: usize = 7;

/// How a merchant prints.
struct Style {
    width: i32,
    body: Font,
    title: Font,
    total: Font,
    paper: Colour,
    ink: Colour,
    name: &'static str,
    street: String,
    thanks: &'static str,
    /// A block of colour above the name.
    emblem: Option<Cell>,
    barcode: bool,
}

impl Style {
    /// The same for all receipts of a terminal.
    fn new(seed: u64, terminal: u32) -> Self {
        let mut dice = Dice::new(seed, Use::Merchant, u64::from(terminal), 0);
        let width = 112 + dice.whole_below(15);
        let body = dice.pick(&[&FONT_6X10, &FONT_6X10, &FONT_6X9, &FONT_5X8]);
        let grey = 240 + dice.byte_below(12);
        let dark = 25 + dice.byte_below(45);
        let emblem = dice.chance(0.45).then(|| Cell {
            left: MARGIN + dice.whole_below(width / 2),
            top: MARGIN,
            width: 16 + dice.whole_below(30),
            height: 8 + dice.whole_below(12),
        });
        Self {
            width,
            body,
            title: dice.pick(&[&FONT_7X13_BOLD, &FONT_6X13_BOLD]),
            total: dice.pick(&[body, body, &FONT_6X13_BOLD]),
            paper: [grey, grey - dice.byte_below(3), grey - 2 - dice.byte_below(8)],
            ink: [dark, dark, dark + dice.byte_below(14)],
            name: dice.pick(&NAMES),
            street: format!("{} {}", dice.pick(&STREETS), dice.count(1, 99)),
            thanks: dice.pick(&THANKS),
            emblem,
            barcode: dice.chance(0.5),
        }
    }
}

/// A receipt under way: printing goes on below what is there.
struct Printer {
    style: Style,
    page: Page,
    /// By how much everything stands further to the right than it should.
    shift: i32,
    y: i32,
}

/// Prints the receipt for a purchase.
pub(super) fn print(seed: u64, dice: &mut Dice, subject: &Subject<'_>) -> Paper {
    let style = Style::new(seed, subject.purchase.terminal);
    // Paper is never cut twice in the same place.
    let (spare, shift) = (dice.whole_below(11), dice.whole_below(11));
    let page = Page::new(style.width + spare, MAX_SIDE, style.paper);
    let y = MARGIN + dice.whole_below(8);
    let mut printer = Printer {
        style,
        page,
        shift: shift.min(spare),
        y,
    };
    printer.head(dice, subject);
    printer.goods(dice, subject);
    let amount = printer.line_of("TOTAL EUR", subject.purchase.amount_minor, printer.style.total);
    printer.foot(dice);
    let bottom = (printer.y + MARGIN + dice.whole_below(10)).min(MAX_SIDE);
    printer.page.cut(bottom);
    Paper {
        page: printer.page,
        amount,
    }
}

impl Printer {
    fn head(&mut self, dice: &mut Dice, subject: &Subject<'_>) {
        if let Some(emblem) = self.style.emblem {
            let emblem = Cell {
                left: emblem.left + self.shift,
                top: self.y,
                ..emblem
            };
            self.page.fill(emblem, self.style.ink);
            self.y += emblem.height + 3;
        }
        let title = format!("{} {}", self.style.name, trade(subject.category).0);
        let fits = width(self.style.title, &title) <= self.style.width - 2 * MARGIN;
        self.centred(if fits { self.style.title } else { self.style.body }, &title);
        self.centred(self.style.body, &self.style.street.clone());
        let (date, time) = civil(subject.purchase.at_ms);
        self.left(&format!("{date} {time}"));
        self.left(&format!("NO {:05}", dice.below(100_000)));
        self.rule();
    }

    /// Goods whose prices add up to the amount.
    fn goods(&mut self, dice: &mut Dice, subject: &Subject<'_>) {
        let (_, goods) = trade(subject.category);
        let room = (MAX_SIDE - 62 - self.y) / height(self.style.body);
        let most = usize::try_from(room).unwrap_or(0).clamp(1, MAX_GOODS);
        let shares: Vec<usize> = (0..dice.count(1, most)).map(|_| dice.count(1, 8)).collect();
        let mut left = subject.purchase.amount_minor;
        let mut parts: usize = shares.iter().sum();
        for share in shares {
            // What is left is shared out anew each time, so that nothing is left at the end.
            let price = left * i64::try_from(share).unwrap_or(0) / i64::try_from(parts).unwrap_or(1);
            (left, parts) = (left - price, parts - share);
            self.line_of(dice.pick(goods), price, self.style.body);
        }
        self.rule();
    }

    fn foot(&mut self, dice: &mut Dice) {
        self.y += 2;
        self.left(&format!("CARD ****{:04}", dice.below(10_000)));
        self.centred(self.style.body, self.style.thanks);
        if self.style.barcode && self.y + 14 + MARGIN < MAX_SIDE {
            self.barcode(dice);
        }
    }

    fn barcode(&mut self, dice: &mut Dice) {
        let mut left = self.style.width / 5;
        while left < self.style.width * 4 / 5 {
            let bar = Cell {
                left: left + self.shift,
                top: self.y + 2,
                width: 1 + dice.whole_below(2),
                height: 11,
            };
            self.page.fill(bar, self.style.ink);
            left += bar.width + 1 + dice.whole_below(3);
        }
        self.y += 14;
    }

    /// A name at the left and an amount at the right.
    fn line_of(&mut self, name: &str, amount_minor: i64, font: Font) -> Run {
        let figures = figures(amount_minor);
        let left = self.style.width - MARGIN - width(font, &figures);
        // One character stays free before the amount.
        let room = (left - MARGIN) / advance(font) - 1;
        let name = &name[..name.len().min(usize::try_from(room).unwrap_or(0))];
        self.put(font, MARGIN, name);
        let run = self.put(font, left, &figures);
        self.y += height(font);
        run
    }

    fn put(&mut self, font: Font, left: i32, text: &str) -> Run {
        self.page
            .print(font, self.style.ink, (left + self.shift, self.y), text)
    }

    fn left(&mut self, text: &str) {
        self.put(self.style.body, MARGIN, text);
        self.y += height(self.style.body);
    }

    fn centred(&mut self, font: Font, text: &str) {
        let left = ((self.style.width - width(font, text)) / 2).max(0);
        self.put(font, left, text);
        self.y += height(font);
    }

    fn rule(&mut self) {
        let dots = (MARGIN..self.style.width - MARGIN).filter(|x| x % 4 < 3);
        for x in dots {
            self.page.set((x + self.shift, self.y + 2), self.style.ink);
        }
        self.y += 5;
    }
}
