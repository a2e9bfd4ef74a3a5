//! From raw bytes to a canonical event without card numbers.

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

/// Every keyed stage must find its entity: without one the event would have no place in the log.
fn check_stages(settings: &Settings, event: &Event) -> Result<(), Reject> {
    let entities = match event {
        Event::Transaction(t) => &t.entities,
        Event::Label(l) => &l.entities,
    };
    settings
        .stages
        .iter()
        .find(|stage| !entities.contains_key(*stage))
        .map_or(Ok(()), |missing| {
            Err(Reject::new(
                Reason::MissingEntity,
                format!("entities.{missing}: missing, and the pipeline keys by it"),
            ))
        })
}
