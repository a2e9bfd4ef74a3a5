//! R7: what each target partition has been told last, and whether a word is due.

use crate::Word;

/// What a writer has told its target partitions.
///
/// A word is due at once when the generation or the flag has changed or somebody asks for it. A watermark that
/// moves alone is told with rows, or after an interval: it would otherwise cost a message a turn and target.
#[derive(Clone, Debug)]
pub struct Telling {
    told: Vec<Option<Told>>,
    interval_us: i64,
    refreshed_at_us: i64,
    refresh: bool,
    again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    generation: i64,
    caught_up: bool,
    watermark_us: i64,
    sources: u32,
}

impl From<&Word> for Told {
    fn from(word: &Word) -> Self {
        let Word {
            generation,
            caught_up,
            watermark_us,
            sources,
            ..
        } = *word;
        Self {
            generation,
            caught_up,
            watermark_us,
            sources,
        }
    }
}

impl Telling {
    /// Nobody has been told anything: a new owner speaks at once, to everybody.
    #[must_use]
    pub fn new(targets: usize, interval_us: i64) -> Self {
        Self {
            told: vec![None; targets],
            interval_us,
            refreshed_at_us: crate::NEVER_US,
            refresh: false,
            again: false,
        }
    }

    /// Begins a turn of the writer; `again` repeats the word to everybody.
    pub fn turn(&mut self, now_us: i64, again: bool) {
        self.again = again;
        self.refresh = now_us.saturating_sub(self.refreshed_at_us) >= self.interval_us;
        if self.refresh {
            self.refreshed_at_us = now_us;
        }
    }

    /// Whether this target is to hear this word although there are no rows for it.
    #[must_use]
    pub fn is_due(&self, target: usize, word: &Word) -> bool {
        self.told[target].is_none_or(|told| {
            let now = Told::from(word);
            let same = Told {
                watermark_us: now.watermark_us,
                ..told
            } == now;
            self.again || !same || (self.refresh && told != now)
        })
    }

    /// The target hears this word with the batch that is sent now.
    pub fn tell(&mut self, target: usize, word: &Word) {
        self.told[target] = Some(Told::from(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(generation: i64, caught_up: bool, watermark_us: i64) -> Word {
        Word {
            generation,
            position: 0,
            caught_up,
            watermark_us,
            sources: 1,
        }
    }

    #[test]
    fn r7_a_new_owner_speaks_at_once_and_a_changed_flag_or_generation_is_told_at_once() {
        let mut telling = Telling::new(1, 100);
        telling.turn(0, false);
        assert!(telling.is_due(0, &word(1, false, 5)));
        telling.tell(0, &word(1, false, 5));
        assert!(!telling.is_due(0, &word(1, false, 5)));
        assert!(telling.is_due(0, &word(2, false, 5)) && telling.is_due(0, &word(1, true, 5)));
    }

    #[test]
    fn r7_a_watermark_alone_is_told_after_the_interval_and_a_word_again_when_asked_for() {
        let mut telling = Telling::new(1, 100);
        telling.turn(0, false);
        telling.tell(0, &word(1, false, 5));
        telling.turn(99, false);
        assert!(!telling.is_due(0, &word(1, false, 6)));
        telling.turn(100, false);
        assert!(telling.is_due(0, &word(1, false, 6)) && !telling.is_due(0, &word(1, false, 5)));
        telling.turn(101, true);
        assert!(telling.is_due(0, &word(1, false, 5)));
    }
}
