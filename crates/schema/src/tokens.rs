//! Tokens: what takes the place of a card or account number once ingest has seen it (INV-7).

use std::borrow::Cow;
use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::event::{Attribute, Event};

/// Shortest key: as long as the hash it keys.
pub const MIN_KEY_BYTES: usize = 32;

/// Replaces card and account numbers by keyed hashes, the same number always by the same token.
#[derive(Clone)]
pub struct Tokeniser {
    mac: Hmac<Sha256>,
    entities: BTreeSet<String>,
}

impl std::fmt::Debug for Tokeniser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokeniser")
            .field("entities", &self.entities)
            .finish_non_exhaustive()
    }
}

impl Tokeniser {
    /// A tokeniser of these entities; card numbers inside other texts are replaced as well.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length. Shorter ones than [`MIN_KEY_BYTES`] are refused by configuration.
    #[must_use]
    pub fn new(key: &[u8], entities: impl IntoIterator<Item = String>) -> Self {
        let mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self {
            mac,
            entities: entities.into_iter().collect(),
        }
    }

    /// The token of a value: 128 bits of its HMAC-SHA256, in hexadecimal digits behind `tok_`.
    ///
    /// # Source
    /// FIPS 198-1, truncated as SP 800-107 section 5.3.3 allows.
    #[must_use]
    pub fn token(&self, value: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(value.as_bytes());
        format!("tok_{}", hex::encode(&mac.finalize().into_bytes()[..16]))
    }

    /// Replaces the numbers of an event, in place.
    pub fn apply(&self, event: &mut Event) {
        let entities = match event {
            Event::Transaction(t) => {
                for value in t.attributes.values_mut() {
                    if let Attribute::Text(text) = value
                        && let Cow::Owned(clean) = self.without_card_numbers(text)
                    {
                        *text = clean;
                    }
                }
                &mut t.entities
            }
            Event::Label(l) => &mut l.entities,
            Event::Image(i) => &mut i.entities,
        };
        for (name, value) in entities {
            if self.entities.contains(name) {
                *value = self.token(value);
            } else if is_card_number(value) {
                *value = self.token(&digits(value));
            }
        }
    }

    /// A text with every card number in it replaced by its token.
    #[must_use]
    pub fn without_card_numbers<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        let mut from = 0;
        while let Some((start, end)) = next_number(&clean, from) {
            if is_card_number(&clean[start..end]) {
                let token = self.token(&digits(&clean[start..end]));
                clean.to_mut().replace_range(start..end, &token);
                from = start + token.len();
            } else {
                from = end;
            }
        }
        clean
    }
}

/// Whether a text is a payment card number: 13 to 19 digits, perhaps in groups, with a right check digit.
///
/// # Source
/// ISO/IEC 7812-1 annex B (Luhn).
#[must_use]
pub fn is_card_number(text: &str) -> bool {
    if !text.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == '-') {
        return false;
    }
    let digits = digits(text);
    (13..=19).contains(&digits.len()) && luhn(&digits)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match (place % 2, digit * 2) {
                (0, _) => digit,
                (_, twice) if twice > 9 => twice - 9,
                (_, twice) => twice,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The next run of digits, spaces and hyphens that begins and ends with a digit, as byte positions.
fn next_number(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let start = from + bytes[from..].iter().position(u8::is_ascii_digit)?;
    let separated = |b: &u8| b.is_ascii_digit() || *b == b' ' || *b == b'-';
    let run = bytes[start..].iter().take_while(|b| separated(b)).count();
    let last = bytes[start..start + run].iter().rposition(u8::is_ascii_digit)?;
    Some((start, start + last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Label, Subject, Verdict};
    use std::collections::BTreeMap;

    const PAN: &str = "4111111111111111";

    fn tokeniser() -> Tokeniser {
        Tokeniser::new(&[7; 32], ["account".to_owned()])
    }

    #[test]
    fn tokens_are_stable_and_keyed() {
        assert_eq!(tokeniser().token(PAN), tokeniser().token(PAN));
        assert_ne!(tokeniser().token(PAN), Tokeniser::new(&[8; 32], []).token(PAN));
    }

    #[test]
    fn card_numbers_in_texts_disappear_and_other_numbers_stay() {
        let clean =
            tokeniser().without_card_numbers("paid 4111 1111-1111 1111, order 1234567890123 ünder 12");
        assert!(
            !clean.contains("1111") && clean.contains("order 1234567890123 ünder 12"),
            "{clean}"
        );
        assert!(matches!(
            tokeniser().without_card_numbers("nothing here"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn named_entities_are_always_replaced_and_others_when_they_are_card_numbers() {
        let entities = BTreeMap::from([
            ("account".to_owned(), "7".to_owned()),
            ("device".to_owned(), PAN.to_owned()),
            ("terminal".to_owned(), "9".to_owned()),
        ]);
        let mut event = Event::Label(Label {
            subject: Subject::Transaction("t".into()),
            verdict: Verdict::Fraud,
            known_at_us: 0,
            source: String::new(),
            entities,
        });
        tokeniser().apply(&mut event);
        let Event::Label(label) = event else {
            unreachable!("still a label")
        };
        assert!(
            label.entities["account"].starts_with("tok_") && label.entities["device"].starts_with("tok_")
        );
        assert_eq!(label.entities["terminal"], "9");
    }
}
