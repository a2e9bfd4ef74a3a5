//! What customers do of their own will: their purchases of a day.

use super::customer::Customer;
use super::random::{Dice, Use, whole};
use super::world::World;

/// Milliseconds in a minute.
pub(super) const MINUTE_MS: i64 = 60_000;
/// Milliseconds in an hour.
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day.
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// How a card is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Put into the terminal.
    Chip,
    /// Held against the terminal.
    Contactless,
    /// Typed into a web page.
    Online,
}

impl Channel {
    /// Its name in the output.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chip => "chip",
            Self::Contactless => "contactless",
            Self::Online => "online",
        }
    }
}

/// A card transaction.
#[derive(Clone, Debug)]
pub(super) struct Purchase {
    /// When, in milliseconds since the Unix epoch.
    pub(super) at_ms: i64,
    /// Whose card.
    pub(super) customer: u32,
    /// How many cards the customer had had before this one.
    pub(super) cards_before: usize,
    /// Where.
    pub(super) terminal: u32,
    /// For how many cents.
    pub(super) amount_minor: i64,
    /// How.
    pub(super) channel: Channel,
    /// The device it was typed into, if it was.
    pub(super) device: Option<u64>,
    /// The crime, if it is one.
    pub(super) fraud: Option<Fraud>,
}

/// A crime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraud {
    /// How it is done.
    pub(super) scenario: Scenario,
    /// When the bank knows of it, in milliseconds since the Unix epoch; nobody ever reports some.
    pub(super) known_at_ms: Option<i64>,
}

/// How frauds are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    /// Somebody close to the customer spends far more than the customer does.
    Habit,
    /// A terminal is manipulated, and a share of the cards that it sees is abused.
    Terminal,
    /// A card's data have leaked and are used elsewhere, for more.
    Leak,
    /// A card is tried with small amounts, then emptied.
    Testing,
}

impl Scenario {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Habit, Self::Terminal, Self::Leak, Self::Testing];

    /// Its name in the output.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Habit => "over_habit",
            Self::Terminal => "compromised_terminal",
            Self::Leak => "leaked_card",
            Self::Testing => "card_testing",
        }
    }
}

/// A day of the simulation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    /// Its number, from 0.
    pub(super) number: u32,
    /// When it begins, in milliseconds since the Unix epoch.
    pub(super) start_ms: i64,
    /// Whether it is a Saturday or a Sunday.
    pub(super) weekend: bool,
}

/// Appends what a customer buys on a day.
pub(super) fn purchases(
    seed: u64,
    id: u32,
    customer: &Customer,
    day: Day,
    world: &World,
    into: &mut Vec<Purchase>,
) {
    let mut dice = Dice::new(seed, Use::Day, u64::from(id), u64::from(day.number));
    let rhythm = if day.weekend { customer.weekend } else { 1.0 };
    let planned = dice.poisson(customer.purchases_per_day * rhythm);
    if planned == 0 {
        return;
    }
    let trip = customer.trip(seed, id, day.number, world);
    for _ in 0..planned {
        let terminal = choose(&mut dice, customer, trip, world);
        let at_ms = day.start_ms + time_of_day(&mut dice, customer, world, terminal);
        into.push(purchase(&mut dice, (id, customer), at_ms, terminal, world));
        let next_ms = at_ms + whole(dice.between(3.0, 45.0) * 60_000.0);
        // One errand often leads to another one close by.
        if dice.chance(0.12) && next_ms < day.start_ms + DAY_MS && trip.is_none() {
            let next = if dice.chance(0.7) {
                world.in_town(&mut dice, customer.home)
            } else {
                terminal
            };
            into.push(purchase(&mut dice, (id, customer), next_ms, next, world));
        }
    }
}

fn choose(dice: &mut Dice, customer: &Customer, trip: Option<u32>, world: &World) -> u32 {
    if let Some(town) = trip {
        return if dice.chance(0.85) {
            world.in_town(dice, town)
        } else {
            world.web.draw(dice)
        };
    }
    match dice.unit() {
        x if x < 0.80 => customer.favourites.draw(dice),
        x if x < 0.91 => world.in_town(dice, customer.home),
        x if x < 0.95 => world.in_town(dice, customer.work),
        x if x < 0.98 => world.web.draw(dice),
        _ => {
            let town = world.homes.draw(dice);
            world.in_town(dice, town)
        }
    }
}

