//! What harmful files cost: time and memory. Alone in its process, because memory is counted for all of it.

#![allow(
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_imports
)]

#[path = "support/files.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod files;

use std::time::{Duration, Instant};

use files::*;
use imaging::{Limits, admit};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// What is allowed for one refusal.
const WORK: Duration = Duration::from_millis(50);

/// A name, a file, and the code of its refusal.
type Harmful = (&'static str, Vec<u8>, &'static str);

fn too_large() -> Vec<Harmful> {
    let few = vec![0; 20_000];
    let mut jpeg = jpeg(120, 90, 90);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    vec![
        (
            "PNG of 60,000 × 60,000",
            raw_png(60_000, 60_000, &[], &few),
            "side",
        ),
        (
            "PNG of 16,000 × 16,000",
            raw_png(16_000, 16_000, &[], &few),
            "pixels",
        ),
        ("PNG of 6,000 × 6,000", raw_png(6_000, 6_000, &[], &few), "memory"),
        ("JPEG of 65,535 × 65,535", jpeg, "side"),
        (
            "APNG of 10,000 frames",
            apng(4, 4, &vec![vec![7; 48]; 10_000]),
            "frames",
        ),
        (
            "animated WebP of 10,000 frames",
            animated_webp(4, 4, 10_000),
            "frames",
        ),
        ("50 MB", vec![0xFF; 50_000_000], "bytes"),
    ]
}

fn inflating() -> Vec<Harmful> {
    let zeros = deflated(&vec![0; 30 * MIB]);
    let small = blank(16, 16);
    let with = |kind: &[u8; 4], begin: &[u8], data: &[u8], times: usize| {
        raw_png(
            16,
            16,
            &vec![png_chunk(kind, &[begin, data].concat()); times],
            &small,
        )
    };
    let half = deflated(&vec![0; MIB / 2]);
    vec![
        (
            "PNG with zTXt of 30 MB",
            with(b"zTXt", b"Comment\0\0", &zeros, 1),
            "metadata",
        ),
        (
            "PNG with iTXt of 30 MB",
            with(b"iTXt", b"Comment\0\x01\0en\0x\0", &zeros, 1),
            "metadata",
        ),
        (
            "PNG with iCCP of 30 MB",
            with(b"iCCP", b"Profile\0\0", &zeros, 1),
            "metadata",
        ),
        (
            "PNG with 4,000 zTXt of 0.5 MB",
            with(b"zTXt", b"a\0\0", &half, 4_000),
            "metadata",
        ),
        (
            "PNG whose pixels inflate to 30 MB",
            raw_png(16, 16, &[], &zeros),
            "inflation",
        ),
        (
            "VP8L of 65,536 groups of tables",
            riff(&[vp8l_tables()]),
            "memory",
        ),
    ]
}

fn broken() -> Vec<Harmful> {
    let cut = |file: Vec<u8>| file[..file.len() * 2 / 3].to_vec();
    let jpeg = jpeg(120, 90, 90);
    let false_length = with_segments(&jpeg, &[vec![0xFF, 0xE1, 0xFF, 0xFF]]);
    vec![
        ("JPEG with a false length", false_length, "truncated"),
        ("TIFF whose directories form a circle", cyclic_tiff(), "damaged"),
        ("TIFF with a field of 589,825 values", crowded_tiff(), "damaged"),
        ("truncated JPEG", cut(jpeg), "truncated"),
        ("truncated PNG", cut(png(120, 90)), "truncated"),
        ("truncated TIFF", cut(tiff(&[(120, 90)])), "truncated"),
        ("truncated WebP", cut(webp(120, 90)), "truncated"),
    ]
}

