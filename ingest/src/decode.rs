//! From raw bytes to a canonical event without card numbers.

use imaging::DocumentKind;
use schema::{Event, Layout, Reason, Reject, SourceTopic, Subject};

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
    check_subject(&settings.layout, &event)?;
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

/// A label of an image has a place in the log only where images have one.
fn check_subject(layout: &Layout, event: &Event) -> Result<(), Reject> {
    match event {
        Event::Label(label) if label.subject.image_id().is_some() && !layout.images => {
            let message = "image_id: no images come in here (schema.images)";
            Err(Reject::new(Reason::InvalidField, message))
        }
        _ => Ok(()),
    }
}

/// Every keyed stage must find its entity: without one the event would have no place in the log. An image and its labels
/// have an account and need have no more.
fn check_stages(settings: &Settings, event: &Event) -> Result<(), Reject> {
    let account = settings.stages.len().saturating_sub(1);
    let (entities, from) = match event {
        Event::Transaction(t) => (&t.entities, 0),
        Event::Label(l) => match l.subject {
            Subject::Transaction(_) => (&l.entities, 0),
            Subject::Image(_) => (&l.entities, account),
        },
        Event::Image(i) => (&i.entities, account),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schema::{Label, Verdict};

    use super::*;

    #[test]
    fn a_label_of_an_image_is_refused_where_no_images_come_in() {
        let label = |subject| {
            Event::Label(Label {
                subject,
                verdict: Verdict::Fraud,
                known_at_us: 0,
                source: String::new(),
                entities: BTreeMap::new(),
            })
        };
        let (image, transaction) = (Subject::Image("i".into()), Subject::Transaction("t".into()));
        let without = Layout::default();
        let with = Layout {
            images: true,
            ..Layout::default()
        };
        let reject = check_subject(&without, &label(image.clone())).expect_err("refused");
        assert_eq!(reject.reason, Reason::InvalidField);
        assert!(reject.message.contains("schema.images"), "{}", reject.message);
        assert_eq!(check_subject(&without, &label(transaction)), Ok(()));
        assert_eq!(check_subject(&with, &label(image)), Ok(()));
    }
}
