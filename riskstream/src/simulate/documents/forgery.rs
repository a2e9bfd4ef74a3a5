//! Amounts altered after the scan.

use embedded_graphics::mono_font::ascii::{
    FONT_5X7, FONT_5X8, FONT_6X9, FONT_6X10, FONT_6X12, FONT_6X13, FONT_6X13_BOLD, FONT_7X13,
};
use imaging::{Image, Recipe, Step};

use super::Paper;
use super::page::{Cell, Colour, Font, Page, Run, advance, height, width};
use super::scan::Scan;
use crate::simulate::random::Dice;

/// Fonts that a forger may have instead of the right one.
const FONTS: [Font; 8] = [
    &FONT_5X7,
    &FONT_5X8,
    &FONT_6X9,
    &FONT_6X10,
    &FONT_6X12,
    &FONT_6X13,
    &FONT_6X13_BOLD,
    &FONT_7X13,
];
/// Share of the altered amounts that get a digit in front.
const INSERTED: f64 = 0.35;
/// Most digits that are replaced.
const MAX_REPLACED: usize = 3;
/// Share of the forgers who blur what they have typed.
const SOFTENED: f64 = 0.1;
/// Share of the forgers who type in black; the others take the colour of the ink around.
const BLACK: f64 = 0.6;
/// Pixels that forgers wipe out before the amount, to be sure.
const BEFORE: i32 = 5;
/// Share of the forgers who copy digits; the others type, half of them in the right font.
const COPYING: f64 = 0.15;

/// What is done to an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulate) enum Change {
    /// Digits become other ones.
    Replaced,
    /// A digit is put in front.
    Inserted,
}

/// How digits are altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulate) enum Means {
    /// Digits from elsewhere in the document.
    Copied,
    /// The amount is wiped out and typed again, in its font.
    SameFont,
    /// The amount is wiped out and typed again, in another font.
    OtherFont,
}

impl Means {
    /// What a forger prefers.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        match dice.unit() {
            x if x < COPYING => Self::Copied,
            x if x < (1.0 + COPYING) / 2.0 => Self::SameFont,
            _ => Self::OtherFont,
        }
    }
}

/// An altered document.
pub(super) struct Forged {
    /// Its pixels.
    pub(super) image: Image,
    /// What was done.
    pub(super) change: Change,
    /// How it was done: not as it was meant to be, if no digits could be copied.
    pub(super) means: Means,
}

/// Alters the amount of a scanned document.
pub(super) fn forge(dice: &mut Dice, scan: &Scan, paper: &Paper, means: Means) -> Forged {
    let change = if dice.chance(INSERTED) {
        Change::Inserted
    } else {
        Change::Replaced
    };
    let forger = Forger { scan, paper };
    if means == Means::Copied
        && let Some(image) = forger.copy(dice, change)
    {
        return Forged { image, change, means };
    }
    let figures = altered(dice, &paper.amount.text, change, "0123456789").unwrap_or_default();
    let font = match means {
        Means::OtherFont => forger.other_font(dice, &figures),
        Means::Copied | Means::SameFont => paper.amount.font,
    };
    Forged {
        image: forger.retype(dice, &figures, font),
        change,
        means: if means == Means::Copied {
            Means::SameFont
        } else {
            means
        },
    }
}

/// Other figures made of these digits, and of those that stay; none if there are none.
fn altered(dice: &mut Dice, figures: &str, change: Change, digits: &str) -> Option<String> {
    let first = figures.chars().next()?;
    match change {
        Change::Inserted => {
            let digit = one_of(dice, digits, |d| d != '0')?;
            Some(format!("{digit}{figures}"))
        }
        Change::Replaced => {
            let mut altered: Vec<char> = figures.chars().collect();
            altered[0] = one_of(dice, digits, |d| d > first)
                .or_else(|| one_of(dice, digits, |d| d != first && d != '0'))?;
            for _ in 1..dice.count(1, MAX_REPLACED) {
                let place = dice.below(altered.len());
                let old = altered[place];
                if place > 0 && old != '.' {
                    altered[place] = one_of(dice, digits, |d| d != old).unwrap_or(old);
                }
            }
            Some(altered.into_iter().collect())
        }
    }
}

fn one_of(dice: &mut Dice, digits: &str, wanted: impl Fn(char) -> bool) -> Option<char> {
    let wanted: Vec<char> = digits.chars().filter(|&d| wanted(d)).collect();
    (!wanted.is_empty()).then(|| dice.pick(&wanted))
}

