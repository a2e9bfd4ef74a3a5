//! Whether the entropy-coded data of a JPEG hold the whole image, and nothing else.
//!
//! The decoder goes on when data end early or make no sense, and fills the rest with grey. Here every code is read as
//! a decoder reads it, without computing samples: data that end early, that are left over, or that break a rule are
//! damage. Damage that happens to spell another image of the same size cannot be noticed, as in any JPEG.
//!
//! # Source
//! ITU-T T.81, annexes B, F.2 and G.2.

use super::super::bytes::be16;
use super::bits::{Bits, Table};

type Check<T> = Result<T, &'static str>;

/// One colour component.
struct Component {
    id: u8,
    horizontal: usize,
    vertical: usize,
    /// Blocks that a scan of this component alone has, in each direction.
    blocks: (usize, usize),
    /// Blocks in a row of whole MCUs.
    stride: usize,
    /// Which coefficients of each block are not zero so far, by their zigzag number; of progressive images only.
    known: Vec<u64>,
    has_dc: bool,
}

/// The state between the scans of an image.
#[derive(Default)]
pub(super) struct Checker {
    dc_tables: [Option<Box<Table>>; 4],
    ac_tables: [Option<Box<Table>>; 4],
    components: Vec<Component>,
    mcus: (usize, usize),
    restart_interval: usize,
    progressive: bool,
}

/// What a scan header says.
struct Scan {
    /// Component, DC table and AC table of each part.
    parts: Vec<(usize, usize, usize)>,
    first: u8,
    last: u8,
    refines: bool,
    /// Blocks that are known to have no further coefficients in this scan.
    end_run: u32,
}