fn time_of_day(dice: &mut Dice, customer: &Customer, world: &World, terminal: u32) -> i64 {
    let mut choice = dice.unit();
    let hours = world.terminal(terminal).category.hours;
    let (peak, spread, _) = hours
        .iter()
        .copied()
        .find(|(_, _, share)| {
            choice -= share;
            choice < 0.0
        })
        .unwrap_or(hours[0]);
    let hour = peak + customer.later_hours + spread * dice.normal();
    whole(hour * 3_600_000.0).rem_euclid(DAY_MS)
}

fn purchase(dice: &mut Dice, who: (u32, &Customer), at_ms: i64, terminal: u32, world: &World) -> Purchase {
    let (id, customer) = who;
    let amount = usual_amount(dice, customer.means, terminal, world);
    // Now and then something large is due: a fridge, a birthday, a dentist.
    let amount = if dice.chance(0.008) {
        amount * dice.between(2.0, 5.0)
    } else {
        amount
    };
    let amount_minor = cents(amount);
    let channel = channel(dice, terminal, amount_minor, world);
    let device = (channel == Channel::Online).then(|| own_device(dice, id, at_ms));
    Purchase {
        at_ms,
        customer: id,
        cards_before: customer.cards_before(at_ms),
        terminal,
        amount_minor,
        channel,
        device,
        fraud: None,
    }
}

/// What somebody of these means would pay at a terminal, in euros.
pub(super) fn usual_amount(dice: &mut Dice, means: f64, terminal: u32, world: &World) -> f64 {
    let terminal = world.terminal(terminal);
    let median = terminal.category.median * terminal.price * libm::pow(means, terminal.category.means);
    dice.log_normal(median, terminal.category.sigma)
}

/// An amount in euros as cents, at least 50.
pub(super) fn cents(amount: f64) -> i64 {
    whole(amount * 100.0).max(50)
}

/// So many days in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a day's milliseconds")]
pub(super) fn days_ms(days: f64) -> i64 {
    whole(days * DAY_MS as f64)
}

/// How a card is used at a terminal for an amount.
pub(super) fn channel(dice: &mut Dice, terminal: u32, amount_minor: i64, world: &World) -> Channel {
    let contactless = if amount_minor <= 5_000 { 0.8 } else { 0.15 };
    match world.terminal(terminal).category.online {
        true => Channel::Online,
        false if dice.chance(contactless) => Channel::Contactless,
        false => Channel::Chip,
    }
}

/// A device of a customer's own: mostly the phone of these months, else another one, seldom a borrowed one.
fn own_device(dice: &mut Dice, customer: u32, at_ms: i64) -> u64 {
    let months = u64::try_from(at_ms / (DAY_MS * 400)).unwrap_or(0);
    let which = match dice.unit() {
        x if x < 0.80 => 2 + (months + u64::from(customer)) % 1_000,
        x if x < 0.97 => 1,
        _ => return device(dice.word(), 0),
    };
    device(u64::from(customer), which)
}

/// The identifier of the `which`-th device of somebody.
///
/// # Source
/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014).
pub(super) fn device(whose: u64, which: u64) -> u64 {
    let mut x = whose.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(which);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUNDAY: Day = Day {
        number: 0,
        start_ms: 0,
        weekend: true,
    };

    #[test]
    fn purchases_stay_within_their_day_and_are_the_same_again() {
        let world = World::new(3, 200);
        let day_of = |id| {
            let mut made = Vec::new();
            purchases(3, id, &Customer::new(3, id, &world), SUNDAY, &world, &mut made);
            made
        };
        let made: Vec<_> = (0..300).flat_map(day_of).collect();
        assert!(made.len() > 300, "{}", made.len());
        assert!(
            made.iter()
                .all(|p| (0..DAY_MS).contains(&p.at_ms) && p.amount_minor >= 50)
        );
        assert!(
            made.iter()
                .all(|p| (p.channel == Channel::Online) == p.device.is_some())
        );
        assert_eq!(format!("{:?}", day_of(5)), format!("{:?}", day_of(5)));
    }
}