/// Someone with a scan on the screen.
struct Forger<'a> {
    scan: &'a Scan,
    paper: &'a Paper,
}

impl Forger<'_> {
    /// Replaces digits by copies of others of the same font; nothing if there are no fitting ones.
    fn copy(&self, dice: &mut Dice, change: Change) -> Option<Image> {
        let amount = &self.paper.amount;
        let sources = self.digits();
        let digits: String = sources.iter().map(|(digit, _)| digit).collect();
        let figures = altered(dice, &amount.text, change, &digits)?;
        let blank = if change == Change::Inserted { " " } else { "" };
        let old = format!("{blank}{}", amount.text);
        let original = Page::of(&self.scan.image);
        let mut page = original.clone();
        let places = -width(amount.font, blank) / advance(amount.font)..;
        for ((place, new), old) in places.zip(figures.chars()).zip(old.chars()) {
            if new != old {
                let alike = sources.iter().filter(|(digit, _)| *digit == new);
                let cells: Vec<Cell> = alike.map(|(_, cell)| *cell).collect();
                paste(
                    &original,
                    dice.pick(&cells),
                    &mut page,
                    self.scan.place(amount.cell(place)),
                );
            }
        }
        Some(page.image())
    }

    /// The digits of the amount's font in the document, and where each lies.
    fn digits(&self) -> Vec<(char, Cell)> {
        let font = self.paper.amount.font;
        let alike = |run: &&Run| {
            (advance(run.font), height(run.font)) == (advance(font), height(font)) && run.font == font
        };
        let runs = self.paper.page.runs().iter().filter(alike);
        let cells = runs.flat_map(|run| (0..).zip(run.text.chars()).map(|(place, c)| (c, run.cell(place))));
        cells
            .filter(|(c, _)| c.is_ascii_digit())
            .map(|(c, cell)| (c, self.scan.place(cell)))
            .collect()
    }

    /// Another font, in which the figures take no more room than there is.
    fn other_font(&self, dice: &mut Dice, figures: &str) -> Font {
        let own = self.paper.amount.font;
        let fits = |font: &Font| {
            **font != *own
                && (height(font) - height(own)).abs() <= 4
                && width(font, figures) <= width(own, figures) + advance(own)
        };
        let fitting: Vec<Font> = FONTS.into_iter().filter(fits).collect();
        if fitting.is_empty() {
            own
        } else {
            dice.pick(&fitting)
        }
    }

    /// Wipes the amount out and types figures in its place.
    fn retype(&self, dice: &mut Dice, figures: &str, font: Font) -> Image {
        let amount = &self.paper.amount;
        let length = |text: &str| i32::try_from(text.len()).unwrap_or(0);
        let old = self.scan.place(Cell {
            width: advance(amount.font) * length(&amount.text),
            ..amount.cell(0)
        });
        let right = old.left + old.width;
        let left = old.left.min(right - width(font, figures));
        let top = old.top + (old.height - height(font)) / 2;
        let above = old.top.min(top);
        let wiped = Cell {
            left: left - BEFORE,
            top: above,
            width: right - left + BEFORE,
            height: (old.top + old.height).max(top + height(font)) - above,
        }
        .wider(1);
        let mut page = Page::of(&self.scan.image);
        let ink = if dice.chance(BLACK) {
            [15; 3]
        } else {
            darkest(&page, old)
        };
        let paper = paper_around(&page, wiped);
        page.fill(wiped, paper);
        page.print(font, ink, (right - width(font, figures), top), figures);
        if dice.chance(SOFTENED) {
            soften(&mut page, wiped);
        }
        page.image()
    }
}

/// Copies a part of a page, and drops it between two pixels both ways, which smooths it.
fn paste(original: &Page, from: Cell, page: &mut Page, to: Cell) {
    for ((x, y), to) in from.places().zip(to.places()) {
        let four = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)];
        let colours: Vec<Colour> = four.into_iter().filter_map(|place| original.at(place)).collect();
        if !colours.is_empty() {
            page.set(to, mean(&colours));
        }
    }
}

/// Blurs what was typed, as the lens has blurred the rest.
fn soften(page: &mut Page, cell: Cell) {
    let blur = Recipe {
        steps: vec![Step::Blur { passes: 1 }],
    };
    let blurred = Page::of(&blur.apply(&page.image()));
    for place in cell.places() {
        if let Some(colour) = blurred.at(place) {
            page.set(place, colour);
        }
    }
}

