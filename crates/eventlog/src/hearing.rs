//! R8: whose words count, and what they hold back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BatchHeader, NEVER_US, Word, Writer};

/// What may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontier {
    /// Nothing: not every source has been heard.
    Nothing,
    /// What has an order time strictly below: some source may still bring a row of just this one, and a label
    /// goes before a transaction of the same instant (R9).
    Before(i64),
    /// Everything: every source is caught up.
    Unbounded,
}

/// R8: what a reader has heard of its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    sources: BTreeMap<Writer, Heard>,
    generation: i64,
    expected: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Heard {
    generation: i64,
    position: i64,
    caught_up: bool,
    watermark_us: i64,
}

impl Hearing {
    /// Takes in a batch's header, be its rows new or not (R5).
    ///
    /// Watermarks only rise, and the word of the highest (generation, position) counts: owners that have been
    /// replaced, and successors that begin again further back, cannot take back what is known. Of two words about
    /// the same position in the same generation the later one counts. They come from one owner, whose mind has
    /// changed ([`CatchUp::cease`](crate::CatchUp::cease)); a keyed stage's words about one position are equal.
    pub fn hear(&mut self, header: &BatchHeader) {
        let Word {
            generation,
            position,
            caught_up,
            watermark_us,
            sources,
        } = header.word;
        let word = Heard {
            generation,
            position,
            caught_up,
            watermark_us,
        };
        match self.sources.get_mut(&header.writer) {
            Some(heard) => heard.update(word),
            None => drop(self.sources.insert(header.writer.clone(), word)),
        }
        if generation > self.generation {
            (self.generation, self.expected) = (generation, sources);
        } else if generation == self.generation {
            self.expected = self.expected.max(sources);
        }
    }

    /// What may go on, as far as is known.
    ///
    /// A source holds nobody back if it is caught up in the highest generation heard from anyone: an older
    /// "caught up" is void, its owner has yet to speak. Nothing goes on until as many sources are known as the
    /// headers say; once so many have spoken in this generation, sources known only from older ones are gone.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        let expected = self.expected as usize;
        if self.sources.is_empty() || self.sources.len() < expected {
            return Frontier::Nothing; // of no sources, all would be caught up
        }
        let all_have_spoken = self
            .sources
            .values()
            .filter(|heard| self.is_current(heard))
            .count()
            >= expected;
        let holding = self
            .sources
            .values()
            .filter(|heard| match self.is_current(heard) {
                true => !heard.caught_up,
                false => !all_have_spoken,
            });
        holding
            .map(|heard| heard.watermark_us)
            .min()
            .map_or(Frontier::Unbounded, Frontier::Before)
    }

    /// The highest generation heard, 0 if none.
    #[must_use]
    pub const fn generation(&self) -> i64 {
        self.generation
    }

    /// What is known of each source, for whoever watches: its watermark, and whether it says it is caught up.
    pub fn sources(&self) -> impl Iterator<Item = (&Writer, i64, bool)> {
        self.sources
            .iter()
            .map(|(writer, heard)| (writer, heard.watermark_us, heard.caught_up))
    }

    const fn is_current(&self, heard: &Heard) -> bool {
        heard.generation >= self.generation
    }
}

impl Heard {
    fn update(&mut self, new: Self) {
        let watermark_us = self.watermark_us.max(new.watermark_us).max(NEVER_US);
        if (new.generation, new.position) >= (self.generation, self.position) {
            *self = new;
        }
        self.watermark_us = watermark_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room(Hearing);

    impl Room {
        fn hear(
            &mut self,
            source: i32,
            (generation, position): (i64, i64),
            caught_up: bool,
            watermark_us: i64,
        ) {
            let word = Word {
                generation,
                position,
                caught_up,
                watermark_us,
                sources: 2,
            };
            let writer = Writer::source("raw", source);
            self.0.hear(&BatchHeader {
                writer,
                epoch: 0,
                index_before: -1,
                word,
            });
        }

        fn frontier(&self) -> Frontier {
            self.0.frontier()
        }
    }

    fn room() -> Room {
        Room(Hearing::default())
    }

    #[test]
    fn r8_nothing_goes_on_until_all_are_known() {
        let mut room = room();
        assert_eq!(room.frontier(), Frontier::Nothing);
        room.hear(0, (1, 3), true, 50);
        assert_eq!(room.frontier(), Frontier::Nothing, "one of two");
        room.hear(1, (1, 3), false, 20);
        assert_eq!(room.frontier(), Frontier::Before(20));
    }

    #[test]
    fn r8_the_slowest_that_is_not_caught_up_holds_back() {
        let mut room = room();
        room.hear(0, (1, 3), false, 50);
        room.hear(1, (1, 3), false, 20);
        assert_eq!(room.frontier(), Frontier::Before(20));
        room.hear(1, (1, 4), true, 20);
        assert_eq!(room.frontier(), Frontier::Before(50));
        room.hear(0, (1, 4), true, 50);
        assert_eq!(room.frontier(), Frontier::Unbounded);
        room.hear(1, (1, 5), false, 21);
        assert_eq!(room.frontier(), Frontier::Before(21));
    }

    #[test]
    fn r8_a_newer_generation_voids_an_older_caught_up() {
        let mut room = room();
        room.hear(0, (1, 3), true, 50);
        room.hear(1, (1, 3), true, 20);
        room.hear(0, (2, 3), true, 50);
        assert_eq!(room.frontier(), Frontier::Before(20), "1 has yet to speak");
        room.hear(1, (2, 3), true, 20);
        assert_eq!((room.frontier(), room.0.generation()), (Frontier::Unbounded, 2));
    }

    #[test]
    fn r8_those_replaced_cannot_take_back_what_is_known() {
        let mut room = room();
        room.hear(0, (2, 9), true, 90);
        room.hear(1, (2, 9), true, 90);
        room.hear(0, (1, 99), false, 10);
        room.hear(1, (2, 8), false, 10);
        assert_eq!(room.frontier(), Frontier::Unbounded);
        room.hear(0, (2, 10), false, 40);
        assert_eq!(room.frontier(), Frontier::Before(90), "watermarks only rise");
    }

    #[test]
    fn r8_a_later_word_about_the_same_position_counts() {
        let mut room = room();
        room.hear(0, (1, 3), true, 50);
        room.hear(1, (1, 3), true, 20);
        room.hear(1, (1, 3), false, 20);
        assert_eq!(room.frontier(), Frontier::Before(20));
    }

    #[test]
    fn r8_sources_of_older_generations_no_longer_count_once_enough_have_spoken() {
        let mut room = room();
        room.hear(0, (1, 3), false, 50);
        room.hear(7, (1, 3), false, 20);
        room.hear(0, (2, 3), false, 50);
        assert_eq!(room.frontier(), Frontier::Before(20));
        room.hear(1, (2, 0), false, 60);
        assert_eq!(room.frontier(), Frontier::Before(50), "7 is gone");
    }
}
