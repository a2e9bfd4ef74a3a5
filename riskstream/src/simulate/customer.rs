//! Customers: where they live, what they can spend, which merchants they favour, and which card they hold.

use super::random::{Dice, Urn, Use};
use super::world::World;

/// Someone who holds a card.
#[derive(Debug)]
pub(super) struct Customer {
    /// The town where they live.
    pub(super) home: u32,
    /// The town where they work, or shop besides.
    pub(super) work: u32,
    /// Their means: 1 is ordinary.
    pub(super) means: f64,
    /// Purchases on an ordinary day.
    pub(super) purchases_per_day: f64,
    /// How much more (or less) they buy at the weekend.
    pub(super) weekend: f64,
    /// By how many hours their day comes later than others'.
    pub(super) later_hours: f64,
    /// Terminals and web shops that they go to again and again.
    pub(super) favourites: Urn,
    /// What they spend on average, in euros.
    pub(super) habit: f64,
    /// When their card was replaced, in milliseconds since the Unix epoch, rising.
    pub(super) replaced_ms: Vec<i64>,
}

impl Customer {
    /// The customer of this number.
    pub(super) fn new(seed: u64, id: u32, world: &World) -> Self {
        let mut dice = Dice::new(seed, Use::Customer, u64::from(id), 0);
        let home = world.homes.draw(&mut dice);
        let work = world.neighbour(&mut dice, home);
        let means = dice.log_normal(1.0, 0.45);
        let favourites = favourites(&mut dice, world, home, work);
        let habit = habit(world, &favourites, means);
        Self {
            home,
            work,
            means,
            purchases_per_day: dice.log_normal(1.5, 0.55).min(7.0),
            weekend: dice.log_normal(1.1, 0.3),
            later_hours: 1.2 * dice.normal(),
            favourites,
            habit,
            replaced_ms: Vec::new(),
        }
    }

    /// How many cards they had had before the one they hold at a time.
    pub(super) fn cards_before(&self, at_ms: i64) -> usize {
        self.replaced_ms.partition_point(|&replaced| replaced <= at_ms)
    }

    /// Gives them a new card.
    pub(super) fn replace_card(&mut self, at_ms: i64) {
        let place = self.cards_before(at_ms);
        self.replaced_ms.insert(place, at_ms);
    }

    /// Where they stay on a day, if they travel: a trip of some days in some of the months.
    pub(super) fn trip(&self, seed: u64, id: u32, day: u32, world: &World) -> Option<u32> {
        const MONTH: u32 = 30;
        let mut dice = Dice::new(seed, Use::Trip, u64::from(id), u64::from(day / MONTH));
        if !dice.chance(0.3) {
            return None;
        }
        let length = dice.count(2, 9);
        let start = dice.below(MONTH as usize - length);
        let towns = if dice.chance(0.45) {
            &world.abroad
        } else {
            &world.homes
        };
        (start..start + length)
            .contains(&((day % MONTH) as usize))
            .then(|| towns.draw(&mut dice))
    }
}

fn favourites(dice: &mut Dice, world: &World, home: u32, work: u32) -> Urn {
    let mut favourites = Urn::default();
    let (near, there, web) = (dice.count(6, 14), dice.count(2, 5), dice.count(2, 6));
    for place in 0..near + there + web {
        let terminal = match place {
            place if place < near => world.in_town(dice, home),
            place if place < near + there => world.in_town(dice, work),
            _ => world.web.draw(dice),
        };
        favourites.add(terminal, dice.exponential(1.0));
    }
    favourites
}

fn habit(world: &World, favourites: &Urn, means: f64) -> f64 {
    let amount = |&id: &u32| {
        let terminal = world.terminal(id);
        terminal.category.median * terminal.price * libm::pow(means, terminal.category.means)
    };
    let amounts: f64 = favourites.items().iter().map(amount).sum();
    amounts / f64::from(u32::try_from(favourites.items().len()).unwrap_or(1))
}

/// The number of a card: 16 digits that no bank issues, with a right check digit.
///
/// # Source
/// ISO/IEC 7812-1: numbers beginning with 9 are given out by the national body of the country whose ISO 3166
/// code follows, and 999 is no country's. Nine digits stand for the customer, mixed so that neighbours look
/// different, two for the how-manieth card of theirs it is.
pub(super) fn card_number(seed: u64, customer: u32, cards_before: usize) -> String {
    const HOLDERS: u64 = 1_000_000_000;
    // Prime to 10, so that multiplying by it modulo a power of ten gives every number once.
    let holder = (u64::from(customer) * 618_033_989 + seed % HOLDERS) % HOLDERS;
    let digits = format!("9999{holder:09}{:02}", cards_before % 100);
    format!("{digits}{}", check_digit(&digits))
}

fn check_digit(digits: &str) -> u32 {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            let twice = if place % 2 == 0 { digit * 2 } else { digit };
            twice / 10 + twice % 10
        })
        .sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_right_apart_and_changed_by_replacing() {
        let numbers: std::collections::BTreeSet<String> = (0..10_000)
            .flat_map(|c| [card_number(7, c, 0), card_number(7, c, 1)])
            .collect();
        assert_eq!(numbers.len(), 20_000);
        assert!(
            numbers
                .iter()
                .all(|n| n.len() == 16 && schema::tokens::is_card_number(n))
        );
    }

    #[test]
    fn a_customer_holds_one_card_at_a_time() {
        let world = World::new(1, 100);
        let mut customer = Customer::new(1, 0, &world);
        customer.replace_card(1000);
        customer.replace_card(500);
        assert_eq!(
            [499, 500, 999, 1000].map(|at| customer.cards_before(at)),
            [0, 1, 1, 2]
        );
    }

    #[test]
    fn people_live_at_home_and_are_different() {
        let world = World::new(1, 400);
        let customers: Vec<_> = (0..200).map(|id| Customer::new(1, id, &world)).collect();
        assert!(
            customers
                .iter()
                .all(|c| world.towns[c.home as usize].country == "DE" && c.habit > 1.0)
        );
        let days = (0..200).flat_map(|id| (0..60).map(move |day| (id, day)));
        let away = days
            .filter(|&(id, day)| customers[id as usize].trip(1, id, day, &world).is_some())
            .count();
        assert!(
            (200..2000).contains(&away),
            "{away} of 12000 days are spent travelling"
        );
    }
}
