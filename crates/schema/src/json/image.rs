//! Document images as records: a JSON object, or the file itself described by headers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Decoder, entities, identifier, instant, parse};
use crate::event::{Image, ImageFile};
use crate::reject::{Reason, Reject};
use crate::time;

/// What comes before the name of an entity in the name of its header.
const ENTITY: &str = "entity.";

#[derive(Deserialize)]
struct ImageRecord {
    image_id: Value,
    event_time: Value,
    kind: String,
    #[serde(default)]
    transaction_id: Option<Value>,
    #[serde(default)]
    entities: BTreeMap<String, Value>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    uri: Option<String>,
}

/// Where the file of an image is that came as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In the record itself, in base64 (RFC 4648 section 4).
    Base64(String),
    /// In an object store or folder.
    Uri(String),
}

impl Decoder {
    /// Decodes the JSON record of an image: everything but its file, and where that is.
    ///
    /// Limits on its fields are those of [`Decoder::check`]; its size is for the caller to look at.
    ///
    /// # Errors
    /// A [`Reject`] if it is none.
    pub fn image(bytes: &[u8]) -> Result<(Image, Content), Reject> {
        let record: ImageRecord = parse(bytes)?;
        let content = match (record.content, record.uri) {
            (Some(base64), None) => Content::Base64(base64),
            (None, Some(uri)) => Content::Uri(uri),
            _ => {
                return Err(Reject::new(
                    Reason::InvalidField,
                    "one of content (base64) and uri has to be there",
                ));
            }
        };
        let image = Image {
            image_id: identifier("image_id", record.image_id)?,
            event_time_us: instant("event_time", &record.event_time)?,
            kind: record.kind,
            transaction_id: record
                .transaction_id
                .filter(|id| !id.is_null())
                .map(|id| identifier("transaction_id", id))
                .transpose()?,
            entities: entities(record.entities)?,
            file: ImageFile::default(),
        };
        Ok((image, content))
    }

    /// Reads the image that a record's headers describe, whose value is the file itself; none if they describe none.
    ///
    /// The headers: `image_id`, `event_time` (RFC 3339, or milliseconds since the Unix epoch), `kind`, `transaction_id`
    /// where it belongs to one, `entity.<name>` for each entity.
    ///
    /// # Errors
    /// A [`Reject`] for one that is missing or cannot be read.
    pub fn image_of_headers(headers: &[(String, Vec<u8>)]) -> Result<Option<Image>, Reject> {
        if !headers.iter().any(|(name, _)| name == "image_id") {
            return Ok(None);
        }
        let mut texts = BTreeMap::new();
        for (name, value) in headers {
            let text = std::str::from_utf8(value)
                .map_err(|_| Reject::new(Reason::Undecodable, format!("the header {name} is not UTF-8")))?;
            texts.insert(name.as_str(), text);
        }
        let required = |name: &str| {
            let missing = || Reject::new(Reason::InvalidField, format!("the header {name} is missing"));
            texts.get(name).copied().ok_or_else(missing)
        };
        let time = required("event_time")?;
        let event_time = time
            .parse::<i64>()
            .map_or_else(|_| Value::from(time), Value::from);
        let entities = texts.iter().filter_map(|(name, value)| {
            let entity = name.strip_prefix(ENTITY)?;
            Some((entity.to_owned(), (*value).to_owned()))
        });
        Ok(Some(Image {
            image_id: required("image_id")?.to_owned(),
            event_time_us: instant("event_time", &event_time)?,
            kind: required("kind")?.to_owned(),
            transaction_id: texts.get("transaction_id").map(|id| (*id).to_owned()),
            entities: entities.collect(),
            file: ImageFile::default(),
        }))
    }
}

/// The headers that [`Decoder::image_of_headers`] reads.
#[must_use]
pub fn headers_of_image(image: &Image) -> Vec<(String, String)> {
    let mut headers = vec![
        ("image_id".to_owned(), image.image_id.clone()),
        ("event_time".to_owned(), time::format(image.event_time_us)),
        ("kind".to_owned(), image.kind.clone()),
    ];
    let transaction = image.transaction_id.iter();
    headers.extend(transaction.map(|id| ("transaction_id".to_owned(), id.clone())));
    let entities = image.entities.iter();
    headers.extend(entities.map(|(name, value)| (format!("{ENTITY}{name}"), value.clone())));
    headers
}
