//! Images of documents, to be looked at.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use clap::{Args, Subcommand};
use imaging::{
    Augmentation, DocumentKind, Frame, Image, Limits, Recipe, Step, admit, augment, centre, prepare, sheet,
};

use crate::tables::Table;

/// Most documents of a sheet: it lies in memory as a whole.
const MAX_COUNT: usize = 1_000;
/// Most augmentations of a document.
const MAX_AUGMENTED: u64 = 100;
/// Endings of the names of image files.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "tif", "tiff", "webp"];

/// What can be done with images.
#[derive(Subcommand)]
pub(crate) enum ImagesCommand {
    /// Draws documents, what preparation makes of them and augmentations of that on one sheet.
    Sheet(SheetArgs),
}

/// Draws documents on a contact sheet, one a row: as it came, prepared, augmented.
#[derive(Args)]
pub(crate) struct SheetArgs {
    /// A Parquet file with a column `content` (and `kind`), or a folder of image files
    #[arg(long, env = "RISKSTREAM_IMAGES_INPUT", value_name = "PATH")]
    input: PathBuf,
    /// The sheet, a PNG
    #[arg(long, short, env = "RISKSTREAM_IMAGES_OUTPUT", value_name = "FILE")]
    output: PathBuf,
    /// Documents of this kind alone; what the files of a folder are (other, if it is not said)
    #[arg(long, env = "RISKSTREAM_IMAGES_KIND", value_name = "KIND", value_parser = kind)]
    kind: Option<DocumentKind>,
    /// How many documents, the first ones
    #[arg(long, env = "RISKSTREAM_IMAGES_COUNT", default_value_t = 24, value_name = "N")]
    count: usize,
    /// How many augmentations of each
    #[arg(
        long,
        env = "RISKSTREAM_IMAGES_AUGMENTED",
        default_value_t = 3,
        value_name = "N"
    )]
    augmented: u64,
    /// How many documents stand side by side
    #[arg(
        long,
        env = "RISKSTREAM_IMAGES_COLUMNS",
        default_value_t = 1,
        value_name = "N"
    )]
    columns: u32,
    /// What augmentations are drawn from
    #[arg(long, env = "RISKSTREAM_IMAGES_SEED", default_value_t = 1, value_name = "S")]
    seed: u64,
}

/// What the configuration makes of documents.
pub(crate) struct Handling {
    /// What they are prepared for.
    pub(crate) frame: Frame,
    /// What may happen to them in training.
    pub(crate) augmentation: Augmentation,
}

/// Runs a command.
///
/// # Errors
/// If an argument is out of range, an image is refused, or something cannot be read or written.
pub(crate) fn run(command: &ImagesCommand, handling: &Handling, out: &mut impl Write) -> Result<()> {
    let ImagesCommand::Sheet(args) = command;
    let drawn = draw(args, handling)?;
    std::fs::write(&args.output, drawn.sheet.to_png())
        .with_context(|| format!("cannot write to {}", args.output.display()))?;
    writeln!(
        out,
        "{}: {} documents, {} × {} pixels",
        args.output.display(),
        drawn.documents,
        drawn.sheet.width(),
        drawn.sheet.height()
    )?;
    Ok(())
}

struct Drawn {
    documents: usize,
    sheet: Image,
}

fn draw(args: &SheetArgs, handling: &Handling) -> Result<Drawn> {
    ensure!(
        (1..=MAX_COUNT).contains(&args.count),
        "count must be from 1 to {MAX_COUNT}"
    );
    ensure!(
        args.augmented <= MAX_AUGMENTED,
        "augmented must be at most {MAX_AUGMENTED}"
    );
    ensure!(
        args.columns > 0 && args.columns as usize <= MAX_COUNT,
        "columns must be from 1 to {MAX_COUNT}"
    );
    let documents = if args.input.is_dir() {
        from_folder(args)?
    } else {
        from_table(args)?
    };
    ensure!(
        !documents.is_empty(),
        "{}: no image {}",
        args.input.display(),
        args.kind.map_or("in it", |_| "of this kind in it")
    );
    let cells: Vec<Image> = (0..)
        .zip(&documents)
        .flat_map(|(number, document)| document.row(number, args, handling))
        .collect();
    let across = args.columns * u32::try_from(2 + args.augmented)?;
    Ok(Drawn {
        documents: documents.len(),
        sheet: sheet(&cells, across),
    })
}

