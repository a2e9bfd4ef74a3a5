#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item(i64, &'static str);

impl Ordered for Item {
    fn order_time_us(&self) -> i64 {
        self.0
    }
}

fn header(source: i32, index_before: i64, caught_up: bool, watermark_us: i64) -> BatchHeader {
    let word = Word {
        generation: 1,
        position: 0,
        caught_up,
        watermark_us,
        sources: 2,
    };
    BatchHeader {
        writer: Writer::source("raw", source),
        epoch: 0,
        index_before,
        word,
    }
}

fn fold() -> Fold<Item> {
    Fold::new(Writer::new("terminal", 4), 2, 0)
}

/// One batch in; order times and lateness of what goes out.
fn turns(fold: &mut Fold<Item>, header: &BatchHeader, rows: &[(i64, Item)]) -> Vec<(Item, i64, bool)> {
    let indices: Vec<i64> = rows.iter().map(|(index, _)| *index).collect();
    fold.take(header, &indices, |at| rows[at].1.clone()).unwrap();
    let out = std::iter::from_fn(|| fold.next()).map(|turn| (turn.item, turn.order_time_us, turn.late));
    let out = out.collect();
    fold.settle();
    out
}

#[test]
fn r9_release_is_in_order_and_strictly_below_the_frontier() {
    let mut fold = fold();
    let rows = [(0, Item(7, "b")), (1, Item(5, "a")), (2, Item(9, "c"))];
    assert!(
        turns(&mut fold, &header(0, -1, false, 99), &rows).is_empty(),
        "one of two sources is unknown"
    );
    let out = turns(&mut fold, &header(1, -1, false, 9), &[(0, Item(5, "0"))]);
    assert_eq!(
        out,
        [
            (Item(5, "0"), 5, false),
            (Item(5, "a"), 5, false),
            (Item(7, "b"), 7, false)
        ]
    );
    assert_eq!(
        (fold.clock_us(), fold.waiting_len()),
        (9, 1),
        "what is AT the frontier waits"
    );
    assert_eq!(
        turns(&mut fold, &header(1, 0, true, 9), &[]),
        [(Item(9, "c"), 9, false)]
    );
}

#[test]
fn r10_what_comes_out_of_turn_takes_its_turn_now() {
    let mut fold = fold();
    turns(&mut fold, &header(0, -1, true, 5), &[]);
    turns(&mut fold, &header(1, -1, true, 20), &[(0, Item(20, "a"))]);
    assert_eq!(fold.clock_us(), 20);
    let out = turns(
        &mut fold,
        &header(0, -1, true, 21),
        &[(0, Item(6, "b")), (1, Item(21, "c"))],
    );
    assert_eq!(out, [(Item(6, "b"), 20, true), (Item(21, "c"), 21, false)]);
    turns(&mut fold, &header(0, 1, false, 30), &[]);
    assert_eq!(fold.clock_us(), 30, "a frontier moves the clock");
    turns(&mut fold, &header(0, 1, false, 29), &[]);
    assert_eq!(fold.clock_us(), 30, "which never goes back");
}

#[test]
fn r7_a_stages_word_comes_from_its_input() {
    let mut fold = fold();
    let word = Word {
        generation: 0,
        position: 0,
        caught_up: false,
        watermark_us: NEVER_US,
        sources: 3,
    };
    assert_eq!(fold.said(0, 3), word, "who has heard nothing is not caught up");
    turns(&mut fold, &header(0, -1, true, 5), &[]);
    turns(&mut fold, &header(1, -1, false, 8), &[]);
    let word = Word {
        generation: 1,
        position: 2,
        caught_up: false,
        watermark_us: 8,
        sources: 3,
    };
    assert_eq!(fold.said(2, 3), word);
    turns(&mut fold, &header(1, -1, true, 8), &[]);
    assert!(fold.said(3, 3).caught_up);
}

