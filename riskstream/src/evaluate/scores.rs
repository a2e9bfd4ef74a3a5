//! Scores, one a transaction or an image.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use schema::layout::column;
use schema::mapping::Cell;
use schema::time;

use super::{EvaluateArgs, Subjects};
use crate::tables::{Row, Rows, Table};

/// The column that tells what was scored.
const SUBJECT: &str = "subject";
/// Its value for an image.
const IMAGE: &str = "image";
/// The columns that are read, besides the card's.
const COLUMNS: [&str; 8] = [
    SUBJECT,
    column::TRANSACTION_ID,
    column::IMAGE_ID,
    "score",
    "revision",
    "event_time",
    "decision",
    "version",
];

/// The score of a transaction or an image.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    /// Which of its scores this is.
    pub(super) revision: i64,
    /// The score, if a model was there.
    pub(super) score: Option<f64>,
    /// When it took place.
    pub(super) event_time_us: Option<i64>,
    /// What was decided.
    pub(super) decision: Option<String>,
    /// Which version of a model made it, by its place in [`Scores::versions`].
    pub(super) version: Option<usize>,
    /// The card, if it is to be read here.
    pub(super) card: Option<String>,
}

/// The scores of a period.
#[derive(Debug, Default)]
pub(super) struct Scores {
    /// Place in `all` by identifier.
    pub(super) places: HashMap<String, usize>,
    /// One a transaction or image, in the order of the file.
    pub(super) all: Vec<Scored>,
    /// The versions that made them.
    pub(super) versions: Vec<String>,
    /// Number of records.
    pub(super) records: u64,
    /// Number of records that are of images where transactions are asked for, or the other way.
    pub(super) others: u64,
    /// Number of records outside the period.
    pub(super) outside: u64,
    /// Number of records that another one of the same identifier took the place of.
    pub(super) repeated: u64,
}

/// Reads the scores of a period, with the card of this name if it is to be found here.
pub(super) fn read(args: &EvaluateArgs, table: &Table, card: Option<&str>) -> Result<Scores> {
    let (mut scores, from, to) = (Scores::default(), args.from, args.to);
    let card = card.map(|card| column_of(table, card)).transpose()?;
    let columns = COLUMNS.into_iter().chain(card.as_deref()).collect::<Vec<_>>();
    for batch in table.clone().select(&columns).batches() {
        let rows = Rows::new(&batch?)?;
        let places = Places::new(&rows, args.subjects(), card.as_deref())?;
        ensure!(
            places.event_time.is_some() || (from.is_none() && to.is_none()),
            "scores have no event_time"
        );
        for row in rows.iter() {
            scores.records += 1;
            if !places.is_asked_for(row) {
                scores.others += 1;
                continue;
            }
            let (id, scored) = places.read(row, &mut scores.versions);
            let at = scored.event_time_us;
            if from.is_some_and(|from| at.is_none_or(|at| at < from))
                || to.is_some_and(|to| at.is_none_or(|at| at >= to))
            {
                scores.outside += 1;
            } else if let Some(id) = id {
                scores.add(id, scored);
            }
        }
    }
    Ok(scores)
}

impl Scores {
    fn add(&mut self, id: String, scored: Scored) {
        if let Some(&place) = self.places.get(&id) {
            self.repeated += 1;
            if self.all[place].revision <= scored.revision {
                self.all[place] = scored;
            }
        } else {
            self.places.insert(id, self.all.len());
            self.all.push(scored);
        }
    }
}

/// The name of a column that is given by itself or as an entity's.
fn column_of(table: &Table, name: &str) -> Result<String> {
    let entity = format!("entities.{name}");
    let mut batches = table.batches();
    let Some(first) = batches.next() else {
        return Ok(name.to_owned());
    };
    let rows = Rows::new(&first?)?;
    let found = [name.to_owned(), entity]
        .into_iter()
        .find(|n| rows.place(n).is_some());
    found.with_context(|| format!("neither labels nor scores have a column {name}"))
}

struct Places {
    subjects: Subjects,
    id: usize,
    subject: Option<usize>,
    image_id: Option<usize>,
    score: usize,
    revision: Option<usize>,
    event_time: Option<usize>,
    decision: Option<usize>,
    version: Option<usize>,
    card: Option<usize>,
}

impl Places {
    fn new(rows: &Rows, subjects: Subjects, card: Option<&str>) -> Result<Self> {
        let needed = |name: &str| {
            rows.place(name)
                .with_context(|| format!("scores have no column {name}"))
        };
        Ok(Self {
            subjects,
            id: needed(subjects.id_column())?,
            subject: rows.place(SUBJECT),
            image_id: rows.place(column::IMAGE_ID),
            score: needed("score")?,
            revision: rows.place("revision"),
            event_time: rows.place("event_time"),
            decision: rows.place("decision"),
            version: rows.place("version"),
            card: card.and_then(|card| rows.place(card)),
        })
    }

    /// Whether a score is of what is measured. Where scores do not say what they are of, those of images have an
    /// image's identifier; where they do, those of transactions may have one, too.
    fn is_asked_for(&self, row: Row<'_>) -> bool {
        let subject = self.subject.and_then(|place| text(&row.at(place)));
        let has_image = || self.image_id.is_some_and(|place| row.at(place) != Cell::Null);
        let of_image = subject.map_or_else(has_image, |subject| subject == IMAGE);
        of_image == (self.subjects == Subjects::Images)
    }

    fn read(&self, row: Row<'_>, versions: &mut Vec<String>) -> (Option<String>, Scored) {
        let optional = |place: Option<usize>| place.and_then(|place| text(&row.at(place)));
        let version = optional(self.version).map(|version| {
            versions.iter().position(|v| *v == version).unwrap_or_else(|| {
                versions.push(version);
                versions.len() - 1
            })
        });
        let scored = Scored {
            revision: self.revision.and_then(|place| whole(&row.at(place))).unwrap_or(0),
            score: number(&row.at(self.score)).filter(|score| score.is_finite()),
            event_time_us: self.event_time.and_then(|place| instant(&row.at(place))),
            decision: optional(self.decision),
            version,
            card: optional(self.card),
        };
        (text(&row.at(self.id)), scored)
    }
}

/// A value as a text, if there is one.
pub(super) fn text(cell: &Cell<'_>) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Bool(yes) => Some(yes.to_string()),
        Cell::Int(n) => Some(n.to_string()),
        Cell::Float(x) => Some(x.to_string()),
        Cell::Text(text) => Some(text.to_string()),
        Cell::Instant(at_us) => Some(time::format(*at_us)),
    }
}

fn whole(cell: &Cell<'_>) -> Option<i64> {
    if let Cell::Int(n) = cell { Some(*n) } else { None }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a score is 0 or 1 where it is a whole number"
)]
fn number(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Int(n) => Some(*n as f64),
        Cell::Float(x) => Some(*x),
        _ => None,
    }
}

/// A value as an instant: a time, an RFC 3339 text, or milliseconds since the Unix epoch.
fn instant(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Instant(at_us) => Some(*at_us),
        Cell::Text(text) => time::parse(text),
        Cell::Int(at_ms) => at_ms.checked_mul(1_000),
        _ => None,
    }
}