struct Document {
    kind: DocumentKind,
    image: Image,
}

impl Document {
    fn new(kind: DocumentKind, file: &[u8], place: impl FnOnce() -> String) -> Result<Self> {
        let admitted = admit(file, &Limits::default()).with_context(place)?;
        let image = admitted
            .frames
            .into_iter()
            .next()
            .context("an image has a frame")?;
        Ok(Self { kind, image })
    }

    /// As it came, prepared, augmented.
    fn row(&self, number: u64, args: &SheetArgs, handling: &Handling) -> Vec<Image> {
        let Handling { frame, augmentation } = handling;
        let prepared = prepare(&self.image, self.kind, *frame);
        let augmented = (0..args.augmented).map(|variant| {
            let seed = args.seed.wrapping_add(number * MAX_AUGMENTED + variant);
            centre(&augment(&prepared, self.kind, augmentation, seed).0, *frame)
        });
        let mut row = vec![reduced(&self.image, *frame)];
        row.extend(augmented);
        row.insert(1, prepared);
        row
    }
}

/// No larger than a prepared one.
fn reduced(image: &Image, frame: Frame) -> Image {
    let (width, height) = (u64::from(image.width()), u64::from(image.height()));
    let (most_width, most_height) = (u64::from(frame.width), u64::from(frame.height));
    if width <= most_width && height <= most_height {
        return image.clone();
    }
    let (times, of) = if width * most_height > height * most_width {
        (most_width, width)
    } else {
        (most_height, height)
    };
    let scaled = |side: u64| u32::try_from(side * times / of).unwrap_or(1).max(1);
    let step = Step::Scale {
        width: scaled(width),
        height: scaled(height),
    };
    Recipe { steps: vec![step] }.apply(image)
}

fn from_folder(args: &SheetArgs) -> Result<Vec<Document>> {
    let place = |path: &Path| path.display().to_string();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&args.input).with_context(|| place(&args.input))? {
        let path = entry.with_context(|| place(&args.input))?.path();
        let ending = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or("")
            .to_ascii_lowercase();
        if path.is_file() && ENDINGS.contains(&ending.as_str()) {
            files.push(path);
        }
    }
    files.sort();
    files.truncate(args.count);
    let kind = args.kind.unwrap_or(DocumentKind::Other);
    let read = |path: PathBuf| {
        let file = std::fs::read(&path).with_context(|| place(&path))?;
        Document::new(kind, &file, || place(&path))
    };
    files.into_iter().map(read).collect()
}

fn from_table(args: &SheetArgs) -> Result<Vec<Document>> {
    let table = Table::open(&args.input)?.select(&["kind", "content"]);
    let place = || args.input.display().to_string();
    ensure!(
        table.schema().field_with_name("content").is_ok(),
        "{}: no column content",
        place()
    );
    let mut documents = Vec::new();
    let mut first_row = 0;
    for batch in table.batches() {
        let batch = batch?;
        read_batch(&batch, args, first_row, &mut documents).with_context(place)?;
        first_row += batch.num_rows();
        if documents.len() >= args.count {
            break;
        }
    }
    Ok(documents)
}

fn read_batch(
    batch: &RecordBatch,
    args: &SheetArgs,
    first_row: usize,
    into: &mut Vec<Document>,
) -> Result<()> {
    let column = |name: &str, as_type: &DataType| {
        let column = batch.column_by_name(name);
        column
            .map(|c| cast(c, as_type))
            .transpose()
            .with_context(|| format!("column {name}"))
    };
    let files = column("content", &DataType::Binary)?.context("no column content")?;
    let (files, kinds) = (files.as_binary::<i32>(), column("kind", &DataType::Utf8)?);
    for row in 0..batch.num_rows() {
        let place = || format!("row {}", first_row + row + 1);
        let named = kinds.as_ref().map(|kinds| kinds.as_string::<i32>());
        let named = named
            .filter(|kinds| kinds.is_valid(row))
            .map(|kinds| kinds.value(row));
        let of_row = named
            .map(kind)
            .transpose()
            .map_err(anyhow::Error::msg)
            .with_context(place)?;
        let wanted = args.kind.is_none() || of_row.is_none() || of_row == args.kind;
        if !wanted || into.len() >= args.count {
            continue;
        }
        ensure!(files.is_valid(row), "{}: no content", place());
        let kind = of_row.or(args.kind).unwrap_or(DocumentKind::Other);
        into.push(Document::new(kind, files.value(row), place)?);
    }
    Ok(())
}

