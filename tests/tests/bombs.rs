//! Images that are made to do harm, between good ones: what becomes of either, and what it costs.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

#[path = "../../crates/imaging/tests/support/files.rs"]
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "shared with the tests of the door"
)]
mod files;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use files::{
    animated_webp, apng, blank, crowded_tiff, cyclic_tiff, deflated, jpeg, png, png_chunk, raw_png, tiff,
    webp, with_chunks, with_segments,
};
use serde_json::Value;
use stream::{Consumer, Polled, Record, StartOffset, TopicPartition};
use testkit::eventually;
use tests::{Pipeline, Raw, Worker, document, say, send};

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;
/// 2025-01-05
const START_MS: i64 = 1_736_035_200_000;
const MIB: u64 = 1 << 20;
/// How often everything is sent again, without waiting.
const WAVES: usize = 3;

/// A record that is made to do harm.
struct Harmful {
    name: &'static str,
    reason: &'static str,
    raw: Raw,
}

/// A file that nobody should decode, as it comes.
fn sent(name: &'static str, file: Vec<u8>) -> Harmful {
    Harmful {
        name,
        reason: "invalid_image",
        raw: Raw::image("harmful", "c", START_MS, "receipt", file),
    }
}

/// Files whose headers ask for more than anybody has.
fn bombs() -> Vec<Harmful> {
    let vast = raw_png(60_000, 60_000, &[], &[0; 20_000]);
    let text = BASE64_STANDARD.encode(&vast);
    let within = Harmful {
        raw: Raw::receipt("harmful", "c", START_MS, ("content", &text)),
        ..sent("the same in JSON", Vec::new())
    };
    vec![
        sent("GIF, for comparison", b"GIF89a is not taken".to_vec()),
        sent("PNG of 60,000 × 60,000 pixels in 20 KB", vast),
        within,
        sent(
            "APNG of 10,000 frames",
            apng(4, 4, &vec![vec![7; 4 * 4 * 3]; 10_000]),
        ),
        sent("WebP of 10,000 frames", animated_webp(4, 4, 10_000)),
    ]
}

/// Files that compression has made small.
fn inflating() -> Vec<Harmful> {
    let zeros = deflated(&vec![0; 30 << 20]);
    let chunk = |kind, begin: &[u8]| png_chunk(kind, &[begin, &zeros[..]].concat());
    let marked = |chunk| raw_png(16, 16, &[chunk], &blank(16, 16));
    vec![
        sent("PNG with zTXt of 30 MB", marked(chunk(b"zTXt", b"Comment\0\0"))),
        sent(
            "PNG with iTXt of 30 MB",
            marked(chunk(b"iTXt", b"Comment\0\x01\0en\0x\0")),
        ),
        sent("PNG with iCCP of 30 MB", marked(chunk(b"iCCP", b"Profile\0\0"))),
        sent("PNG whose pixels inflate to 30 MB", raw_png(16, 16, &[], &zeros)),
    ]
}

/// Files that end early, or do not hold together.
fn broken() -> Vec<Harmful> {
    let cut = |file: Vec<u8>| file[..file.len() * 2 / 3].to_vec();
    let photo = jpeg(120, 90, 90);
    let false_length = with_segments(&photo, &[vec![0xFF, 0xE1, 0xFF, 0xFF]]);
    vec![
        sent("JPEG with a segment of a false length", false_length),
        sent("TIFF whose directories form a circle", cyclic_tiff()),
        sent("TIFF with a field of 589,825 values", crowded_tiff()),
        sent("truncated JPEG", cut(photo)),
        sent("truncated PNG", cut(png(120, 90))),
        sent("truncated TIFF", cut(tiff(&[(120, 90)]))),
        sent("truncated WebP", cut(webp(120, 90))),
    ]
}

/// A good image but for its 50 MB, which no broker takes: the record names the file.
fn oversized(folder: &str) -> Harmful {
    let text = png_chunk(b"tEXt", &vec![b'x'; 50_000_000]);
    fs::write(format!("{folder}/large.png"), with_chunks(&png(120, 90), &[text])).unwrap();
    let uri = format!("file://{folder}/large.png");
    Harmful {
        name: "PNG of 50 MB, by its address",
        reason: "too_large",
        raw: Raw::receipt("harmful", "c", START_MS, ("uri", &uri)),
    }
}

fn good(number: u32) -> Raw {
    let at_ms = START_MS + i64::from(number) * 1000;
    let (id, account) = (format!("good{number}"), format!("c{number}"));
    Raw::image(&id, &account, at_ms, "receipt", document(number).to_png())
}

/// The dead letters as they come.
struct Letters {
    consumer: Consumer,
    found: Vec<Record>,
}

