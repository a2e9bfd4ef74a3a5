//! R7: what a batch says of its writer.

use serde::{Deserialize, Serialize};

use crate::{HeaderError, Writer};

/// The name of the Kafka header that holds a batch's [`BatchHeader`] as JSON.
pub const HEADER: &str = "batch";

/// R7: a source's word about itself, carried by every batch.
///
/// A word goes to every target partition, in an empty batch if need be: when an owner starts, when its
/// generation changes (to owners that stay, too), when the word changes, and again now and then, because a word
/// that was lost must not stop anybody for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The generation of ingest's consumer group, at least 1; a keyed stage passes on the highest it has heard,
    /// 0 if none.
    pub generation: i64,
    /// The input offset that the word holds for: next to read.
    pub position: i64,
    /// Whether the source has read everything there is: it holds nobody back.
    pub caught_up: bool,
    /// No later row of this source has a lower order time.
    pub watermark_us: i64,
    /// How many sources the writer's stage has in that generation.
    pub sources: u32,
}

/// The header of a batch on an internal topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Who wrote it.
    pub writer: Writer,
    /// The version of the definitions that made the rows; it does not restart the numbers (R15).
    pub epoch: u32,
    /// The highest index the writer sent to this partition before this batch, −1 if none (R5).
    pub index_before: i64,
    /// What the writer says of itself.
    pub word: Word,
}

impl BatchHeader {
    /// The header as JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and a name are always JSON")
    }

    /// R7: the headers of two batches that stand for one too large to be sent.
    ///
    /// The word holds once all rows are out: the first part says no more than that nothing below `lowest_us` follows.
    ///
    /// # Shape
    /// `last_index`: that of the first part's last row. `lowest_us`: the lowest order time of the second part's rows.
    #[must_use]
    pub fn split(self, last_index: i64, lowest_us: i64) -> (Self, Self) {
        let word = Word {
            caught_up: false,
            watermark_us: self.word.watermark_us.min(lowest_us),
            ..self.word
        };
        let first = Self { word, ..self.clone() };
        let second = Self {
            index_before: last_index,
            ..self
        };
        (first, second)
    }

    /// Reads what [`BatchHeader::to_bytes`] wrote; fields it does not know are passed over.
    ///
    /// # Errors
    /// [`HeaderError`] if the bytes are not the JSON of a header.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn r7_headers_are_read_as_written(
            (stage, partition) in ("\\PC{0,12}", 0..i32::MAX),
            epoch: u32, index_before: i64, generation: i64, position: i64, caught_up: bool,
            watermark_us: i64, sources: u32,
        ) {
            let word = Word { generation, position, caught_up, watermark_us, sources };
            let header = BatchHeader { writer: Writer::new(&stage, partition), epoch, index_before, word };
            let read = BatchHeader::from_bytes(&header.to_bytes());
            prop_assert_eq!(read.ok(), Some(header));
        }

        #[test]
        fn bytes_that_are_no_header_are_refused(bytes: Vec<u8>) {
            prop_assert!(BatchHeader::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn r7_the_text_of_a_header_is_part_of_the_log() {
        let word = Word {
            generation: 2,
            position: 7,
            caught_up: true,
            watermark_us: -5,
            sources: 3,
        };
        let writer = Writer::new("terminal", 1);
        let header = BatchHeader {
            writer,
            epoch: 4,
            index_before: -1,
            word,
        };
        let text = r#"{"writer":"terminal/1","epoch":4,"index_before":-1,"word":{"generation":2,"position":7,"caught_up":true,"watermark_us":-5,"sources":3}}"#;
        assert_eq!(header.to_bytes(), text.as_bytes());
        let later = text.replace("\"epoch\"", "\"new\":[1],\"epoch\"");
        assert_eq!(BatchHeader::from_bytes(later.as_bytes()).ok(), Some(header));
        assert!(BatchHeader::from_bytes(text.replace("terminal/1", "terminal").as_bytes()).is_err());
    }
}
