//! What fraudsters do with the customers' cards.
//!
//! Each scenario has a share of all transactions that it is to make up in the long run. Every day it is owed
//! that share of the day's transactions; while something is owed, another crime begins, which is planned to its
//! end and pays off what it will bring. So the shares hold at any number of customers and terminals, without any
//! crime knowing of another one.
//!
//! A customer who finds out has the card replaced: what was still planned with the old one does not happen.
//! The bank knows of each transaction after the customer has found out and the case has been worked on.

use std::collections::BTreeMap;

use super::customer::Customer;
use super::purchase::{
    DAY_MS, Day, Fraud, HOUR_MS, Purchase, Scenario, cents, channel, days_ms, device, usual_amount,
};
use super::random::{Dice, Use, whole};
use super::world::World;

mod crimes;
mod terminals;

use terminals::Manipulated;

/// Shares of all transactions, in the order of [`Scenario::ALL`].
const SHARES: [f64; 4] = [0.0014, 0.0040, 0.0028, 0.0016];
/// Median of the days until a customer finds out, and the deviation of their logarithm.
const FOUND_OUT_DAYS: (f64, f64) = (3.2, 0.8);
/// Median of the days that the bank then takes, and the deviation of their logarithm.
const CASE_DAYS: (f64, f64) = (0.7, 0.6);
/// Share of the victims who never find out.
const UNNOTICED: f64 = 0.03;

/// All that fraudsters have under way.
pub(super) struct Fraudsters {
    seed: u64,
    /// Transactions that each scenario is owed; below zero while planned ones are still to come.
    owed: [f64; 4],
    /// What is planned, by time; the number keeps plans of equal times apart.
    planned: BTreeMap<(i64, u64), Purchase>,
    plans: u64,
    crimes: u64,
    manipulated: BTreeMap<u32, Manipulated>,
}

/// Where crimes take place.
pub(super) struct Scene<'a> {
    /// The day.
    pub(super) day: Day,
    /// Its genuine purchases.
    pub(super) purchases: &'a [Purchase],
    /// Towns and terminals.
    pub(super) world: &'a World,
}

impl<'a> Scene<'a> {
    /// One of the day's purchases; there are some.
    fn any_purchase(&self, dice: &mut Dice) -> &'a Purchase {
        &self.purchases[dice.below(self.purchases.len())]
    }
}

impl Fraudsters {
    /// Nothing is under way yet.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            owed: [0.0; 4],
            planned: BTreeMap::new(),
            plans: 0,
            crimes: 0,
            manipulated: BTreeMap::new(),
        }
    }

    /// Plans the crimes that begin on a day, and returns all frauds that take place on it.
    pub(super) fn day(&mut self, scene: &Scene<'_>, customers: &mut [Customer]) -> Vec<Purchase> {
        let mut dice = Dice::new(self.seed, Use::Fraud, 0, u64::from(scene.day.number));
        if !scene.purchases.is_empty() {
            self.begin(&mut dice, scene, customers);
        }
        self.work_terminals(&mut dice, scene, customers);
        self.take_place(scene.day.start_ms + DAY_MS, customers)
    }

    #[expect(clippy::cast_precision_loss, reason = "the transactions of a day")]
    fn begin(&mut self, dice: &mut Dice, scene: &Scene<'_>, customers: &mut [Customer]) {
        for (place, scenario) in Scenario::ALL.into_iter().enumerate() {
            self.owed[place] += SHARES[place] * scene.purchases.len() as f64;
            while self.owed[place] > 0.0 {
                self.crimes += 1;
                self.owed[place] -= match scenario {
                    Scenario::Terminal => self.manipulate(dice, scene),
                    card => self.abuse_card(dice, scene, customers, card),
                };
            }
        }
    }

    /// Plans the abuse of one card and returns how many transactions it will bring.
    #[expect(clippy::cast_precision_loss, reason = "a handful of transactions")]
    fn abuse_card(
        &mut self,
        dice: &mut Dice,
        scene: &Scene<'_>,
        customers: &mut [Customer],
        scenario: Scenario,
    ) -> f64 {
        let victim = victim(dice, scene, customers);
        let customer = &mut customers[victim as usize];
        let begin_ms = scene.day.start_ms + waking_time(dice);
        let cards_before = customer.cards_before(begin_ms);
        let case = Case {
            victim,
            cards_before,
            scenario,
            device: self.device(dice),
            begin_ms,
        };
        let mut plan = case.plan(dice, scene, customer);
        let found_out_ms = found_out(dice, begin_ms);
        plan.retain(|p| found_out_ms.is_none_or(|at| p.at_ms < at));
        if let Some(at) = found_out_ms {
            customer.replace_card(at);
        }
        let number = plan.len();
        for mut fraud in plan {
            let known_at_ms = found_out_ms.map(|at| case_closed(dice, at));
            // Many a small test is overlooked even by those who find the large one.
            let overlooked = fraud.amount_minor < 300 && dice.chance(0.4);
            fraud.fraud = Some(Fraud {
                scenario,
                known_at_ms: known_at_ms.filter(|_| !overlooked),
            });
            self.plan(fraud);
        }
        number as f64
    }

    fn plan(&mut self, fraud: Purchase) {
        self.plans += 1;
        self.planned.insert((fraud.at_ms, self.plans), fraud);
    }

    /// Takes out what was planned before a time, but for cards that have been replaced by then.
    fn take_place(&mut self, before_ms: i64, customers: &[Customer]) -> Vec<Purchase> {
        let later = self.planned.split_off(&(before_ms, 0));
        let now = std::mem::replace(&mut self.planned, later);
        let valid = |p: &Purchase| customers[p.customer as usize].cards_before(p.at_ms) == p.cards_before;
        now.into_values().filter(valid).collect()
    }

    /// A device of the gang behind a crime; a gang has few, and uses them for many cards.
    fn device(&self, dice: &mut Dice) -> u64 {
        device(u64::MAX - self.crimes / 6, dice.word() % 3)
    }
}

