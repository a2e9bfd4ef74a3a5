//! R6: whether a source has read everything there is. The only use of the clock in the protocol.

/// How [`CatchUp`] judges.
///
/// # Units
/// All in microseconds, not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUpSettings {
    /// At the end of its log, a source whose newest event is at most this old is caught up at once.
    pub recent_us: i64,
    /// At the end of its log, a source is caught up when nothing has come for this long. It has to be longer
    /// than any pause within history that streams in: nothing inside can tell a pause from an end.
    pub silence_us: i64,
    /// How long a source that is caught up may need to reach an end that it saw, and stay caught up.
    pub grace_us: i64,
}

/// What a decision is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The time.
    pub now_us: i64,
    /// The input offset next to read.
    pub position: i64,
    /// The end of the input as the broker says now: the offset its next record will get.
    pub end: i64,
}

/// R6: the caught-up flag of one source.
///
/// The flag is **earned** only at the end of the log, position = end, and if one of these holds:
/// - the owner began at the end, and the commit it began from says so (R4);
/// - the newest event read is recent;
/// - nothing has come for the silence time.
///
/// It is **kept** at the end, with two refinements:
/// 1. Records that are not recent void it: after history has been read it must be earned again. Otherwise a
///    source that was idle before its history came would run ahead of its siblings at each short pause.
/// 2. Behind the end it is kept for the grace time: live traffic always has something in flight, and a flag that
///    went off with every record would make live rows wait for nobody in particular. What is measured is how long
///    the source needs to reach an end that it saw, not how long it goes without being at the end of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUp {
    settings: CatchUpSettings,
    caught_up: bool,
    inherited: bool,
    quiet_since_us: i64,
    newest_us: Option<i64>,
    behind: Option<Behind>,
}

/// An end that was seen and not yet reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behind {
    end: i64,
    since_us: i64,
}

impl CatchUp {
    /// A new owner: not caught up before its first decision. `inherited` is what the commit it begins from says.
    ///
    /// The newest event of that commit does not count as recent, only what this owner reads itself.
    #[must_use]
    pub const fn start(settings: CatchUpSettings, now_us: i64, inherited: bool) -> Self {
        Self {
            settings,
            caught_up: false,
            inherited,
            quiet_since_us: now_us,
            newest_us: None,
            behind: None,
        }
    }

    /// Records have come; `newest_us` is the source's newest event time with them
    /// ([`SourceClock::newest_us`](crate::SourceClock::newest_us)). If that voids the flag, every target partition
    /// has to hear it before anything else is read, also those that none of the records go to (R7).
    pub fn read(&mut self, now_us: i64, newest_us: i64) {
        self.quiet_since_us = now_us;
        self.inherited = false;
        self.newest_us = Some(newest_us);
        if !self.is_recent(now_us) {
            self.caught_up = false;
        }
    }

    /// Decides, and says, whether the source is caught up now.
    pub fn decide(&mut self, facts: Facts) -> bool {
        self.caught_up = if facts.position >= facts.end {
            self.behind = None;
            self.caught_up || self.inherited || self.is_recent(facts.now_us) || self.is_silent(facts.now_us)
        } else {
            self.caught_up && self.is_within_grace(facts)
        };
        self.caught_up
    }

    /// What was decided last.
    #[must_use]
    pub const fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// Voids the flag and begins the silence anew: another source of the same worker starts reading history after
    /// all of them were idle, so that more of it may be about to come here, too.
    ///
    /// It helps only if the word (R7) reaches every target partition before what the other source has read, and,
    /// where a stage has more than one input partition, only in a new generation: within the old one, siblings
    /// whose part of the log has not come so far still count as caught up at the stages after the first (R8).
    pub fn cease(&mut self, now_us: i64) {
        self.caught_up = false;
        self.inherited = false;
        self.quiet_since_us = now_us;
    }

    fn is_recent(&self, now_us: i64) -> bool {
        self.newest_us
            .is_some_and(|newest| now_us.saturating_sub(newest) <= self.settings.recent_us)
    }

    const fn is_silent(&self, now_us: i64) -> bool {
        now_us.saturating_sub(self.quiet_since_us) >= self.settings.silence_us
    }