#[test]
fn r1_numbers_run_over_all_targets_and_headers_name_the_one_before() {
    let mut fold = fold();
    assert_eq!([fold.number(), fold.number(), fold.number()], [0, 1, 2]);
    let before: Vec<i64> = [
        (0, Some(1)),
        (1, Some(2)),
        (0, None),
        (0, Some(3)),
        (1, None),
        (0, None),
    ]
    .into_iter()
    .map(|(target, last)| fold.header(target, last, 1, 1).index_before)
    .collect();
    assert_eq!(before, [-1, -1, 1, 1, 2, 3]);
    fold.set_epoch(2);
    let header = fold.header(0, None, 1, 1);
    assert_eq!(
        (header.epoch, fold.number(), header.writer.as_str()),
        (2, 3, "terminal/4"),
        "R15"
    );
}

#[test]
fn r5_a_gap_changes_nothing() {
    let mut fold = fold();
    turns(&mut fold, &header(0, -1, true, 5), &[(3, Item(1, "a"))]);
    let (before, waiting) = (fold.state().clone(), fold.waiting_len());
    let gap = Gap {
        writer: Writer::source("raw", 0),
        index_before: 4,
        seen: 3,
    };
    assert_eq!(
        fold.take(&header(0, 4, false, 50), &[5], |_| Item(2, "b")),
        Err(gap)
    );
    assert_eq!((fold.state(), fold.waiting_len()), (&before, waiting));
}

#[derive(Clone, Debug)]
struct Step {
    source: i32,
    rows: usize,
    caught_up: bool,
    advance: i64,
    generation: i64,
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..2_i32, 0..4_usize, any::<bool>(), 0..5_i64, 1..3_i64).prop_map(
        |(source, rows, caught_up, advance, generation)| Step {
            source,
            rows,
            caught_up,
            advance,
            generation,
        },
    );
    prop::collection::vec(step, 0..40)
}

/// A log of two sources whose rows keep the promise of their watermarks.
fn log(steps: &[Step]) -> Vec<(BatchHeader, Vec<(i64, Item)>)> {
    let (mut index, mut watermark) = ([-1_i64; 2], [0_i64; 2]);
    let batch = |step: &Step| {
        let source = usize::try_from(step.source).unwrap();
        let before = index[source];
        let rows = (0..step.rows).map(|at| {
            index[source] += 1;
            (
                index[source],
                Item(
                    watermark[source] + i64::try_from(at).unwrap() * 2,
                    ["a", "b", "c"][at % 3],
                ),
            )
        });
        let rows = rows.collect();
        watermark[source] += step.advance;
        let mut header = header(step.source, before, step.caught_up, watermark[source]);
        header.word.generation = step.generation;
        header.word.position = index[source];
        (header, rows)
    };
    steps.iter().map(batch).collect()
}

proptest! {
    /// R11: cut anywhere, a stored state and what waited go on as if nothing had happened.
    #[test]
    fn r11_a_restored_fold_goes_on_alike(steps in any_steps(), cut in 0..40_usize) {
        let log = log(&steps);
        let (head, tail) = log.split_at(cut.min(log.len()));
        let mut one = fold();
        for (header, rows) in head {
            for _ in turns(&mut one, header, rows) {
                one.number();
            }
        }
        let bytes = postcard::to_stdvec(one.state()).unwrap();
        let mut items: Vec<Item> = one.waiting().cloned().collect();
        items.sort_by(|a, b| b.cmp(a));
        let mut two = Fold::restore(postcard::from_bytes(&bytes).unwrap(), items);
        for (header, rows) in tail {
            prop_assert_eq!(turns(&mut one, header, rows), turns(&mut two, header, rows));
            prop_assert_eq!(one.header(0, Some(one.emitted()), 1, 1), two.header(0, Some(two.emitted()), 1, 1));
            prop_assert_eq!(one.state(), two.state());
        }
    }

    /// R10: order times never go back, and repeated batches change no row and no turn.
    #[test]
    fn r5_r10_repeats_change_nothing_and_time_does_not_go_back(steps in any_steps()) {
        let (mut once, mut twice) = (fold(), fold());
        let mut last = NEVER_US;
        for (header, rows) in &log(&steps) {
            let out = turns(&mut once, header, rows);
            for (_, order_time_us, _) in &out {
                prop_assert!(*order_time_us >= last);
                last = *order_time_us;
            }
            prop_assert!(once.clock_us() >= last);
            prop_assert_eq!(&out, &turns(&mut twice, header, rows));
            prop_assert!(turns(&mut twice, header, rows).is_empty());
        }
    }
}