/// The abuse of one card.
struct Case {
    victim: u32,
    cards_before: usize,
    scenario: Scenario,
    device: u64,
    begin_ms: i64,
}

/// A time of the day at which fraudsters begin: later than others on average, and seldom at night.
fn waking_time(dice: &mut Dice) -> i64 {
    whole((15.5 + 4.5 * dice.normal()) * 3_600_000.0).rem_euclid(DAY_MS)
}

/// Whose card it is: whoever uses theirs much is robbed sooner, but not in proportion.
fn victim(dice: &mut Dice, scene: &Scene<'_>, customers: &[Customer]) -> u32 {
    let any = u32::try_from(dice.below(customers.len())).unwrap_or(0);
    let active = scene.any_purchase(dice).customer;
    if dice.chance(0.5) { active } else { any }
}

fn found_out(dice: &mut Dice, first_ms: i64) -> Option<i64> {
    let days = dice.log_normal(FOUND_OUT_DAYS.0, FOUND_OUT_DAYS.1);
    (!dice.chance(UNNOTICED)).then(|| first_ms + HOUR_MS + days_ms(days))
}

fn case_closed(dice: &mut Dice, from_ms: i64) -> i64 {
    from_ms + HOUR_MS + days_ms(dice.log_normal(CASE_DAYS.0, CASE_DAYS.1))
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Simulation};
    use super::*;

    fn frauds() -> Vec<Purchase> {
        let settings = Settings {
            customers: 800,
            terminals: 400,
            days: 60,
            ..Settings::default()
        };
        let mut simulation = Simulation::new(&settings);
        std::iter::from_fn(|| simulation.next_day()).flatten().collect()
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
    fn every_scenario_has_about_its_share_and_reports_come_late() {
        let all = frauds();
        for (scenario, wanted) in Scenario::ALL.into_iter().zip(SHARES) {
            let of_it = all
                .iter()
                .filter(|p| p.fraud.is_some_and(|f| f.scenario == scenario))
                .count();
            let share = of_it as f64 / all.len() as f64;
            assert!(
                (0.5..1.6).contains(&(share / wanted)),
                "{} makes up {share}",
                scenario.name()
            );
        }
        let delays: Vec<i64> = all
            .iter()
            .filter_map(|p| Some(p.fraud?.known_at_ms? - p.at_ms))
            .collect();
        assert!(delays.iter().all(|&d| d > HOUR_MS));
        let usual = delays
            .iter()
            .filter(|&&d| (DAY_MS..14 * DAY_MS).contains(&d))
            .count();
        assert!(
            usual as f64 > 0.75 * delays.len() as f64,
            "{usual} of {}",
            delays.len()
        );
        let frauds = all.iter().filter(|p| p.fraud.is_some()).count();
        assert!(delays.len() < frauds, "some are never reported");
    }

    #[test]
    fn a_card_that_was_replaced_is_used_no_more() {
        let mut last = BTreeMap::new();
        for purchase in frauds() {
            let card = last.entry(purchase.customer).or_insert(0);
            assert!(purchase.cards_before >= *card, "customer {}", purchase.customer);
            *card = purchase.cards_before;
        }
    }
}