fn kind(name: &str) -> Result<DocumentKind, String> {
    let names = DocumentKind::ALL.map(DocumentKind::name);
    DocumentKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| format!("{name:?} is no kind of document; there are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Side of the frame.
    const SIDE: u32 = 224;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(subcommand)]
        images: ImagesCommand,
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("riskstream-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("a folder for the test");
            Self(folder)
        }

        fn run(&self, arguments: &[&str]) -> Result<Image> {
            let sheet = self.0.join("sheet.out");
            let fixed = ["images", "sheet", "--output"].map(str::to_owned);
            let all = fixed.into_iter().chain([sheet.display().to_string()]);
            let all = all.chain(arguments.iter().map(|&a| a.to_owned()));
            let handling = Handling {
                frame: Frame {
                    height: SIDE,
                    width: SIDE,
                },
                augmentation: Augmentation::default(),
            };
            run(&Command::try_parse_from(all)?.images, &handling, &mut Vec::new())?;
            let admitted = admit(&std::fs::read(&sheet)?, &Limits::default())?;
            Ok(admitted.frames[0].clone())
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn a_folder_is_drawn_in_the_order_of_its_names() {
        let folder = Folder::new("sheet-folder");
        for (name, level) in [("b.png", 200), ("a.PNG", 20), ("c.jpg", 120)] {
            let file = Image::filled(300, 30, [level; 3]).to_png();
            std::fs::write(folder.path(name), file).expect("writes");
        }
        std::fs::write(folder.path("notes.txt"), "no image").expect("writes");
        let input = folder.path("");
        let sheet = folder
            .run(&["--input", &input, "--augmented", "1", "--count", "2"])
            .expect("draws");
        assert_eq!(
            (sheet.width(), sheet.height()),
            (3 * (SIDE + 4) + 4, 2 * (SIDE + 4) + 4)
        );
        let at = |x: u32, y: u32| sheet.rgb()[(y * sheet.width() + x) as usize][0];
        assert_eq!([at(10, 10), at(10, SIDE + 14)], [20, 200]);
        let again = folder
            .run(&["--input", &input, "--augmented", "1", "--count", "2"])
            .expect("draws");
        assert_eq!(sheet, again);
    }

    #[test]
    fn a_table_is_drawn_and_its_kinds_are_told_apart() {
        let folder = Folder::new("sheet-table");
        let settings = crate::simulate::Settings {
            customers: 50,
            terminals: 30,
            days: 4,
            images: Some(crate::simulate::Images {
                output: folder.path("images.parquet").into(),
                documents_per_day: 5.0,
            }),
            ..crate::simulate::Settings::default()
        };
        crate::simulate::simulate(&settings, Path::new(&folder.path("t.csv"))).expect("simulates");
        let input = folder.path("images.parquet");
        let draw = |kind| {
            folder.run(&[
                "--input",
                &input,
                "--kind",
                kind,
                "--count",
                "2",
                "--columns",
                "2",
            ])
        };
        let (receipts, cheques) = (draw("receipt").expect("draws"), draw("cheque").expect("draws"));
        assert_eq!(receipts.width(), 10 * (SIDE + 4) + 4);
        assert_ne!(receipts, cheques);
        let error = draw("signature").expect_err("there are none").to_string();
        assert!(error.contains("no image of this kind"), "{error}");
    }

    #[test]
    fn what_is_no_image_is_refused_with_its_place() {
        let folder = Folder::new("sheet-broken");
        std::fs::write(folder.path("broken.jpg"), [0xFF, 0xD8, 0xFF, 0xE0]).expect("writes");
        let input = folder.path("");
        let error = folder.run(&["--input", &input]).expect_err("broken");
        assert!(format!("{error:#}").contains("broken.jpg"), "{error:#}");
        let error = folder
            .run(&["--input", &input, "--kind", "poem"])
            .expect_err("no such kind");
        assert!(error.to_string().contains("id_document"), "{error}");
    }
}
