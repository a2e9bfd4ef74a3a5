//! What the door lets in, what it keeps, and what it refuses.

#![allow(clippy::cast_possible_truncation, clippy::wildcard_imports)]

#[path = "support/files.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod files;

use files::*;
use imaging::{Admitted, Format, Limits, PerceptualHash, Recipe, Refusal, Step, admit};
use proptest::prelude::*;

fn admitted(file: &[u8]) -> Admitted {
    admit(file, &Limits::default()).expect("admitted")
}

fn refused(file: &[u8]) -> &'static str {
    admit(file, &Limits::default()).expect_err("refused").code()
}

fn good_files() -> Vec<(Format, Vec<u8>)> {
    let frames: Vec<_> = (0..5).map(|i| vec![i * 40; 30 * 20 * 3]).collect();
    vec![
        (Format::Jpeg, jpeg(120, 90, 90)),
        (Format::Png, png(120, 90)),
        (Format::Png, apng(30, 20, &frames)),
        (Format::Tiff, tiff(&[(120, 90)])),
        (Format::Tiff, tiff(&[(120, 90), (100, 95)])),
        (Format::WebP, webp(120, 90)),
        (Format::WebP, riff(&[vp8()])),
        (Format::WebP, animated_webp(30, 20, 4)),
    ]
}

#[test]
fn good_files_are_admitted_and_what_is_stored_shows_the_same() {
    for (format, file) in good_files() {
        let first = admitted(&file);
        assert_eq!(first.format, format);
        assert_eq!(
            (first.frames[0].width(), first.frames[0].height()),
            (first.width, first.height)
        );
        let second = admitted(&first.stored);
        assert_eq!(second.frames, first.frames, "{format}");
        assert_eq!(
            second.stored, first.stored,
            "{format}: storing again changes nothing"
        );
        assert_eq!(second.original_sha256, first.stored_sha256);
        assert_eq!(second.phash, first.phash);
    }
}

#[test]
fn lossless_formats_give_the_pixels_they_were_given() {
    for file in [png(120, 90), tiff(&[(120, 90)]), webp(120, 90)] {
        let admitted = admitted(&file);
        assert_eq!(admitted.frames.len(), 1);
        assert_eq!(admitted.frames[0].pixels(), page(120, 90));
    }
}

#[test]
fn interlaced_images_of_any_size_are_admitted() {
    for (width, height) in (1..=9).flat_map(|width| (1..=9).map(move |height| (width, height))) {
        let admitted = admitted(&interlaced_png(width, height));
        assert_eq!(
            admitted.frames[0].pixels(),
            vec![0; (width * height * 3) as usize]
        );
    }
}

#[test]
fn pages_and_frames_are_kept_in_order() {
    let frames: Vec<_> = (0..100_u8).map(|i| vec![i; 8 * 8 * 3]).collect();
    let limits = Limits {
        frames_kept: 4,
        ..Limits::default()
    };
    let admitted = admit(&apng(8, 8, &frames), &limits).unwrap();
    assert_eq!(admitted.frames_found, 100);
    let values: Vec<_> = admitted.frames.iter().map(|frame| frame.pixels()[0]).collect();
    assert_eq!(values, [0, 33, 66, 99]);
}

#[test]
fn frames_that_are_not_sampled_are_not_decoded() {
    let frames: Vec<_> = (0..5_u8).map(|i| vec![i; 8 * 8 * 3]).collect();
    let mut file = apng(8, 8, &frames);
    let third = file
        .windows(4)
        .enumerate()
        .filter(|(_, kind)| *kind == b"fdAT")
        .nth(1)
        .unwrap()
        .0;
    // Damaged inside, but with a right checksum.
    let length = u32::from_be_bytes(*file[third - 4..].first_chunk().unwrap()) as usize;
    file[third + 10] ^= 0xFF;
    let sum = crc32fast::hash(&file[third..third + 4 + length]);
    file[third + 4 + length..][..4].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(refused(&file), "undecodable");
    let limits = Limits {
        frames_kept: 2,
        ..Limits::default()
    };
    assert_eq!(admit(&file, &limits).unwrap().frames.len(), 2);
}

