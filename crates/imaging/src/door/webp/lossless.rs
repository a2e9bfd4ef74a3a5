//! What the prefix codes of a lossless WebP picture take, before a decoder builds them.
//!
//! A picture may define 65,536 groups of five codes whatever its size, and a code of 95 bits makes a table of 4 KiB: a
//! file of 4 MB takes a decoder more than a gigabyte. So everything in front of the pixels is read here: the
//! transforms, the picture that says which group holds where, and the lengths of all codes.
//!
//! # Source
//! RFC 9649, sections 3.3 to 3.7.

type Check<T> = Result<T, &'static str>;

const EARLY: &str = "codes that end too early";

/// Symbols of a code for green without the colour cache: literals, then lengths.
const LITERALS: usize = 256;
const LENGTHS: usize = 24;

/// Bytes that the decoder takes for a group and for a code, beside the tables.
const GROUP_BYTES: u64 = 1024;
const CODE_BYTES: u64 = 128;

/// Where the first 120 distances lie, as columns and rows back.
#[rustfmt::skip]
const NEAR: [(i32, i32); 120] = [
    (0, 1), (1, 0), (1, 1), (-1, 1), (0, 2), (2, 0), (1, 2), (-1, 2), (2, 1), (-2, 1), (2, 2), (-2, 2),
    (0, 3), (3, 0), (1, 3), (-1, 3), (3, 1), (-3, 1), (2, 3), (-2, 3), (3, 2), (-3, 2), (0, 4), (4, 0),
    (1, 4), (-1, 4), (4, 1), (-4, 1), (3, 3), (-3, 3), (2, 4), (-2, 4), (4, 2), (-4, 2), (0, 5), (3, 4),
    (-3, 4), (4, 3), (-4, 3), (5, 0), (1, 5), (-1, 5), (5, 1), (-5, 1), (2, 5), (-2, 5), (5, 2), (-5, 2),
    (4, 4), (-4, 4), (3, 5), (-3, 5), (5, 3), (-5, 3), (0, 6), (6, 0), (1, 6), (-1, 6), (6, 1), (-6, 1),
    (2, 6), (-2, 6), (6, 2), (-6, 2), (4, 5), (-4, 5), (5, 4), (-5, 4), (3, 6), (-3, 6), (6, 3), (-6, 3),
    (0, 7), (7, 0), (1, 7), (-1, 7), (5, 5), (-5, 5), (7, 1), (-7, 1), (4, 6), (-4, 6), (6, 4), (-6, 4),
    (2, 7), (-2, 7), (7, 2), (-7, 2), (3, 7), (-3, 7), (7, 3), (-7, 3), (5, 6), (-5, 6), (6, 5), (-6, 5),
    (8, 0), (4, 7), (-4, 7), (7, 4), (-7, 4), (8, 1), (8, 2), (6, 6), (-6, 6), (8, 3), (5, 7), (-5, 7),
    (7, 5), (-7, 5), (8, 4), (6, 7), (-6, 7), (7, 6), (-7, 6), (8, 5), (7, 7), (-7, 7), (8, 6), (8, 7),
];

/// Bytes that the decoder takes for the codes of a picture, or any number above the limit.
///
/// `data` begins behind the size of the picture.
pub(super) fn code_bytes(data: &[u8], width: u32, height: u32, limit: u64) -> Check<u64> {
    let mut bits = Bits { data, at: 0 };
    let mut columns = width;
    let mut seen = [false; 4];
    while bits.read(1)? == 1 {
        let kind = bits.read(2)?;
        if std::mem::replace(&mut seen[kind as usize], true) {
            return Err("a transform twice");
        }
        match kind {
            0 | 1 => {
                let shift = bits.read(3)? + 2;
                picture(&mut bits, reduced(columns, shift), reduced(height, shift))?;
            }
            2 => {}
            _ => {
                let colours = bits.read(8)? + 1;
                picture(&mut bits, colours, 1)?;
                columns = reduced(columns, packing(colours));
            }
        }
    }
    let cache = cache_size(&mut bits)?;
    let mut groups = 1;
    if bits.read(1)? == 1 {
        let shift = bits.read(3)? + 2;
        let used = picture(&mut bits, reduced(columns, shift), reduced(height, shift))?;
        groups += used.iter().map(|argb| argb >> 8 & 0xFFFF).max().unwrap_or(0);
    }
    let mut total = 0;
    for _ in 0..groups {
        total += GROUP_BYTES;
        for symbols in alphabets(cache) {
            total += Code::read(&mut bits, symbols)?.bytes();
        }
        if total > limit {
            break;
        }
    }
    Ok(total)
}

