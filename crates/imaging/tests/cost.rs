//! What harmful files cost: time and memory. Alone in its process, because memory is counted for all of it.

#![allow(clippy::cast_possible_truncation, clippy::print_stdout)]

#[path = "support/files.rs"]
#[allow(dead_code)]
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

/// Harmful files, each with the code of its refusal.
fn harmful() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let zeros = vec![0; 30 * MIB];
    let text = [b"Comment\0\0".to_vec(), deflated(&zeros)].concat();
    let international = [b"Comment\0\x01\0en\0x\0".to_vec(), deflated(&zeros)].concat();
    let small = blank(16, 16);
    let many_texts = vec![
        png_chunk(
            b"zTXt",
            &[b"a\0\0".to_vec(), deflated(&vec![0; MIB / 2])].concat()
        );
        4_000
    ];
    let frames = vec![vec![7; 48]; 10_000];
    let jpeg = jpeg(120, 90, 90);
    let false_length = with_segments(&jpeg, &[vec![0xFF, 0xE1, 0xFF, 0xFF]]);
    let mut wide_jpeg = jpeg.clone();
    let frame = wide_jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    wide_jpeg[frame + 5..frame + 9].fill(0xFF);
    let cut = |file: Vec<u8>| file[..file.len() * 2 / 3].to_vec();
    vec![
        (
            "PNG of 60,000 × 60,000",
            raw_png(60_000, 60_000, &[], &zeros[..20_000]),
            "side",
        ),
        (
            "PNG of 16,000 × 16,000",
            raw_png(16_000, 16_000, &[], &zeros[..20_000]),
            "pixels",
        ),
        (
            "PNG of 6,000 × 6,000",
            raw_png(6_000, 6_000, &[], &zeros[..20_000]),
            "memory",
        ),
        ("APNG of 10,000 frames", apng(4, 4, &frames), "frames"),
        (
            "animated WebP of 10,000 frames",
            animated_webp(4, 4, 10_000),
            "frames",
        ),
        ("JPEG with a false length", false_length, "truncated"),
        ("JPEG of 65,535 × 65,535", wide_jpeg, "side"),
        ("50 MB", vec![0xFF; 50_000_000], "bytes"),
        (
            "PNG with zTXt of 30 MB",
            raw_png(16, 16, &[png_chunk(b"zTXt", &text)], &small),
            "metadata",
        ),
        (
            "PNG with iTXt of 30 MB",
            raw_png(16, 16, &[png_chunk(b"iTXt", &international)], &small),
            "metadata",
        ),
        (
            "PNG with iCCP of 30 MB",
            raw_png(16, 16, &[png_chunk(b"iCCP", &text)], &small),
            "metadata",
        ),
        (
            "PNG with 4,000 zTXt of 0.5 MB",
            raw_png(16, 16, &many_texts, &small),
            "metadata",
        ),
        (
            "PNG whose pixels inflate to 30 MB",
            raw_png(16, 16, &[], &deflated(&zeros)),
            "inflation",
        ),
        ("TIFF whose directories form a circle", cyclic_tiff(), "damaged"),
        ("VP8L of tables without end", riff(&[vp8l_tables()]), "memory"),
        ("truncated JPEG", cut(jpeg), "truncated"),
        ("truncated PNG", cut(png(120, 90)), "truncated"),
        ("truncated TIFF", cut(tiff(&[(120, 90)])), "truncated"),
        ("truncated WebP", cut(webp(120, 90)), "truncated"),
    ]
}

/// A picture of 4 MB that declares the size a picture of so many bytes may have.
fn vp8l_tables() -> Vec<u8> {
    let mut content = vec![0x2F];
    content.extend((1999_u32 | 1999 << 14).to_le_bytes());
    content.resize(4 * MIB, 0x5A);
    riff_chunk(b"VP8L", &content)
}

#[test]
fn harmful_files_are_refused_in_little_time_and_memory() {
    let limits = Limits::default();
    for (name, file, code) in harmful() {
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