impl Checker {
    /// Takes the content of a segment that is no scan.
    pub(super) fn segment(&mut self, marker: u8, content: &[u8]) -> Check<()> {
        match marker {
            0xC0..=0xC2 => self.frame(content, marker == 0xC2),
            0xC4 => self.tables(content),
            0xDD => {
                self.restart_interval = usize::from(be16(content, 0).ok_or("a short restart interval")?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether every component has been scanned.
    pub(super) fn finish(&self) -> Check<()> {
        let complete = self.components.iter().all(|component| component.has_dc);
        if complete {
            Ok(())
        } else {
            Err("a component without a scan")
        }
    }

    fn frame(&mut self, content: &[u8], progressive: bool) -> Check<()> {
        let (Some(height), Some(width)) = (be16(content, 1), be16(content, 3)) else {
            return Err("a short frame header");
        };
        let (width, height) = (usize::from(width), usize::from(height));
        let fields = content.get(6..).unwrap_or_default().chunks_exact(3);
        let sampling = |field: &[u8]| (usize::from(field[1] >> 4), usize::from(field[1] & 15));
        let widest = fields
            .clone()
            .map(|f| sampling(f).0)
            .max()
            .ok_or("no components")?;
        let highest = fields
            .clone()
            .map(|f| sampling(f).1)
            .max()
            .ok_or("no components")?;
        self.mcus = (width.div_ceil(8 * widest), height.div_ceil(8 * highest));
        self.progressive = progressive;
        for field in fields {
            let (horizontal, vertical) = sampling(field);
            let stride = self.mcus.0 * horizontal;
            let blocks = (
                (width * horizontal).div_ceil(8 * widest),
                (height * vertical).div_ceil(8 * highest),
            );
            let known = if progressive {
                vec![0; stride * self.mcus.1 * vertical]
            } else {
                Vec::new()
            };
            let id = field[0];
            self.components.push(Component {
                id,
                horizontal,
                vertical,
                blocks,
                stride,
                known,
                has_dc: false,
            });
        }
        Ok(())
    }

    fn tables(&mut self, mut content: &[u8]) -> Check<()> {
        while let Some((&selector, rest)) = content.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or("a short table")?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = rest.get(..total).ok_or("a short table")?;
            content = &rest[total..];
            let class = if selector >> 4 == 0 {
                &mut self.dc_tables
            } else {
                &mut self.ac_tables
            };
            let table = Table::new(counts, symbols).ok_or("an impossible table")?;
            *class.get_mut(usize::from(selector & 15)).ok_or("a fifth table")? = Some(Box::new(table));
        }
        Ok(())
    }

    /// Takes a scan: the content of its header, and its data up to the next marker that is no restart.
    pub(super) fn scan(&mut self, header: &[u8], data: &[u8]) -> Check<()> {
        let mut scan = self.scan_header(header)?;
        let mut bits = Bits::new(data);
        let alone = scan.parts.len() == 1;
        let (columns, rows) = if alone {
            self.components[scan.parts[0].0].blocks
        } else {
            self.mcus
        };
        let total = columns * rows;
        for mcu in 0..total {
            if self.restart_interval > 0 && mcu > 0 && mcu % self.restart_interval == 0 {
                scan.ends()?;
                bits.restart((mcu / self.restart_interval - 1) % 8)?;
            }
            self.mcu(&mut scan, &mut bits, (mcu % columns, mcu / columns), alone)?;
        }
        scan.ends()?;
        bits.end()
    }

    fn scan_header(&mut self, header: &[u8]) -> Check<Scan> {
        let count = usize::from(*header.first().ok_or("a short scan header")?);
        let &[first, last, approximation] = header.get(1 + 2 * count..).unwrap_or_default() else {
            return Err("a short scan header");
        };
        let mut parts: Vec<(usize, usize, usize)> = Vec::with_capacity(4);
        for field in header[1..=2 * count].chunks_exact(2) {
            let index = self
                .components
                .iter()
                .position(|component| component.id == field[0]);
            let index = index.filter(|index| parts.iter().all(|part| part.0 != *index));
            let tables = (usize::from(field[1] >> 4), usize::from(field[1] & 15));
            if tables.0 > 3 || tables.1 > 3 {
                return Err("a fifth table");
            }
            parts.push((index.ok_or("a scan of unknown components")?, tables.0, tables.1));
        }
        let spectral = if self.progressive {
            first <= last && last <= 63 && (first == 0) == (last == 0) && (first == 0 || count == 1)
        } else {
            (first, last, approximation) == (0, 63, 0)
        };
        if parts.is_empty() || !spectral {
            return Err("an impossible scan");
        }
        for part in &parts {
            let component = &mut self.components[part.0];
            if !self.progressive && component.has_dc {
                return Err("a component scanned twice");
            }
            component.has_dc |= first == 0;
        }
        Ok(Scan {
            parts,
            first,
            last,
            refines: approximation >> 4 != 0,
            end_run: 0,
        })
    }

    fn mcu(
        &mut self,
        scan: &mut Scan,
        bits: &mut Bits<'_>,
        (x, y): (usize, usize),
        alone: bool,
    ) -> Check<()> {
        for part in 0..scan.parts.len() {
            let (index, dc, ac) = scan.parts[part];
            let component = &self.components[index];
            let (wide, high) = if alone {
                (1, 1)
            } else {
                (component.horizontal, component.vertical)
            };
            let start = y * high * component.stride + x * wide;
            let stride = component.stride;
            for block in 0..wide * high {
                let place = start + block / wide * stride + block % wide;
                self.block(scan, bits, (index, dc, ac), place)?;
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        scan: &mut Scan,
        bits: &mut Bits<'_>,
        (index, dc, ac): (usize, usize, usize),
        place: usize,
    ) -> Check<()> {
        let dc_table = || self.dc_tables[dc].as_deref().ok_or("a table that is not defined");
        let ac_table = || self.ac_tables[ac].as_deref().ok_or("a table that is not defined");
        if !self.progressive {
            let (dc_table, ac_table) = (dc_table()?, ac_table()?);
            dc_difference(bits, dc_table)?;
            return sequential(bits, ac_table);
        }
        match (scan.first, scan.refines) {
            (0, false) => dc_difference(bits, dc_table()?),
            (0, true) => bits.skip(1),
            (_, refines) => {
                let table = ac_table()?;
                let known = self.components[index]
                    .known
                    .get_mut(place)
                    .ok_or("a block outside the image")?;
                if refines {
                    refined(bits, table, scan, known)
                } else {
                    first_pass(bits, table, scan, known)
                }
            }
        }
    }
}

impl Scan {
    /// Whether a run of blocks ends where the scan does.
    fn ends(&self) -> Check<()> {
        if self.end_run == 0 {
            Ok(())
        } else {
            Err("a run of blocks beyond its scan")
        }
    }

    /// Takes the length of a run of blocks without further coefficients.
    fn start_run(&mut self, bits: &mut Bits<'_>, exponent: u8) -> Check<()> {
        self.end_run = (1 << exponent) + bits.read(exponent)?;
        Ok(())
    }
}

fn dc_difference(bits: &mut Bits<'_>, table: &Table) -> Check<()> {
    match bits.symbol(table)? {
        size @ 0..=15 => bits.skip(size),
        _ => Err("an impossible DC difference"),
    }
}

/// The AC coefficients of a block of a sequential scan.
fn sequential(bits: &mut Bits<'_>, table: &Table) -> Check<()> {
    let mut place = 1;
    while place <= 63 {
        let symbol = bits.symbol(table)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        match (run, size) {
            (15, 0) => place += 16,
            (_, 0) => return Ok(()),
            _ => {
                place += run;
                if place > 63 {
                    return Err("coefficients beyond their block");
                }
                bits.skip(size)?;
                place += 1;
            }
        }
    }
    if place > 64 {
        Err("coefficients beyond their block")
    } else {
        Ok(())
    }
}

/// The AC coefficients of a block of the first scan over a band.
fn first_pass(bits: &mut Bits<'_>, table: &Table, scan: &mut Scan, known: &mut u64) -> Check<()> {
    if scan.end_run > 0 {
        scan.end_run -= 1;
        return Ok(());
    }
    let mut place = scan.first;
    while place <= scan.last {
        let symbol = bits.symbol(table)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        match (run, size) {
            (15, 0) => place += 16,
            (_, 0) => {
                scan.start_run(bits, run)?;
                scan.end_run -= 1;
                return Ok(());
            }
            _ => {
                place += run;
                if place > scan.last {
                    return Err("coefficients beyond their block");
                }
                bits.skip(size)?;
                *known |= 1 << place;
                place += 1;
            }
        }
    }
    Ok(())
}

/// The AC coefficients of a block of a scan that refines a band.
fn refined(bits: &mut Bits<'_>, table: &Table, scan: &mut Scan, known: &mut u64) -> Check<()> {
    let mut place = scan.first;
    while scan.end_run == 0 && place <= scan.last {
        let symbol = bits.symbol(table)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        match size {
            0 if zeros < 15 => {
                scan.start_run(bits, zeros)?;
                break;
            }
            0 => {}
            1 => bits.skip(1)?,
            _ => return Err("an impossible refinement"),
        }
        // Known coefficients on the way have a bit each; so many unknown ones stay zero.
        while place <= scan.last {
            if *known >> place & 1 == 1 {
                bits.skip(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            place += 1;
        }
        if size == 1 {
            if place > scan.last {
                return Err("coefficients beyond their block");
            }
            *known |= 1 << place;
        }
        place += 1;
    }
    if scan.end_run > 0 {
        for place in place..=scan.last {
            if *known >> place & 1 == 1 {
                bits.skip(1)?;
            }
        }
        scan.end_run -= 1;
    }
    Ok(())
}