/// By how many bits a row shrinks when several indices share a pixel.
fn packing(colours: u32) -> u32 {
    match colours {
        0..=2 => 3,
        3..=4 => 2,
        5..=16 => 1,
        _ => 0,
    }
}

fn reduced(length: u32, shift: u32) -> u32 {
    (length + (1 << shift) - 1) >> shift
}

/// Entries of the colour cache.
fn cache_size(bits: &mut Bits<'_>) -> Check<usize> {
    if bits.read(1)? == 0 {
        return Ok(0);
    }
    match bits.read(4)? {
        size @ 1..=11 => Ok(1 << size),
        _ => Err("an impossible colour cache"),
    }
}

fn alphabets(cache: usize) -> [usize; 5] {
    [LITERALS + LENGTHS + cache, 256, 256, 256, 40]
}

/// A picture within the picture, as ARGB.
fn picture(bits: &mut Bits<'_>, width: u32, height: u32) -> Check<Vec<u32>> {
    let cache_size = cache_size(bits)?;
    let mut codes = Vec::with_capacity(5);
    for symbols in alphabets(cache_size) {
        codes.push(Code::read(bits, symbols)?);
    }
    let mut cache = vec![0_u32; cache_size];
    let total = width as usize * height as usize;
    let mut pixels: Vec<u32> = Vec::with_capacity(total);
    while pixels.len() < total {
        let start = pixels.len();
        let green = codes[0].symbol(bits)?;
        let symbol = usize::from(green);
        if symbol < LITERALS {
            let others = [
                codes[1].symbol(bits)?,
                codes[2].symbol(bits)?,
                codes[3].symbol(bits)?,
            ];
            let [red, blue, alpha] = others.map(u32::from);
            pixels.push(alpha << 24 | red << 16 | u32::from(green) << 8 | blue);
        } else if symbol < LITERALS + LENGTHS {
            let length = extended(bits, u32::from(green) - 256)?;
            let prefix = u32::from(codes[4].symbol(bits)?);
            let distance = distance(extended(bits, prefix)?, width);
            if distance > start || length > total - start {
                return Err("a copy from outside the picture");
            }
            (0..length).for_each(|_| pixels.push(pixels[pixels.len() - distance]));
        } else {
            pixels.push(cache[symbol - LITERALS - LENGTHS]);
        }
        if cache_size > 0 {
            let shift = 32 - cache_size.ilog2();
            for &argb in &pixels[start..] {
                cache[(argb.wrapping_mul(0x1E35_A7BD) >> shift) as usize] = argb;
            }
        }
    }
    Ok(pixels)
}

/// A length or a distance from its prefix.
fn extended(bits: &mut Bits<'_>, prefix: u32) -> Check<usize> {
    if prefix < 4 {
        return Ok(prefix as usize + 1);
    }
    let extra = (prefix - 2) >> 1;
    let offset = (2 + (prefix & 1)) << extra;
    Ok((offset + bits.read(extra)?) as usize + 1)
}

/// Pixels back from a distance as it is written.
fn distance(written: usize, width: u32) -> usize {
    match NEAR.get(written - 1) {
        None => written - NEAR.len(),
        Some((columns, rows)) => {
            let back = i64::from(*columns) + i64::from(*rows) * i64::from(width);
            usize::try_from(back).unwrap_or(1).max(1)
        }
    }
}

/// A prefix code.
struct Code {
    /// Symbols in the order of their codes.
    symbols: Vec<u16>,
    /// How many codes there are of each length.
    counts: [u16; 16],
}

impl Code {
    fn read(bits: &mut Bits<'_>, alphabet: usize) -> Check<Self> {
        let lengths = if bits.read(1)? == 1 {
            simple(bits, alphabet)?
        } else {
            written(bits, alphabet)?
        };
        Self::of_lengths(&lengths)
    }

    fn of_lengths(lengths: &[u8]) -> Check<Self> {
        let mut symbols: Vec<u16> = (0_u16..)
            .zip(lengths)
            .filter(|(_, l)| **l > 0)
            .map(|(s, _)| s)
            .collect();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        let mut counts = [0; 16];
        symbols
            .iter()
            .for_each(|symbol| counts[usize::from(lengths[usize::from(*symbol)])] += 1);
        let space: u32 = (0..16)
            .map(|length| u32::from(counts[length]) << (15 - length))
            .sum();
        match symbols.len() {
            1 => {}
            0 => return Err("a code without symbols"),
            _ if space != 1 << 15 => return Err("an incomplete code"),
            _ => {}
        }
        Ok(Self { symbols, counts })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Check<u16> {
        if let [symbol] = self.symbols[..] {
            return Ok(symbol);
        }
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_usize);
        for length in 1..16 {
            code = code << 1 | bits.read(1)?;
            first <<= 1;
            let count = u32::from(self.counts[length]);
            if code < first + count {
                return Ok(self.symbols[index + (code - first) as usize]);
            }
            first += count;
            index += count as usize;
        }
        Err("an unknown code")
    }

