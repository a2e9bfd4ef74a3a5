//! The rules that can be broken, one at a time, in the world around the types.

macro_rules! mutations {
    ($($name:ident: $rule:literal,)*) => {
        /// A broken rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutation { $(#[doc = $rule] $name,)* }

        /// All of them.
        pub const ALL: &[Mutation] = &[$(Mutation::$name,)*];
    };
}

mutations! {
    LabelWaits: "R1: a label waits in ingest for a lookup while later offsets go on",
    OrderByEventTime: "R2: no order time: late events are found by the merge",
    WatermarkTooHigh: "R2: the watermark in the header is higher than the one that made the order times",
    CommitBeforeAck: "R3: ingest commits offsets while rows are still in flight",
    CommitBeforeDeadLetter: "R3: ingest commits offsets before their dead letters are out",
    IndexBeforeGuessed: "R4: a successor takes 'offset - 1' for its index-before, not the commit's",
    WatermarkForgotten: "R4: the commit does not carry the source's newest event time",
    TakeTwice: "R5: a reader takes repeated indices again",
    NoGapCheck: "R5: a reader does not look at index-before (only a planted loss shows it)",
    EmptyUnchecked: "R5: index-before is not checked on empty batches (only a planted loss shows it)",
    CaughtUpTooEarly: "R6: a source says 'caught up' two records before its end",
    IdleNeverCaughtUp: "R6: silence does not make a source caught up",
    SilenceTooShort: "R6: history streams in with pauses longer than the silence that means its end",
    RecentWhileStreaming: "R6: history up to the present streams in: any pause counts as caught up",
    HistoryKeepsTheFlag: "R6: reading history does not void the flag",
    IdleSiblingsNotCeased: "R6: history comes after all were idle, and siblings stay caught up",
    SameGeneration: "R8: they cease, but in the same generation, so that later stages do not know in time",
    FirstWordStays: "R8: of two words about the same position the higher one counts, not the later",
    SplitKeepsTheWord: "R7: the first part of a batch that is split says what holds for all of it",
    WordsOnce: "R7: a successor does not repeat its word, nobody repeats one now and then",
    NoVoid: "R8: a sibling's newer generation does not void an older 'caught up'",
    SourcesUnknown: "R8: only the sources heard of count, not the number in the headers",
    GenerationGoesBack: "R8: the group is deleted, and its generations start again at 1",
    ReleaseAtWatermark: "R9: an event goes on when the watermark is AT it",
    TieWithoutSource: "R9: ties are broken by id and arrival, not by source and offset",
    ReleasePerPoll: "R9: events are released once a poll instead of after every batch",
    SnapshotBeforeAck: "R11: a snapshot is stored while rows made before it are in flight",
    SnapshotOffByOne: "R11: a snapshot names the offset after the one it ends at",
    SnapshotWithoutWaiting: "R11: a snapshot leaves out the events still waiting for their turn",
    DeadLetterUnfenced: "R12: nothing fences a zombie's dead letters",
    DeadLetterReadFirst: "R12: what is already out is read before the predecessor is fenced",
    UnstableOffset: "R13: the scorer reads its start offset while a predecessor's transaction is open",
    ScorerMarksForgotten: "R13: the scorer's commit does not carry the high-water marks",
    LakeNoCompare: "R14: the lake's commit does not compare the version it was based on",
    EpochRestartsNumbers: "R15: a higher epoch starts its own numbers",
    PaceByCommitOnly: "R16: a source that is caught up does not commit, so the others wait for it",
    FutureWindow: "INV-4: the window also holds what is later than the event",
}