/// The ink of a text: the mean of its darkest pixels.
fn darkest(page: &Page, cell: Cell) -> Colour {
    let mut colours: Vec<Colour> = cell.places().filter_map(|place| page.at(place)).collect();
    colours.sort_unstable_by_key(|c| c.iter().map(|&level| u32::from(level)).sum::<u32>());
    colours.truncate((colours.len() / 20).max(1));
    mean(&colours)
}

fn mean(colours: &[Colour]) -> Colour {
    let count = u32::try_from(colours.len()).unwrap_or(1).max(1);
    std::array::from_fn(|channel| {
        let sum: u32 = colours.iter().map(|c| u32::from(c[channel])).sum();
        u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX)
    })
}

/// The paper around a rectangle: of the lighter half of a frame of two pixels, the median.
fn paper_around(page: &Page, cell: Cell) -> Colour {
    let frame = cell.wider(2).places().filter(|&place| !cell.holds(place));
    let colours: Vec<Colour> = frame.filter_map(|place| page.at(place)).collect();
    std::array::from_fn(|channel| {
        let mut levels: Vec<u8> = colours.iter().map(|c| c[channel]).collect();
        levels.sort_unstable();
        levels.get(levels.len() * 3 / 4).copied().unwrap_or(u8::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::random::Use;
    use embedded_graphics::mono_font::ascii::FONT_9X15;

    fn paper(text: &str) -> Paper {
        let mut page = Page::new(140, 60, [240; 3]);
        page.print(&FONT_6X10, [30; 3], (4, 4), "8.75");
        let amount = page.print(&FONT_6X10, [30; 3], (90, 30), text);
        Paper { page, amount }
    }

    #[test]
    fn altered_amounts_are_others_and_mostly_higher() {
        let mut dice = Dice::new(1, Use::Document, 0, 0);
        let value = |text: &str| text.parse::<f64>().expect("a number");
        let mut higher = 0;
        for round in 0_u32..400 {
            let figures = format!("{}.{:02}", 1 + round * 7, round % 100);
            let change = dice.pick(&[Change::Inserted, Change::Replaced]);
            let altered = altered(&mut dice, &figures, change, "0123456789").expect("digits");
            assert_ne!(altered, figures);
            assert!(!altered.starts_with('0'));
            assert_eq!(
                altered.len(),
                figures.len() + usize::from(change == Change::Inserted)
            );
            higher += usize::from(value(&altered) > value(&figures));
        }
        assert!(higher > 350, "{higher} of 400");
    }

    #[test]
    fn nothing_is_altered_but_around_the_amount() {
        for (seed, means) in (0..60).zip(
            [Means::Copied, Means::SameFont, Means::OtherFont]
                .into_iter()
                .cycle(),
        ) {
            let mut dice = Dice::new(seed, Use::Document, 0, 0);
            let paper = paper("12.34");
            let scan = super::super::scan::scan(&mut dice, &paper.page);
            let forged = forge(&mut dice, &scan, &paper, means);
            let (before, after) = (Page::of(&scan.image), Page::of(&forged.image));
            let place = scan.place(Cell {
                width: 30,
                ..paper.amount.cell(0)
            });
            // A digit in front, what another font is wider, and what is wiped out before it.
            let around = Cell {
                left: place.left - 20,
                width: place.width + 22,
                ..place.wider(4)
            };
            let all = Cell {
                left: 0,
                top: 0,
                width: 140,
                height: 60,
            };
            let changed: Vec<_> = all.places().filter(|&p| before.at(p) != after.at(p)).collect();
            assert!(changed.len() > 10, "{} pixels, {:?}", changed.len(), forged.means);
            assert!(changed.iter().all(|&p| around.holds(p)), "{:?}", forged.means);
        }
    }

    #[test]
    fn digits_that_are_not_there_are_typed() {
        let mut page = Page::new(140, 60, [240; 3]);
        page.print(&FONT_9X15, [30; 3], (4, 4), "8.75");
        let amount = page.print(&FONT_6X10, [30; 3], (90, 30), "1.11");
        let paper = Paper { page, amount };
        for seed in 0..30 {
            let mut dice = Dice::new(seed, Use::Document, 0, 0);
            let scan = super::super::scan::scan(&mut dice, &paper.page);
            let forged = forge(&mut dice, &scan, &paper, Means::Copied);
            let expected = match forged.change {
                Change::Replaced => Means::SameFont,
                Change::Inserted => Means::Copied,
            };
            assert_eq!(forged.means, expected);
        }
    }
}