    /// Bytes of the decoder's table of up to 10 bits, and of its tree for longer codes.
    fn bytes(&self) -> u64 {
        let longest = self.counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let beyond: u64 = self.counts[11..].iter().map(|&count| u64::from(count)).sum();
        let table = if self.symbols.len() > 1 {
            4 << longest.min(10)
        } else {
            0
        };
        table + beyond * 64 + CODE_BYTES
    }
}

/// The lengths of a code of one or two symbols.
fn simple(bits: &mut Bits<'_>, alphabet: usize) -> Check<Vec<u8>> {
    let two = bits.read(1)? == 1;
    let first_bits = if bits.read(1)? == 1 { 8 } else { 1 };
    let first = bits.read(first_bits)? as usize;
    let second = if two { bits.read(8)? as usize } else { first };
    let mut lengths = vec![0; alphabet];
    for symbol in [first, second] {
        *lengths.get_mut(symbol).ok_or("an unknown symbol")? = 1;
    }
    Ok(lengths)
}

/// The lengths of a code that are written with a code of their own.
fn written(bits: &mut Bits<'_>, alphabet: usize) -> Check<Vec<u8>> {
    const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let count = bits.read(4)? as usize + 4;
    let mut own = [0; 19];
    for &symbol in &ORDER[..count] {
        own[symbol] = low_byte(bits.read(3)?);
    }
    let code = Code::of_lengths(&own)?;
    let mut left = alphabet;
    if bits.read(1)? == 1 {
        let length = 2 + 2 * bits.read(3)?;
        left = bits.read(length)? as usize + 2;
    }
    let (mut lengths, mut previous) = (Vec::with_capacity(alphabet), 8);
    while lengths.len() < alphabet && left > 0 {
        left -= 1;
        let (value, repeat) = match code.symbol(bits)? {
            16 => (previous, 3 + bits.read(2)?),
            17 => (0, 3 + bits.read(3)?),
            18 => (0, 11 + bits.read(7)?),
            length => (low_byte(length.into()), 1),
        };
        if value > 0 {
            previous = value;
        }
        lengths.resize(lengths.len() + repeat as usize, value);
    }
    if lengths.len() > alphabet {
        return Err("lengths of unknown symbols");
    }
    lengths.resize(alphabet, 0);
    Ok(lengths)
}

fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

/// Bits, the lowest of each byte first.
struct Bits<'a> {
    data: &'a [u8],
    /// Bits taken.
    at: usize,
}

impl Bits<'_> {
    /// A number of at most 24 bits.
    fn read(&mut self, count: u32) -> Check<u32> {
        let start = self.at / 8;
        let mut next = [0; 4];
        let there = self.data.len().saturating_sub(start).min(4);
        next[..there].copy_from_slice(&self.data[start.min(self.data.len())..][..there]);
        self.at += count as usize;
        if self.at > self.data.len() * 8 {
            return Err(EARLY);
        }
        let bits = u32::from_le_bytes(next) >> ((self.at - count as usize) % 8);
        Ok(bits & ((1 << count) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_one_symbol_take_no_table() {
        // No transform, no cache, no groups, then five codes of the symbol 0.
        let bits = [0b1000_1000, 0b1000_1000, 0b0000_1000];
        assert_eq!(
            code_bytes(&bits, 3, 3, u64::MAX),
            Ok(GROUP_BYTES + 5 * CODE_BYTES)
        );
    }

    #[test]
    fn incomplete_codes_are_refused() {
        assert!(Code::of_lengths(&[1, 2]).is_err());
        assert!(Code::of_lengths(&[1, 1, 1]).is_err());
        assert!(Code::of_lengths(&[]).is_err());
        assert!(Code::of_lengths(&[0, 7]).is_ok());
    }

    #[test]
    fn symbols_are_read_in_the_order_of_their_codes() {
        let code = Code::of_lengths(&[2, 1, 3, 3]).unwrap();
        // 0, 10, 110, 111, the first bit lowest.
        let mut bits = Bits {
            data: &[0b1101_1010, 0b1],
            at: 0,
        };
        let read: Vec<u16> = (0..4).map(|_| code.symbol(&mut bits).unwrap()).collect();
        assert_eq!(read, [1, 0, 2, 3]);
        bits.at = 16;
        assert_eq!(code.symbol(&mut bits), Err(EARLY));
    }
}
