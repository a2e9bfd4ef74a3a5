//! Bits and Huffman codes of a JPEG scan.

/// Codes of at most so many bits are looked up; longer ones are rare.
const LOOKUP_BITS: u8 = 9;

/// A Huffman table.
///
/// # Source
/// ITU-T T.81, annex C and section F.2.2.3.
pub(super) struct Table {
    /// Length and symbol by the next bits; length 0 where the code is longer, or none.
    lookup: [(u8, u8); 1 << LOOKUP_BITS],
    symbols: Vec<u8>,
    /// For each length: the first code that is too large for it, and the symbol number of its code 0, wrapping.
    lengths: [(u32, u32); 17],
}

impl Table {
    /// The table of so many codes of each length, 1 to 16; nothing if there are more than fit.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            lookup: [(0, 0); 1 << LOOKUP_BITS],
            symbols: symbols.to_vec(),
            lengths: [(0, 0); 17],
        };
        let (mut code, mut number) = (0_u32, 0_u32);
        for (length, &count) in (1_u8..).zip(counts) {
            let end = code + u32::from(count);
            if end > 1 << length {
                return None;
            }
            table.lengths[usize::from(length)] = (end, number.wrapping_sub(code));
            for code in code..end {
                table.enter(code, length, symbols[number as usize]);
                number += 1;
            }
            code = end << 1;
        }
        Some(table)
    }

    fn enter(&mut self, code: u32, length: u8, symbol: u8) {
        if length <= LOOKUP_BITS {
            let free = LOOKUP_BITS - length;
            let start = (code as usize) << free;
            self.lookup[start..start + (1 << free)].fill((length, symbol));
        }
    }

    /// Length and symbol of the code that 16 bits begin with.
    fn find(&self, bits: u32) -> Option<(u8, u8)> {
        let found = self.lookup[(bits >> (16 - LOOKUP_BITS)) as usize];
        if found.0 > 0 {
            return Some(found);
        }
        (LOOKUP_BITS + 1..=16).find_map(|length| {
            let code = bits >> (16 - length);
            let (end, offset) = self.lengths[usize::from(length)];
            (code < end).then(|| (length, self.symbols[code.wrapping_add(offset) as usize]))
        })
    }
}

/// The bits of a scan.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the highest down.
    next: u64,
    /// How many of them there are.
    count: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            next: 0,
            count: 0,
        }
    }

    /// Takes bytes as long as there is room, up to a marker or the end.
    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match self.data[self.at..] {
                [0xFF, 0, ..] => {
                    self.at += 2;
                    0xFF
                }
                [0xFF, ..] | [] => return,
                [byte, ..] => {
                    self.at += 1;
                    byte
                }
            };
            self.next |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, &'static str> {
        if self.count < 16 {
            self.fill();
        }
        let (length, symbol) = table.find((self.next >> 48) as u32).ok_or("an unknown code")?;
        self.take(length)?;
        Ok(symbol)
    }

    /// A number of at most 16 bits.
    pub(super) fn read(&mut self, bits: u8) -> Result<u32, &'static str> {
        if self.count < 16 {
            self.fill();
        }
        let number = (self.next >> 32 >> (32 - bits)) as u32;
        self.take(bits)?;
        Ok(number)
    }

    pub(super) fn skip(&mut self, bits: u8) -> Result<(), &'static str> {
        if self.count < bits {
            self.fill();
        }
        self.take(bits)
    }

    fn take(&mut self, bits: u8) -> Result<(), &'static str> {
        self.count = self.count.checked_sub(bits).ok_or("data that end too early")?;
        self.next <<= bits;
        Ok(())
    }

    /// Goes on behind the restart marker of a number, which must come next.
    pub(super) fn restart(&mut self, number: usize) -> Result<(), &'static str> {
        self.pad()?;
        match self.data[self.at..] {
            [0xFF, marker @ 0xD0..=0xD7, ..] if usize::from(marker - 0xD0) == number => {
                self.at += 2;
                Ok(())
            }
            _ => Err("a missing restart"),
        }
    }

    /// Whether nothing is left.
    pub(super) fn end(&mut self) -> Result<(), &'static str> {
        self.pad()?;
        if self.at < self.data.len() {
            Err("data left over")
        } else {
            Ok(())
        }
    }

    /// Passes over less than a byte of padding, and any fill bytes.
    fn pad(&mut self) -> Result<(), &'static str> {
        if self.count >= 8 {
            return Err("data left over");
        }
        (self.next, self.count) = (0, 0);
        while matches!(self.data[self.at..], [0xFF, 0xFF, ..] | [0xFF]) {
            self.at += 1;
        }
        Ok(())
    }
}
