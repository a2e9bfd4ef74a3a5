//! R16: how far ingest may run ahead.

/// R16: ingest does not read further than a bound of event time past the slowest source that is not caught up.
///
/// Rows that are ahead wait in the memory of the keyed stages. The sources of all workers count, as their commits
/// tell (R4); letting waiting rows go, or pausing within one worker, would make rows depend on who was faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The bound.
    ///
    /// # Units
    /// Microseconds of event time, not negative.
    pub ahead_us: i64,
}

impl Pace {
    /// A bound on how far ahead a source may be.
    #[must_use]
    pub const fn new(ahead_us: i64) -> Self {
        Self { ahead_us }
    }

    /// The newest event time up to which a source may read on, `i64::MAX` if nobody has to be waited for.
    ///
    /// `sources` are all of them as they committed: newest event time, caught up; one without a commit is at
    /// [`NEVER_US`](crate::NEVER_US) and not caught up.
    pub fn limit_us(&self, sources: impl IntoIterator<Item = (i64, bool)>) -> i64 {
        let slowest = sources
            .into_iter()
            .filter(|(_, caught_up)| !caught_up)
            .map(|(newest, _)| newest)
            .min();
        slowest.map_or(i64::MAX, |newest| newest.saturating_add(self.ahead_us))
    }

    /// Whether a source may read on whose newest event time is `own_newest_us`; it may be among the `others`, which
    /// are as in [`Pace::limit_us`].
    ///
    /// A source that has read nothing may always read, and so may the slowest: there is no deadlock, provided
    /// that a source which becomes caught up commits it (R4).
    pub fn may_read(&self, own_newest_us: i64, others: impl IntoIterator<Item = (i64, bool)>) -> bool {
        own_newest_us <= self.limit_us(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NEVER_US;

    const PACE: Pace = Pace { ahead_us: 10 };

    #[test]
    fn r16_the_slowest_not_caught_up_sets_the_pace() {
        assert!(PACE.may_read(100, [(90, false), (0, true)]));
        assert!(!PACE.may_read(101, [(90, false), (0, true)]));
        assert!(PACE.may_read(1000, [(90, true), (0, true)]));
        assert!(PACE.may_read(1000, []));
    }

    #[test]
    fn r16_who_has_read_nothing_may_read() {
        assert!(!PACE.may_read(0, [(NEVER_US, false)]));
        assert!(PACE.may_read(NEVER_US, [(NEVER_US, false)]));
        assert!(Pace { ahead_us: i64::MAX }.may_read(i64::MAX, [(1, false)]));
    }
}