#[test]
fn frames_are_as_many_as_the_memory_allows() {
    let frames: Vec<_> = (0..50_u8).map(|i| vec![i; 200 * 200 * 3]).collect();
    let limits = Limits {
        max_memory_bytes: 4 << 20,
        ..Limits::default()
    };
    let kept = admit(&apng(200, 200, &frames), &limits).unwrap().frames.len();
    assert!((2..50).contains(&kept), "{kept}");
}

#[test]
fn smaller_pages_lie_on_white_paper() {
    let admitted = admitted(&tiff(&[(40, 10), (20, 30)]));
    assert_eq!(
        (admitted.width, admitted.height, admitted.frames.len()),
        (40, 30, 2)
    );
    assert_eq!(admitted.frames[1].rgb()[25], [255; 3]);
    assert_eq!(admitted.frames[0].rgb()[40 * 29], [255; 3]);
}

#[test]
fn metadata_are_not_stored() {
    let secret = b"Jane Doe, 51.5N 0.1W";
    let compressed = [b"Author\0\0".to_vec(), deflated(secret)].concat();
    let plain_png = png(60, 40);
    let marked_png = with_chunks(
        &plain_png,
        &[
            png_chunk(b"tEXt", &[b"Author\0", &secret[..]].concat()),
            png_chunk(b"zTXt", &compressed),
            png_chunk(b"eXIf", &exif(1)),
            png_chunk(b"tIME", &[0; 7]),
        ],
    );
    let marked_png = [&marked_png[..], secret].concat();
    let plain_jpeg = jpeg(60, 40, 80);
    let marked_jpeg = with_segments(
        &plain_jpeg,
        &[
            jpeg_segment(0xE1, &[b"Exif\0\0", &exif(1)[..]].concat()),
            jpeg_segment(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0", &secret[..]].concat()),
            jpeg_segment(0xFE, secret),
            jpeg_segment(0xED, secret),
        ],
    );
    let marked_jpeg = [&marked_jpeg[..], secret].concat();
    let exif_chunk = riff_chunk(b"EXIF", &exif(1));
    let plain_webp = riff(&[vp8x(0, 60, 40), vp8l(60, 40)]);
    let marked_webp = riff(&[
        vp8x(0x0C, 60, 40),
        vp8l(60, 40),
        exif_chunk,
        riff_chunk(b"XMP ", secret),
    ]);
    let pairs = [
        (plain_png, marked_png),
        (plain_jpeg, marked_jpeg),
        (plain_webp, marked_webp),
    ];
    for (plain, marked) in pairs {
        assert_eq!(admitted(&marked).stored, plain);
    }
}

#[test]
fn what_lies_on_its_side_is_stored_upright() {
    let exif_jpeg = jpeg_segment(0xE1, &[b"Exif\0\0", &exif(6)[..]].concat());
    let files = [
        with_segments(&jpeg(60, 40, 80), &[exif_jpeg]),
        with_chunks(&png(60, 40), &[png_chunk(b"eXIf", &exif(6))]),
        riff(&[vp8x(8, 60, 40), vp8l(60, 40), riff_chunk(b"EXIF", &exif(6))]),
    ];
    for file in files {
        let turned = admitted(&file);
        assert_eq!((turned.width, turned.height), (40, 60));
        assert_eq!(Format::of(&turned.stored), Some(Format::Png));
        let again = admitted(&turned.stored);
        assert_eq!((again.frames, again.phash), (turned.frames, turned.phash));
    }
}

#[test]
fn foreign_formats_are_not_recognised() {
    let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    for file in [
        &b""[..],
        gif,
        b"BM\x3A\0\0\0",
        b"<!DOCTYPE html><img src=x>",
        b"%PDF-1.7",
        &[0xFF, 0xD8],
    ] {
        assert_eq!(refused(file), "unrecognised");
    }
}

#[test]
fn every_beginning_of_a_file_is_refused() {
    for (format, file) in good_files() {
        for end in (0..file.len() - 1).step_by(1 + file.len() / 400) {
            assert!(
                admit(&file[..end], &Limits::default()).is_err(),
                "{format}: {end} of {}",
                file.len()
            );
        }
    }
}

#[test]
fn damaged_pixels_are_refused() {
    let mut file = png(120, 90);
    let middle = file.len() / 2;
    file[middle] ^= 1;
    assert_eq!(refused(&file), "damaged");
    let mut file = jpeg(120, 90, 90);
    let middle = file.len() / 2;
    file.drain(middle..middle + 300);
    assert!(matches!(refused(&file), "damaged" | "undecodable"));
}

#[test]
fn segments_of_false_length_are_refused() {
    let file = jpeg(120, 90, 90);
    for (length, code) in [
        ([0, 1], "damaged"),
        ([0, 2], "damaged"),
        ([0xFF, 0xFF], "truncated"),
    ] {
        let mut file = file.clone();
        file[4..6].copy_from_slice(&length);
        assert_eq!(refused(&file), code);
    }
}

#[test]
fn segments_that_are_too_short_are_refused() {
    let file = jpeg(120, 90, 90);
    let mut at = 2;
    while file[at + 1] != 0xDA {
        let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        let content = &file[at + 4..at + 2 + length];
        for end in 0..content.len() {
            let shorter = jpeg_segment(file[at + 1], &content[..end]);
            let changed = [&file[..at], &shorter, &file[at + 2 + length..]].concat();
            let harmless = file[at + 1] == 0xE0;
            assert_eq!(
                admit(&changed, &Limits::default()).is_ok(),
                harmless,
                "{:x}: {end}",
                file[at + 1]
            );
        }
        at += 2 + length;
    }
}

#[test]
fn limits_are_those_given() {
    let file = png(120, 90);
    let limits = Limits {
        max_side: 100,
        ..Limits::default()
    };
    assert!(matches!(
        admit(&file, &limits),
        Err(Refusal::Side {
            width: 120,
            height: 90,
            limit: 100
        })
    ));
    let limits = Limits {
        max_pixels: 10_000,
        ..Limits::default()
    };
    assert!(matches!(
        admit(&file, &limits),
        Err(Refusal::Pixels { limit: 10_000, .. })
    ));
    let limits = Limits {
        max_memory_bytes: 20_000,
        ..Limits::default()
    };
    assert!(matches!(
        admit(&file, &limits),
        Err(Refusal::Memory { limit: 20_000, .. })
    ));
    let read: Limits = serde_json::from_str(r#"{"max_frames": 3}"#).unwrap();
    assert_eq!(
        read,
        Limits {
            max_frames: 3,
            ..Limits::default()
        }
    );
}

#[test]
fn the_hash_is_that_of_the_first_frame() {
    let admitted = admitted(&png(120, 90));
    assert_eq!(admitted.phash, PerceptualHash::of(&admitted.frames[0]));
}

#[test]
fn an_image_saved_as_jpeg_is_admitted_as_augmentation_shows_it() {
    let image = admitted(&png(120, 90)).frames.remove(0);
    let lossy = |quality| Recipe {
        steps: vec![Step::Jpeg { quality }],
    };
    for quality in [40, 75, 95] {
        let file = image.to_jpeg(quality);
        assert_eq!(admitted(&file).frames, [lossy(quality).apply(&image)]);
    }
    assert!(image.to_jpeg(40).len() < image.to_jpeg(95).len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(which in 0_usize..8, place in any::<prop::sample::Index>(), byte: u8, cut in 0_usize..40) {
        let (_, mut file) = good_files().swap_remove(which);
        let place = place.index(file.len());
        file[place] = byte;
        let end = (place + cut).min(file.len());
        file.drain(place..end);
        let _ = admit(&file, &Limits::default());
    }
}
