//! Manipulated terminals: the cards that pass through them are abused for some weeks.

use super::{
    Customer, Dice, Fraud, Fraudsters, Purchase, Scenario, Scene, case_closed, cents, channel, days_ms,
    found_out, usual_amount,
};
use crate::simulate::purchase::{Channel, MINUTE_MS};

/// Share of the purchases at a manipulated terminal whose card is abused.
const ABUSED: f64 = 0.8;
/// For how many days a terminal stays manipulated: from, to.
const DAYS: (usize, usize) = (18, 40);
/// Share of the abuse that goes through the terminal itself, rather than one of the gang's own choice.
const AT_ITSELF: f64 = 0.8;

/// A terminal in a gang's hands.
pub(super) struct Manipulated {
    last_day: u32,
    /// Where else the gang turns cards into money.
    outlet: u32,
    /// What it was expected to bring, less what it has brought.
    expected: f64,
}

impl Fraudsters {
    /// Has a terminal manipulated and returns how many transactions that is expected to bring.
    #[expect(clippy::cast_precision_loss, reason = "the visits of a day")]
    pub(super) fn manipulate(&mut self, dice: &mut Dice, scene: &Scene<'_>) -> f64 {
        let standing =
            |p: &&Purchase| p.channel != Channel::Online && !self.manipulated.contains_key(&p.terminal);
        let Some(at) = (0..20).map(|_| scene.any_purchase(dice)).find(standing) else {
            return 1.0;
        };
        let (terminal, days) = (at.terminal, dice.count(DAYS.0, DAYS.1));
        let visits = scene.purchases.iter().filter(|p| p.terminal == terminal).count();
        // One that is found because of its visits had more of them today than on an ordinary day.
        let expected = ABUSED * days as f64 * (visits as f64 * 0.7);
        let outlet = scene.any_purchase(dice).terminal;
        let last_day = scene.day.number + u32::try_from(days).unwrap_or(0);
        self.manipulated.insert(
            terminal,
            Manipulated {
                last_day,
                outlet,
                expected,
            },
        );
        expected
    }

    /// Plans the abuse of the cards that manipulated terminals have seen on a day, and gives terminals back
    /// whose time is over.
    pub(super) fn work_terminals(&mut self, dice: &mut Dice, scene: &Scene<'_>, customers: &mut [Customer]) {
        for seen in scene.purchases {
            if let Some(place) = self.manipulated.get_mut(&seen.terminal)
                && dice.chance(ABUSED)
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
            let over = place.last_day <= scene.day.number;
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