/// A picture of 2000 × 2000 with 65,536 groups of codes, each code a table of 1,024 entries.
fn vp8l_tables() -> Vec<u8> {
    let mut bits = BitWriter::default();
    // No transform, no colour cache; groups by blocks of 4 × 4, all of them number 65,535.
    bits.push(0, 2);
    bits.push(1, 1);
    bits.push(0, 3);
    bits.push(0, 1);
    for symbol in [255, 255, 0, 0, 0] {
        bits.push(0b101, 3);
        bits.push(symbol, 8);
    }
    for _ in 0..65_536 * 5 {
        bits.push_code();
    }
    let size = 1999_u32 | 1999 << 14;
    riff_chunk(b"VP8L", &[&[0x2F][..], &size.to_le_bytes(), &bits.bytes].concat())
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    free: u32,
}

impl BitWriter {
    /// Writes the lowest bits of a number, the lowest first.
    fn push(&mut self, number: u32, count: u32) {
        for bit in 0..count {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            *self.bytes.last_mut().unwrap() |= ((number >> bit & 1) << (8 - self.free)) as u8;
            self.free -= 1;
        }
    }

    /// A code of the lengths 1 to 10, and 10 again.
    fn push_code(&mut self) {
        self.push(0, 1);
        self.push(10, 4);
        // Of the lengths 1 to 6 three bits, of 7 to 10 four; the order is that of the format.
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4] {
            self.push(length, 3);
        }
        self.push(1, 1);
        self.push(1, 3);
        self.push(9, 4);
        for length in (1..=10_u32).chain([10]) {
            let (code, count) = if length <= 6 {
                (length - 1, 3)
            } else {
                (length + 5, 4)
            };
            (0..count).rev().for_each(|bit| self.push(code >> bit, 1));
        }
    }
}

#[test]
fn harmful_files_are_refused_in_little_time_and_memory() {
    let limits = Limits::default();
    for (name, file, code) in too_large().into_iter().chain(inflating()).chain(broken()) {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let refusal = admit(&file, &limits).expect_err(name);
        let memory = MEMORY.peak_usage() - before;
        // The machine may be busy with other things: the fastest of a few is the work.
        let timed = |_| {
            let start = Instant::now();
            let _ = admit(&file, &limits);
            start.elapsed()
        };
        let time = (0..5).map(timed).min().unwrap_or_default();
        let (ms, kib) = (time.as_secs_f64() * 1e3, memory / 1024);
        println!(
            "{name}, {} KiB: {ms:.2} ms, {kib} KiB; {refusal}",
            file.len() / 1024
        );
        assert_eq!(refusal.code(), code, "{name}: {refusal}");
        assert!(memory < 64 * MIB, "{name}: {memory} bytes");
        assert!(time < WORK, "{name}: {time:?}");
    }
    admitted_within_the_memory_allowed();
}

/// Where a file is admitted with just the memory that it is refused without, that memory is enough.
fn admitted_within_the_memory_allowed() {
    let frames = vec![vec![7; 300 * 200 * 3]; 9];
    let exif = jpeg_segment(0xE1, &[b"Exif\0\0", &exif(6)[..]].concat());
    let files = [
        ("JPEG", jpeg(1500, 1100, 85)),
        ("JPEG on its side", with_segments(&jpeg(1500, 1100, 85), &[exif])),
        ("PNG", png(1500, 1100)),
        ("APNG", apng(300, 200, &frames)),
        ("TIFF", tiff(&[(1500, 1100)])),
        ("TIFF of three pages", tiff(&[(500, 400), (500, 300), (300, 400)])),
        ("WebP", webp(250, 200)),
        ("animated WebP", animated_webp(60, 40, 20)),
    ];
    for (name, file) in files {
        let (mut least, mut most) = (0, 64 * MIB as u64);
        let given = |bytes| Limits {
            max_memory_bytes: bytes,
            ..Limits::default()
        };
        while most - least > 4096 {
            let middle = least.midpoint(most);
            let admitted = admit(&file, &given(middle)).is_ok();
            (least, most) = if admitted { (least, middle) } else { (middle, most) };
        }
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        admit(&file, &given(most)).unwrap();
        let taken = MEMORY.peak_usage() - before;
        println!("{name}: {} KiB of {} KiB allowed", taken / 1024, most / 1024);
        assert!(taken as u64 <= most, "{name}: {taken} of {most}");
    }
}
