//! Manipulated terminals: the cards that pass through them are abused for some weeks.

use super::{
    Customer, Dice, Fraud, Fraudsters, Purchase, Scenario, Scene, case_closed, cents, channel, days_ms,
    found_out, usual_amount,
};
use crate::simulate::purchase::{Channel, MINUTE_MS};

/// Share of the purchases at a manipulated terminal whose card is abused, where it has few visits.
const ABUSED: f64 = 0.8;
/// Cards that a gang can abuse a day.
const CARDS_PER_DAY: f64 = 6.0;
/// For how many days a terminal stays manipulated: from, to.
const DAYS: (usize, usize) = (18, 40);
/// Share of the abuse that goes through the terminal itself, rather than one of the gang's own choice.
const AT_ITSELF: f64 = 0.8;

/// A terminal in a gang's hands.
pub(super) struct Manipulated {
    last_day: u32,
    /// Share of its purchases whose card is abused.
    share: f64,
    /// Where else the gang turns cards into money.
    outlet: u32,
    /// What it was expected to bring, less what it has brought.
    expected: f64,
}

impl Fraudsters {
    /// Has a terminal manipulated and returns how many transactions that is expected to bring.
    #[expect(clippy::cast_precision_loss, reason = "the visits of a day")]
    pub(super) fn manipulate(&mut self, dice: &mut Dice, scene: &Scene<'_>) -> f64 {
        let visits_of = |terminal| scene.purchases.iter().filter(|p| p.terminal == terminal).count();
        // Where many come and go, somebody would notice.
        let Some(terminal) = self
            .candidates(dice, scene)
            .into_iter()
            .min_by_key(|&t| visits_of(t))
        else {
            return 1.0;
        };
        let (visits, days) = (visits_of(terminal) as f64, dice.count(DAYS.0, DAYS.1));
        let share = ABUSED.min(CARDS_PER_DAY / visits);
        // One with few visits today has more on an ordinary day.
        let expected = share * days as f64 * visits * 1.3;
        let outlet = scene.any_purchase(dice).terminal;
        let last_day = scene.day.number + u32::try_from(days).unwrap_or(0);
        self.manipulated.insert(
            terminal,
            Manipulated {
                last_day,
                share,
                outlet,
                expected,
            },
        );
        expected
    }

    /// A few terminals with visitors that nobody has manipulated yet.
    fn candidates(&self, dice: &mut Dice, scene: &Scene<'_>) -> Vec<u32> {
        let free =
            |p: &&Purchase| p.channel != Channel::Online && !self.manipulated.contains_key(&p.terminal);
        (0..8)
            .map(|_| scene.any_purchase(dice))
            .filter(free)
            .map(|p| p.terminal)
            .take(4)
            .collect()
    }

    /// Plans the abuse of the cards that manipulated terminals have seen on a day, and gives terminals back
    /// whose time is over, or that have brought what was expected.
    pub(super) fn work_terminals(&mut self, dice: &mut Dice, scene: &Scene<'_>, customers: &mut [Customer]) {
        for seen in scene.purchases {
            if let Some(place) = self.manipulated.get_mut(&seen.terminal)
                && dice.chance(place.share)
            {
                place.expected -= 1.0;
                let terminal = if dice.chance(AT_ITSELF) {
                    seen.terminal
                } else {
                    place.outlet
                };
                self.abuse_seen(dice, scene, customers, seen, terminal);
            }
        }
        let owed = &mut self.owed[Scenario::Terminal as usize];
        self.manipulated.retain(|_, place| {
            let over = place.last_day <= scene.day.number || place.expected <= 0.0;
            *owed += if over { place.expected } else { 0.0 };
            !over
        });
    }

    /// Plans a charge to a card that a manipulated terminal has seen: soon, and for about what is usual there.
    fn abuse_seen(
        &mut self,
        dice: &mut Dice,
        scene: &Scene<'_>,
        customers: &mut [Customer],
        seen: &Purchase,
        terminal: u32,
    ) {
        let at_ms = seen.at_ms + MINUTE_MS + days_ms(dice.exponential(0.4));
        let amount = usual_amount(dice, 1.1, terminal, scene.world) * dice.log_normal(2.2, 0.4);
        let amount_minor = cents(amount);
        let channel = channel(dice, terminal, amount_minor, scene.world);
        let device = (channel == Channel::Online).then(|| self.device(dice));
        let found_out_ms = found_out(dice, at_ms);
        let known_at_ms = found_out_ms.map(|at| case_closed(dice, at));
        let customer = &mut customers[seen.customer as usize];
        if let Some(at) = found_out_ms {
            customer.replace_card(at);
        }
        let fraud = Some(Fraud {
            scenario: Scenario::Terminal,
            known_at_ms,
        });
        self.plan(Purchase {
            at_ms,
            terminal,
            amount_minor,
            channel,
            device,
            fraud,
            ..seen.clone()
        });
    }
}
