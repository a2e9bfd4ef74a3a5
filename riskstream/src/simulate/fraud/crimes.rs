//! What is done with one card.

use super::{
    Case, Customer, DAY_MS, Dice, HOUR_MS, Purchase, Scenario, Scene, cents, channel, days_ms, usual_amount,
    whole,
};
use crate::simulate::purchase::{Channel, MINUTE_MS};

/// A leaked card is used no longer than this, even if nobody finds out.
const LEAK_DAYS: f64 = 14.0;
/// Share of the leaked cards that are used so that nobody notices: at home, for ordinary amounts.
const QUIET: f64 = 0.25;

impl Case {
    /// Everything that would be done with the card if nobody found out, by time.
    pub(super) fn plan(&self, dice: &mut Dice, scene: &Scene<'_>, customer: &Customer) -> Vec<Purchase> {
        match self.scenario {
            Scenario::Leak => self.leak(dice, scene),
            Scenario::Testing => self.testing(dice, scene, customer),
            Scenario::Habit | Scenario::Terminal => self.over_habit(dice, scene, customer),
        }
    }

    /// One to three purchases for several times what the customer spends, where the customer might go.
    fn over_habit(&self, dice: &mut Dice, scene: &Scene<'_>, customer: &Customer) -> Vec<Purchase> {
        let mut at_ms = self.begin_ms;
        let mut plan = Vec::new();
        for _ in 0..dice.count(1, 3) {
            let terminal = match dice.unit() {
                x if x < 0.5 => customer.favourites.draw(dice),
                x if x < 0.8 => scene.world.in_town(dice, customer.home),
                _ => scene.world.web.draw(dice),
            };
            let amount = customer.habit * dice.log_normal(10.0, 0.5);
            plan.push(self.fraud(dice, scene, at_ms, terminal, amount));
            at_ms += whole(dice.between(5.0, 180.0) * 60_000.0);
        }
        plan
    }

    /// Some days of shopping in a strange town or in web shops, for more than others spend there.
    fn leak(&self, dice: &mut Dice, scene: &Scene<'_>) -> Vec<Purchase> {
        let quiet = dice.chance(QUIET);
        let greed = if quiet { 1.0 } else { dice.log_normal(6.0, 0.4) };
        let towns = if !quiet && dice.chance(0.65) {
            &scene.world.abroad
        } else {
            &scene.world.homes
        };
        let (town, on_the_web) = (towns.draw(dice), dice.chance(0.45));
        let end_ms = self.begin_ms + days_ms(dice.exponential(5.0).clamp(0.5, LEAK_DAYS));
        let mut at_ms = self.begin_ms;
        let mut plan = Vec::new();
        while at_ms < end_ms {
            let terminal = if on_the_web {
                scene.world.web.draw(dice)
            } else {
                scene.world.in_town(dice, town)
            };
            let amount = usual_amount(dice, 1.3, terminal, scene.world) * greed;
            plan.push(self.fraud(dice, scene, at_ms, terminal, amount));
            at_ms = awake(
                at_ms + days_ms(dice.exponential(if quiet { 0.8 } else { 0.3 })),
                dice,
            );
        }
        plan
    }

    /// A few small amounts within minutes, and hours later all that the card will give.
    fn testing(&self, dice: &mut Dice, scene: &Scene<'_>, customer: &Customer) -> Vec<Purchase> {
        let mut at_ms = self.begin_ms;
        let mut plan = Vec::new();
        let shop = scene.world.digital.draw(dice);
        for _ in 0..dice.count(2, 6) {
            let terminal = if dice.chance(0.7) {
                shop
            } else {
                scene.world.web.draw(dice)
            };
            let amount = dice.between(0.5, 2.5);
            plan.push(self.fraud(dice, scene, at_ms, terminal, amount));
            at_ms += whole(dice.exponential(12.0) * 60_000.0) + MINUTE_MS;
        }
        at_ms += whole(dice.between(0.2, 14.0) * 3_600_000.0);
        for _ in 0..dice.count(1, 2) {
            let terminal = scene.world.web.draw(dice);
            let amount = (customer.habit * dice.log_normal(10.0, 0.5)).max(90.0);
            plan.push(self.fraud(dice, scene, at_ms, terminal, amount));
            at_ms += whole(dice.between(2.0, 90.0) * 60_000.0);
        }
        plan
    }

    fn fraud(&self, dice: &mut Dice, scene: &Scene<'_>, at_ms: i64, terminal: u32, amount: f64) -> Purchase {
        let amount_minor = cents(amount);
        let channel = channel(dice, terminal, amount_minor, scene.world);
        Purchase {
            at_ms,
            customer: self.victim,
            cards_before: self.cards_before,
            terminal,
            amount_minor,
            channel,
            device: (channel == Channel::Online).then_some(self.device),
            fraud: None,
        }
    }
}

/// Moves most of what would happen between one and seven at night to the morning.
fn awake(at_ms: i64, dice: &mut Dice) -> i64 {
    let night = (HOUR_MS..7 * HOUR_MS).contains(&at_ms.rem_euclid(DAY_MS));
    if night && dice.chance(0.8) {
        at_ms + 7 * HOUR_MS
    } else {
        at_ms
    }
}
