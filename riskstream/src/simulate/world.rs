//! The world: towns, and the terminals of their merchants.

use super::category::{CATEGORIES, Category};
use super::random::{Dice, Urn, Use};

/// Countries that share the euro: code, latitude and longitude of their middle, spread in degrees. People live
/// in the first; the others are where they travel to, and where stolen cards are used.
const COUNTRIES: [(&str, f64, f64, f64); 6] = [
    ("DE", 50.6, 9.9, 1.5),
    ("AT", 47.6, 14.2, 0.6),
    ("NL", 52.2, 5.4, 0.5),
    ("FR", 47.1, 2.6, 1.6),
    ("IT", 43.4, 11.6, 1.4),
    ("ES", 40.2, -3.8, 1.6),
];

/// Share of the towns that are at home.
const HOME_SHARE: f64 = 0.75;
/// How far a town spreads, in degrees.
const TOWN_SPREAD: f64 = 0.05;

/// A town.
#[derive(Debug)]
pub(super) struct Town {
    /// Code of its country.
    pub(super) country: &'static str,
    /// Where its middle is, in degrees.
    pub(super) latitude: f64,
    /// Where its middle is, in degrees.
    pub(super) longitude: f64,
    /// Its terminals, by how often they are visited.
    pub(super) terminals: Urn,
}

/// A merchant's terminal, or web shop.
#[derive(Debug)]
pub(super) struct Terminal {
    /// What it sells.
    pub(super) category: &'static Category,
    /// Its prices against its category's.
    pub(super) price: f64,
    /// Code of its country.
    pub(super) country: &'static str,
    /// Where it stands, in degrees; a web shop is nowhere.
    pub(super) place: Option<(f64, f64)>,
}

/// Towns and terminals.
pub(super) struct World {
    /// The towns.
    pub(super) towns: Vec<Town>,
    /// The towns that people live in, by size.
    pub(super) homes: Urn,
    /// The towns abroad.
    pub(super) abroad: Urn,
    /// The terminals.
    pub(super) terminals: Vec<Terminal>,
    /// The web shops, by how often they are visited.
    pub(super) web: Urn,
    /// The web shops that sell digital goods: where stolen cards are tried out.
    pub(super) digital: Urn,
}

impl World {
    /// Makes a world.
    pub(super) fn new(seed: u64, terminals: u32) -> Self {
        let mut dice = Dice::new(seed, Use::World, 0, 0);
        let mut world = Self {
            towns: Vec::new(),
            homes: Urn::default(),
            abroad: Urn::default(),
            terminals: Vec::new(),
            web: Urn::default(),
            digital: Urn::default(),
        };
        let sizes = world.found_towns(&mut dice, terminals);
        world.open_terminals(&mut dice, terminals, &sizes);
        world
    }

    /// Founds the towns and returns them by size.
    fn found_towns(&mut self, dice: &mut Dice, terminals: u32) -> Urn {
        let mut sizes = Urn::default();
        for town in 0..(terminals / 40).clamp(4, 80) {
            let at_home = town == 0 || (town > 1 && dice.chance(HOME_SHARE));
            let country = if at_home {
                0
            } else {
                dice.count(1, COUNTRIES.len() - 1)
            };
            let (code, latitude, longitude, spread) = COUNTRIES[country];
            let size = 1.0 / libm::pow(f64::from(town + 2), 0.7);
            sizes.add(town, if at_home { size } else { size * 0.6 });
            if at_home {
                &mut self.homes
            } else {
                &mut self.abroad
            }
            .add(town, size);
            self.towns.push(Town {
                country: code,
                latitude: latitude + spread * dice.normal(),
                longitude: longitude + spread * dice.normal(),
                terminals: Urn::default(),
            });
        }
        sizes
    }

    fn open_terminals(&mut self, dice: &mut Dice, terminals: u32, sizes: &Urn) {
        let mut kinds = Urn::default();
        for (kind, category) in (0..).zip(&CATEGORIES) {
            kinds.add(kind, category.share);
        }
        let mut standing = 0;
        for id in 0..terminals {
            // The first ones see to it that every kind and every town is there at all.
            let kind = if id < 13 { id } else { kinds.draw(dice) };
            let category = &CATEGORIES[kind as usize];
            let town = if category.online || standing >= self.towns.len() {
                sizes.draw(dice) as usize
            } else {
                standing
            };
            standing += usize::from(!category.online);
            self.open(dice, id, category, town);
        }
    }

    fn open(&mut self, dice: &mut Dice, id: u32, category: &'static Category, town: usize) {
        let visits = category.visits * dice.log_normal(1.0, 0.7);
        let town = &mut self.towns[town];
        let near = (
            town.latitude + TOWN_SPREAD * dice.normal(),
            town.longitude + TOWN_SPREAD * dice.normal(),
        );
        if category.online {
            self.web.add(id, visits);
        } else {
            town.terminals.add(id, visits);
        }
        if category.name == "digital goods" {
            self.digital.add(id, visits);
        }
        self.terminals.push(Terminal {
            category,
            price: dice.log_normal(1.0, 0.22),
            country: town.country,
            place: (!category.online).then_some(near),
        });
    }

    /// The terminal of this number.
    pub(super) fn terminal(&self, id: u32) -> &Terminal {
        &self.terminals[id as usize]
    }

    /// A terminal in a town.
    pub(super) fn in_town(&self, dice: &mut Dice, town: u32) -> u32 {
        self.towns[town as usize].terminals.draw(dice)
    }

    /// The town nearest to another one, among a few drawn by size: where people work and shop besides at home.
    pub(super) fn neighbour(&self, dice: &mut Dice, home: u32) -> u32 {
        let here = &self.towns[home as usize];
        let distance = |&town: &u32| {
            let there = &self.towns[town as usize];
            let (north, east) = (
                there.latitude - here.latitude,
                (there.longitude - here.longitude) * 0.65,
            );
            north * north + east * east
        };
        let drawn: Vec<u32> = (0..4).map(|_| self.homes.draw(dice)).collect();
        drawn
            .into_iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap_or(home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_world_has_every_kind_and_no_empty_town() {
        let world = World::new(5, 20);
        assert!(world.towns.iter().all(|t| !t.terminals.items().is_empty()));
        assert!(!world.web.items().is_empty() && !world.digital.items().is_empty());
        assert!(!world.homes.items().is_empty() && !world.abroad.items().is_empty());
    }

    #[test]
    fn web_shops_stand_nowhere() {
        let world = World::new(5, 300);
        assert!(
            world
                .terminals
                .iter()
                .all(|t| t.category.online == t.place.is_none())
        );
        assert_eq!(world.terminals.len(), 300);
    }
}
