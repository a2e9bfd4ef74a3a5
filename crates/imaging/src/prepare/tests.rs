use super::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FRAME: Frame = square(224);

const fn square(side: u32) -> Frame {
    Frame {
        height: side,
        width: side,
    }
}

/// Lines of short dark strokes on paper, with a margin.
fn receipt(width: u32, height: u32) -> Image {
    let mut image = Image::filled(width, height, [245, 244, 240]);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for line in (height / 8..height - height / 8).step_by(14) {
        let mut x = width / 8;
        while x < width - width / 8 {
            let length = random.random_range(3..9);
            for (x, y) in (x..x + length).flat_map(|x| (line..line + 6).map(move |y| (x, y))) {
                let index = image.index(x.min(width - 1), y);
                image.rgb_mut()[index] = [30, 30, 35];
            }
            x += length + random.random_range(2..6);
        }
    }
    image
}

fn turned(image: &Image, degrees: f64) -> Image {
    let projection = Projection::rotation(degrees, image, image.width(), image.height());
    warp(image, &projection, image.width(), image.height(), ground(image))
}

fn speckled(image: &Image, one_in: u32) -> Image {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut speckled = image.clone();
    for pixel in speckled.rgb_mut() {
        if random.random_range(0..one_in) == 0 {
            *pixel = if random.random() { [0; 3] } else { [255; 3] };
        }
    }
    speckled
}

#[test]
fn skew_is_found_to_a_fifth_of_a_degree() {
    let image = receipt(500, 700);
    for tenths in (-95..=95).step_by(19) {
        let degrees = f64::from(tenths) / 10.0;
        match skew_degrees(&turned(&image, degrees)) {
            Some(found) => assert!((found - degrees).abs() <= 0.2, "{found} instead of {degrees}"),
            None => assert!(degrees.abs() <= 0.4, "nothing instead of {degrees}"),
        }
    }
}

#[test]
fn a_straight_document_is_left_alone() {
    assert_eq!(skew_degrees(&receipt(500, 700)), None);
    assert_eq!(skew_degrees(&Image::filled(300, 200, [200; 3])), None);
}

#[test]
fn a_cut_out_of_a_few_letters_is_not_straightened() {
    let crop = turned(&receipt(120, 160), 6.0).crop(10, 40, 100, 60);
    assert_eq!(skew_degrees(&crop), None);
}

#[test]
fn a_crooked_receipt_becomes_as_good_as_a_straight_one() {
    let image = receipt(500, 700);
    let straight = prepare(&image, DocumentKind::Receipt, FRAME);
    let error = |other: &Image| {
        let pairs = straight.pixels().iter().zip(other.pixels());
        pairs.map(|(&a, &b)| u64::from(a.abs_diff(b))).sum::<u64>()
    };
    let crooked = turned(&image, 6.0);
    let mended = error(&prepare(&crooked, DocumentKind::Receipt, FRAME));
    let left = error(&prepare(&crooked, DocumentKind::IdDocument, FRAME));
    assert!(mended * 2 < left, "{mended} against {left}");
}

#[test]
fn specks_are_removed_and_a_clean_page_is_not_touched() {
    let image = receipt(200, 300);
    assert!(specks::remove(&image).is_none());
    let clean = specks::remove(&speckled(&image, 60)).expect("there are specks");
    let wrong = |other: &Image| {
        image
            .rgb()
            .iter()
            .zip(other.rgb())
            .filter(|(a, b)| a != b)
            .count()
    };
    assert!(wrong(&clean) < 200 * 300 / 50, "{}", wrong(&clean));
}

#[test]
fn a_signature_fills_the_frame_and_keeps_its_proportions() {
    let mut page = Image::filled(800, 600, [250; 3]);
    for (x, y) in (500..600).flat_map(|x| (400..450).map(move |y| (x, y))) {
        let index = page.index(x, y);
        page.rgb_mut()[index] = [10, 10, 80];
    }
    let framed = prepare(&page, DocumentKind::Signature, square(100));
    let dark = |index: &usize| framed.rgb()[*index][0] < 128;
    let row: Vec<usize> = (50 * 100..51 * 100).filter(dark).collect();
    assert!((90..=97).contains(&row.len()), "{} of 100 across", row.len());
    let column = (0..100).map(|y| y * 100 + 50).filter(dark).count();
    assert!((44..=50).contains(&column), "{column} of 100 down");
}

#[test]
fn beyond_its_edges_an_image_goes_on_as_it_ends() {
    let framed = prepare(
        &Image::filled(40, 10, [10, 200, 30]),
        DocumentKind::Other,
        square(64),
    );
    assert_eq!(framed, Image::filled(64, 64, [10, 200, 30]));
}

#[test]
fn an_image_that_fits_keeps_its_pixels() {
    let crop = speckled(&Image::filled(30, 20, [200; 3]), 2_000);
    let framed = prepare(
        &crop,
        DocumentKind::Other,
        Frame {
            height: 24,
            width: 40,
        },
    );
    assert_eq!(framed.crop(5, 2, 30, 20), crop);
}

#[test]
fn a_document_that_fits_keeps_its_margin_and_its_slant() {
    let crooked = turned(&receipt(120, 160), 6.0);
    let framed = prepare(&crooked, DocumentKind::Receipt, square(160));
    assert_eq!(framed.crop(20, 0, 120, 160), crooked);
}

#[test]
fn the_middle_is_cut_out_and_filled_up() {
    let image = speckled(&Image::filled(30, 20, [200; 3]), 20);
    let middle = centre(
        &image,
        Frame {
            height: 30,
            width: 20,
        },
    );
    assert_eq!(middle.crop(0, 5, 20, 20), image.crop(5, 0, 20, 20));
    let first_row = image.crop(5, 0, 20, 1);
    assert_eq!(middle.crop(0, 3, 20, 1), first_row);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_image_fills_its_frame_and_the_same_again(
        width in 1_u32..90, height in 1_u32..90, frame in (1_u32..70, 1_u32..70), seed: u64, kind in 0_usize..5,
    ) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let pixels = (0..width * height * 3).map(|_| random.random()).collect();
        let (image, kind) = (Image::new(width, height, pixels), DocumentKind::ALL[kind]);
        let frame = Frame { height: frame.0, width: frame.1 };
        let framed = prepare(&image, kind, frame);
        prop_assert_eq!((framed.height(), framed.width()), (frame.height, frame.width));
        prop_assert_eq!(framed, prepare(&image, kind, frame));
    }
}
