//! The door for document images, on threads of its own: a file takes as long as a thousand transactions.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use imaging::{Admitted, DocumentKind, Refusal, admit, prepare};
use lake::{LakeError, Store};
use schema::json::{Content, Decoder};
use schema::{Event, ImageFile, Reason, Reject};
use stream::Record;
use tracing::warn;

use crate::config::{ImageSettings, Settings};
use crate::decode::finish;
use crate::error::IngestError;

/// How long a store that fails rests before it is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// What a JSON record may have besides its file.
const ENVELOPE_BYTES: usize = 64 << 10;

/// What becomes of one record; empty while nobody has looked at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticket(Arc<OnceLock<Result<Event, Reject>>>);

impl Ticket {
    pub(crate) fn is_ready(&self) -> bool {
        self.0.get().is_some()
    }

    /// What became of it.
    ///
    /// # Panics
    /// If it is not ready.
    pub(crate) fn outcome(&self) -> Result<Event, Reject> {
        self.0.get().expect("asked once it is ready").clone()
    }
}

/// The threads that look at images. Dropping it ends them.
pub(crate) struct Door {
    jobs: Sender<(Record, Ticket)>,
}

impl Door {
    /// Starts the threads; none where no images come in.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Self>, IngestError> {
        let Some(images) = &settings.images else {
            return Ok(None);
        };
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for nth in 0..images.section.threads {
            let (settings, images, queue) = (settings.clone(), images.clone(), Arc::clone(&queue));
            std::thread::Builder::new()
                .name(format!("images-{nth}"))
                .spawn(move || work(&settings, &images, &queue))
                .map_err(|_| IngestError::Images)?;
        }
        Ok(Some(Self { jobs }))
    }

    /// Has a record looked at.
    pub(crate) fn knock(&self, record: &Record) -> Result<Ticket, IngestError> {
        let ticket = Ticket::default();
        self.jobs
            .send((record.clone(), ticket.clone()))
            .map_err(|_| IngestError::Images)?;
        Ok(ticket)
    }
}

fn work(settings: &Settings, images: &ImageSettings, queue: &Mutex<Receiver<(Record, Ticket)>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((record, ticket)) = next else { return };
        let outcome = loop {
            match look_at(settings, images, &record) {
                Ok(event) => break Ok(event),
                Err(Trouble::Refused(reject)) => break Err(reject),
                Err(Trouble::Store(error)) => {
                    // Whatever is wrong with the store, the image must not be lost for it.
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "an image waits for its store"
                    );
                    std::thread::sleep(RETRY);
                }
            }
        };
        // Each ticket has one holder who fills it.
        let _ = ticket.0.set(outcome);
    }
}

enum Trouble {
    Refused(Reject),
    Store(LakeError),
}

impl From<Reject> for Trouble {
    fn from(reject: Reject) -> Self {
        Self::Refused(reject)
    }
}

impl From<LakeError> for Trouble {
    fn from(error: LakeError) -> Self {
        Self::Store(error)
    }
}

fn look_at(settings: &Settings, images: &ImageSettings, record: &Record) -> Result<Event, Trouble> {
    let payload = record.payload.as_deref().unwrap_or_default();
    if payload.is_empty() {
        return Err(Reject::new(Reason::Empty, "the record has no payload").into());
    }
    let (image, file) = match Decoder::image_of_headers(&record.headers)? {
        Some(image) => (image, Cow::Borrowed(payload)),
        None => {
            let (image, content) = envelope(images, payload)?;
            (image, Cow::Owned(content))
        }
    };
    let mut event = Event::Image(image);
    finish(settings, &mut event, record.timestamp_us)?;
    let admitted = admitted(images, &file)?;
    let Event::Image(image) = &mut event else {
        unreachable!("made as an image above")
    };
    image.file = file_of(&admitted);
    keep(images, image, admitted)?;
    Ok(event)
}

/// Writes the file and what networks read of it, once under its hash, and before the event that names it is sent.
fn keep(images: &ImageSettings, image: &schema::Image, admitted: Admitted) -> Result<(), LakeError> {
    let sha256 = &image.file.sha256;
    let kind = DocumentKind::named(&image.kind).expect("checked when its fields were");
    let prepared = prepare(&admitted.frames[0], kind, images.frame);
    images.images.keep_prepared(sha256, kind, prepared)?;
    images.images.keep(sha256, admitted.stored)
}

/// The image that a JSON record describes, and its file.
fn envelope(images: &ImageSettings, payload: &[u8]) -> Result<(schema::Image, Vec<u8>), Trouble> {
    let most = images.section.limits.max_bytes.saturating_mul(4) / 3 + ENVELOPE_BYTES;
    if payload.len() > most {
        let message = format!("{} bytes are more than the limit of {most}", payload.len());
        return Err(Reject::new(Reason::TooLarge, message).into());
    }
    let (image, content) = Decoder::image(payload)?;
    let file = match content {
        Content::Base64(text) => BASE64_STANDARD
            .decode(text)
            .map_err(|_| Reject::new(Reason::InvalidField, "content: not base64"))?,
        Content::Uri(uri) => fetch(images, &uri)?,
    };
    Ok((image, file))
}

/// A file from one of the places that the configuration allows; nothing else is ever asked for.
fn fetch(images: &ImageSettings, uri: &str) -> Result<Vec<u8>, Trouble> {
    let refuse = |message: String| Reject::new(Reason::MissingContent, message);
    let below = |store: &Store| uri.strip_prefix(store.root().as_str()).map(str::to_owned);
    let found = images
        .sources
        .iter()
        .find_map(|store| below(store).map(|path| (store, path)));
    let Some((store, path)) = found else {
        return Err(refuse("uri: below no address of ingest.images.fetch_from".into()).into());
    };
    let missing = || refuse("uri: there is no such file".into());
    let size = match store.size(&path) {
        Err(LakeError::Path { .. }) => return Err(refuse("uri: not the path of a file".into()).into()),
        other => other?.ok_or_else(missing)?,
    };
    let limit = images.section.limits.max_bytes;
    if size > limit as u64 {
        return Err(Reject::new(
            Reason::TooLarge,
            format!("{size} bytes are more than the {limit} allowed"),
        )
        .into());
    }
    Ok(store.get(&path)?.ok_or_else(missing)?.to_vec())
}

fn admitted(images: &ImageSettings, file: &[u8]) -> Result<Admitted, Reject> {
    // A decoder that panics has met a file that it cannot read: one letter, not the end of the stream.
    let outcome = catch_unwind(AssertUnwindSafe(|| admit(file, &images.section.limits)));
    let outcome = outcome.map_err(|_| Reject::new(Reason::InvalidImage, "its decoder has failed"))?;
    outcome.map_err(|refusal| {
        let reason = if matches!(refusal, Refusal::Bytes { .. }) {
            Reason::TooLarge
        } else {
            Reason::InvalidImage
        };
        Reject::new(reason, refusal.to_string())
    })
}

fn file_of(admitted: &Admitted) -> ImageFile {
    ImageFile {
        sha256: hex::encode(admitted.stored_sha256),
        perceptual_hash: admitted.phash.0,
        width: admitted.width,
        height: admitted.height,
        frames: u32::try_from(admitted.frames.len()).unwrap_or(u32::MAX),
    }
}
