//! From raw bytes to a canonical event without card numbers.

use imaging::DocumentKind;
use schema::{Event, Reason, Reject, SourceTopic};

use crate::config::Settings;

/// Decodes, maps, checks and tokenises one raw record.
///
/// # Errors
/// A [`Reject`], with which the record becomes a dead letter.
pub(crate) fn decode(
    settings: &Settings,
    topic: SourceTopic,
    payload: &[u8],
    timestamp_us: i64,
) -> Result<Event, Reject> {
    let mut event = match (&settings.mapping, topic) {
        (Some(mapping), SourceTopic::Transactions) => {
            let record = settings.decoder.decode_flat(payload)?;
            let event = Event::Transaction(mapping.transaction(&record, settings.section.limits.max_amount)?);
            settings.decoder.check(&event, timestamp_us)?;
            event
        }
        _ => settings.decoder.decode(topic, payload, timestamp_us)?,
    };
    settings.tokeniser.apply(&mut event);
    check_stages(settings, &event)?;
    Ok(event)
}

/// Checks and tokenises an image whose file has still to be looked at.
///
/// # Errors
/// A [`Reject`] for whatever is wrong with its fields.
pub(crate) fn finish(settings: &Settings, event: &mut Event, timestamp_us: i64) -> Result<(), Reject> {
    settings.decoder.check(event, timestamp_us)?;
    if let Event::Image(image) = event
        && DocumentKind::named(&image.kind).is_none()
    {
        let kinds = DocumentKind::ALL.map(DocumentKind::name);
        let message = format!("kind: none of {}", kinds.join(", "));
        return Err(Reject::new(Reason::InvalidField, message));
    }
    settings.tokeniser.apply(event);
    check_stages(settings, event)
}

/// Every keyed stage must find its entity: without one the event would have no place in the log. An image has an account
/// and need have no more.
fn check_stages(settings: &Settings, event: &Event) -> Result<(), Reject> {
    let (entities, from) = match event {
        Event::Transaction(t) => (&t.entities, 0),
        Event::Label(l) => (&l.entities, 0),
        Event::Image(i) => (&i.entities, settings.stages.len().saturating_sub(1)),
    };
    settings.stages[from..]
        .iter()
        .find(|stage| !entities.contains_key(*stage))
        .map_or(Ok(()), |missing| {
            Err(Reject::new(
                Reason::MissingEntity,
                format!("entities.{missing}: missing, and the pipeline keys by it"),
            ))
        })
}
