//! The directories of a TIFF, which EXIF has as well.

use std::ops::Range;

use super::bytes::{be16, be32, le16, le32};

pub(super) const ORIENTATION: u16 = 274;

const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// A TIFF structure; places are counted from its beginning.
#[derive(Clone, Copy)]
pub(super) struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

/// One field of a directory.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) tag: u16,
    kind: u16,
    pub(super) count: u32,
    /// Place of the value, or of the value's place.
    at: usize,
}

/// The fields of one directory, and the place of the next one, 0 after the last.
pub(super) struct Directory {
    pub(super) fields: Vec<Field>,
    pub(super) next: u32,
}

impl<'a> Tiff<'a> {
    /// The structure, and the place of its first directory.
    pub(super) fn open(bytes: &'a [u8]) -> Option<(Self, u32)> {
        let big_endian = match bytes.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        let tiff = Self { bytes, big_endian };
        Some((tiff, tiff.long(4)?))
    }

    fn short(self, at: usize) -> Option<u16> {
        if self.big_endian {
            be16(self.bytes, at)
        } else {
            le16(self.bytes, at)
        }
    }

    fn long(self, at: usize) -> Option<u32> {
        if self.big_endian {
            be32(self.bytes, at)
        } else {
            le32(self.bytes, at)
        }
    }

    /// The bytes of a number of 16 bits as this structure writes it.
    pub(super) fn short_bytes(self, number: u16) -> [u8; 2] {
        if self.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    /// The bytes of a number of 32 bits as this structure writes it.
    pub(super) fn long_bytes(self, number: u32) -> [u8; 4] {
        if self.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    /// The directory at a place, if the file holds all of it.
    pub(super) fn directory(self, at: u32) -> Option<Directory> {
        let at = usize::try_from(at).ok()?;
        let count = usize::from(self.short(at)?);
        let end = at.checked_add(2 + count * 12)?;
        let next = self.long(end)?;
        let fields = (0..count)
            .map(|i| self.field(at + 2 + i * 12))
            .collect::<Option<_>>()?;
        Some(Directory { fields, next })
    }

    fn field(self, at: usize) -> Option<Field> {
        let (tag, kind, count) = (self.short(at)?, self.short(at + 2)?, self.long(at + 4)?);
        Some(Field {
            tag,
            kind,
            count,
            at: at + 8,
        })
    }

    /// The first number of a field.
    pub(super) fn number(self, field: &Field) -> Option<u32> {
        self.numbers(field, 1)?.first().copied()
    }

    /// At most `limit` unsigned numbers of a field; nothing if there are more, or they lie outside the file.
    pub(super) fn all_numbers(self, field: &Field, limit: u32) -> Option<Vec<u32>> {
        if field.count > limit {
            return None;
        }
        self.numbers(field, field.count)
    }

    fn numbers(self, field: &Field, count: u32) -> Option<Vec<u32>> {
        let size = match field.kind {
            BYTE => 1,
            SHORT => 2,
            LONG => 4,
            _ => return None,
        };
        let inline = u64::from(field.count) * size as u64 <= 4;
        let start = if inline {
            field.at
        } else {
            usize::try_from(self.long(field.at)?).ok()?
        };
        let number = |index: u32| {
            let at = start.checked_add(usize::try_from(index).ok()?.checked_mul(size)?)?;
            match size {
                1 => self.bytes.get(at).map(|&byte| u32::from(byte)),
                2 => self.short(at).map(u32::from),
                _ => self.long(at),
            }
        };
        (0..count.min(field.count)).map(number).collect()
    }
}

impl Field {
    /// Where the field itself lies.
    pub(super) fn place(&self) -> Range<usize> {
        self.at - 8..self.at + 4
    }
}

impl Directory {
    pub(super) fn find(&self, tag: u16) -> Option<&Field> {
        self.fields.iter().find(|field| field.tag == tag)
    }
}
