//! Many events in one message: each its key and payload, each with its length before it.

/// Appends an event to a batch.
pub(super) fn push(batch: &mut Vec<u8>, key: &[u8], payload: &[u8]) {
    for part in [key, payload] {
        let length = u32::try_from(part.len()).expect("a message is far below 4 GiB");
        batch.extend_from_slice(&length.to_le_bytes());
        batch.extend_from_slice(part);
    }
}

/// The events of a batch; ends early where it is cut off.
pub(super) fn events(mut batch: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || Some((part(&mut batch)?, part(&mut batch)?)))
}

fn part<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (part, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_as_they_went_in() {
        let mut batch = Vec::new();
        push(&mut batch, b"a", b"first");
        push(&mut batch, b"", b"");
        push(&mut batch, b"b", b"third");
        let all: Vec<_> = events(&batch).collect();
        assert_eq!(all, [(&b"a"[..], &b"first"[..]), (b"", b""), (b"b", b"third")]);
        assert_eq!(events(&batch[..batch.len() - 1]).count(), 2);
    }
}