impl Letters {
    fn of(pipeline: &Pipeline) -> Self {
        let topic = pipeline.topic("dead_letters");
        let starts =
            (0..PARTITIONS).map(|p| (TopicPartition::new(topic.as_str(), p), StartOffset::Beginning));
        Self {
            consumer: Consumer::attach(&pipeline.kafka(), starts.collect()).unwrap(),
            found: Vec::new(),
        }
    }

    /// The next so many of them.
    fn next(&mut self, count: usize) -> Vec<Record> {
        eventually("letters", PATIENCE, || {
            let polled = self.consumer.poll(Duration::from_millis(5), 1000, 64 << 20);
            if let Polled::Records(new) = polled.unwrap() {
                self.found.extend(new);
            }
            (self.found.len() >= count).then(|| self.found.drain(..count).collect())
        })
    }
}

/// What was sent, and why it was refused.
fn told(letter: &Record) -> (Vec<u8>, String) {
    let reason = letter.header("riskstream.reason").unwrap().to_vec();
    (
        letter.payload.clone().unwrap().to_vec(),
        String::from_utf8(reason).unwrap(),
    )
}

/// INV-1 and INV-8 for images.
#[test]
fn harmful_images_become_letters_with_their_bytes_and_hold_up_nothing() {
    let inbox = tempfile::tempdir().unwrap();
    let folder = inbox.path().canonicalize().unwrap().display().to_string();
    let harmful: Vec<Harmful> = [bombs(), inflating(), broken(), vec![oversized(&folder)]]
        .into_iter()
        .flatten()
        .collect();
    let allowed = format!("[\"{folder}\"]");
    let mut pipeline = Pipeline::new("bombs", &[("ingest.images.fetch_from", &allowed)]);
    [Worker::Ingest, Worker::Preprocess, Worker::Scorer]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let mut letters = Letters::of(&pipeline);
    send(&pipeline, "images", &[good(0)]);
    pipeline.wait_for("scores", 1, PATIENCE);
    let before = pipeline.peak_bytes(Worker::Ingest);

    let alone = one_by_one(&pipeline, &mut letters, &harmful);
    let goods = alone + all_at_once(&pipeline, &mut letters, &harmful, alone);
    pipeline.wait_for("scores", goods as usize, PATIENCE);
    let peak = pipeline.peak_bytes(Worker::Ingest);
    say(&format!(
        "ingest took {} MiB at most, {} MiB before the first of them",
        peak / MIB,
        before / MIB
    ));
    pipeline.stop_all();
    assert!(peak < 400 * MIB, "{} MiB", peak / MIB);
    let scores = pipeline.consume("scores");
    let scored: BTreeSet<&str> = scores.iter().filter_map(|s| s["image_id"].as_str()).collect();
    let expected: Vec<String> = (0..goods).map(|n| format!("good{n}")).collect();
    assert_eq!(scored, expected.iter().map(String::as_str).collect());
    assert_eq!(scores.len(), expected.len(), "each of them once");
    assert!(letters.next(0).is_empty() && letters.found.is_empty());
    assert!(
        pipeline
            .consume("features")
            .iter()
            .all(|row: &Value| row["image_id"] != "harmful")
    );
}

/// Each with a good image on either side, until its letter is there; how many good ones there are then.
fn one_by_one(pipeline: &Pipeline, letters: &mut Letters, harmful: &[Harmful]) -> u32 {
    let mut goods = 1;
    for Harmful { name, reason, raw } in harmful {
        let began = Instant::now();
        send(pipeline, "images", &[raw.clone(), good(goods)]);
        goods += 1;
        let letter = letters.next(1).remove(0);
        let (ms, kib) = (began.elapsed().as_millis(), raw.value.len() / 1024);
        let message = letter.header("riskstream.message").unwrap().to_vec();
        let message = String::from_utf8(message).unwrap();
        say(&format!("{name}, {kib} KiB: {ms} ms; {message}"));
        assert!(
            told(&letter) == (raw.value.clone(), (*reason).to_owned()),
            "{name}"
        );
    }
    goods
}

/// All of them to all partitions, a few times over, good images among them; how many of those there were.
fn all_at_once(pipeline: &Pipeline, letters: &mut Letters, harmful: &[Harmful], first: u32) -> u32 {
    let waves = std::iter::repeat_n(harmful, WAVES).flatten();
    let mut records = Vec::new();
    for (number, harmful) in (first..).zip(waves) {
        records.extend([harmful.raw.clone(), good(number)]);
    }
    send(pipeline, "images", &records);
    let sent = WAVES * harmful.len();
    let mut found: Vec<_> = letters.next(sent).iter().map(told).collect();
    let waves = std::iter::repeat_n(harmful, WAVES).flatten();
    let mut expected: Vec<_> = waves
        .map(|h| (h.raw.value.clone(), h.reason.to_owned()))
        .collect();
    found.sort();
    expected.sort();
    assert!(found == expected, "each letter has its bytes");
    u32::try_from(sent).unwrap()
}