    fn is_within_grace(
        &mut self,
        Facts {
            now_us,
            position,
            end,
        }: Facts,
    ) -> bool {
        let behind = match self.behind {
            Some(behind) if position < behind.end => behind,
            _ => Behind {
                end,
                since_us: now_us,
            },
        };
        self.behind = Some(behind);
        now_us.saturating_sub(behind.since_us) < self.settings.grace_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: CatchUpSettings = CatchUpSettings {
        recent_us: 100,
        silence_us: 50,
        grace_us: 10,
    };

    fn start(inherited: bool) -> CatchUp {
        CatchUp::start(SETTINGS, 1000, inherited)
    }

    fn at(now_us: i64, position: i64, end: i64) -> Facts {
        Facts {
            now_us,
            position,
            end,
        }
    }

    #[test]
    fn r6_the_commit_counts_if_the_owner_began_at_the_end() {
        assert!(start(true).decide(at(1000, 5, 5)));
        assert!(!start(false).decide(at(1000, 5, 5)));
        let mut behind = start(true);
        assert!(
            !behind.decide(at(1000, 5, 6)),
            "grace is for those who have earned the flag"
        );
        behind.read(1001, 0);
        assert!(!behind.decide(at(1001, 6, 6)), "it has read history since");
    }

    #[test]
    fn r6_a_recent_event_at_the_end_will_do() {
        let mut source = start(false);
        source.read(1000, 899);
        assert!(!source.decide(at(1000, 6, 6)));
        source.read(1000, 900);
        assert!(!source.decide(at(1000, 7, 8)), "not at the end");
        assert!(source.decide(at(1000, 8, 8)));
        assert!(source.decide(at(5000, 8, 8)), "it was already so");
    }

    #[test]
    fn r6_silence_at_the_end_will_do() {
        let mut source = start(false);
        source.read(1010, 0);
        assert!(!source.decide(at(1059, 6, 6)));
        assert!(!source.decide(at(1060, 5, 6)), "not at the end");
        assert!(source.decide(at(1060, 6, 6)));
    }

    #[test]
    fn r6_history_voids_the_flag() {
        let mut source = start(true);
        assert!(source.decide(at(1000, 5, 5)));
        source.read(1001, 0);
        assert!(!source.caught_up());
        assert!(
            !source.decide(at(1001, 9, 9)),
            "at the end again, but it may be a pause"
        );
        assert!(source.decide(at(1051, 9, 9)));
    }

    #[test]
    fn r6_live_traffic_keeps_the_flag() {
        let mut source = start(true);
        assert!(source.decide(at(1000, 5, 5)));
        for step in 0..100 {
            let now = 1000 + step * 9; // always something in flight, each end is reached within the grace
            assert!(source.decide(at(now, 5 + step, 6 + step)), "step {step}");
            source.read(now, now - 20);
        }
    }

    #[test]
    fn r6_an_end_not_reached_within_the_grace_voids_the_flag() {
        let mut source = start(true);
        assert!(source.decide(at(1000, 5, 5)));
        assert!(source.decide(at(1000, 5, 7)));
        source.read(1008, 1000);
        assert!(source.decide(at(1009, 6, 99)));
        assert!(!source.decide(at(1010, 6, 99)));
        source.read(1011, 1000);
        assert!(!source.decide(at(1011, 7, 99)), "it is earned at the end only");
        assert!(source.decide(at(1012, 99, 99)));
    }

    #[test]
    fn r6_without_grace_the_flag_goes_at_once() {
        let mut source = CatchUp::start(
            CatchUpSettings {
                grace_us: 0,
                ..SETTINGS
            },
            1000,
            true,
        );
        assert!(source.decide(at(1000, 5, 5)));
        assert!(!source.decide(at(1000, 5, 6)));
    }

    #[test]
    fn r6_ceasing_voids_the_flag_until_silence() {
        let mut source = start(true);
        assert!(source.decide(at(1000, 5, 5)));
        source.cease(1030);
        assert!(!source.caught_up());
        assert!(!source.decide(at(1079, 5, 5)), "what was inherited is void, too");
        assert!(source.decide(at(1080, 5, 5)));
    }
}
