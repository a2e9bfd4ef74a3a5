//! Any bytes at the door: no panic, no more memory than allowed, no long work.

#![no_main]

use std::time::{Duration, Instant};

use imaging::{Limits, admit};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Work allowed for a file whose decoding may take the memory allowed here; instrumented code is some ten times slower.
const WORK: Duration = Duration::from_secs(5);

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        max_memory_bytes: 16 << 20,
        frames_kept: 8,
        ..Limits::default()
    };
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let admitted = admit(bytes, &limits);
    let (time, memory) = (start.elapsed(), MEMORY.peak_usage() - before);
    assert!(
        memory as u64 <= limits.max_memory_bytes,
        "{memory} bytes of memory"
    );
    assert!(time < WORK, "{time:?}");
    if let Ok(admitted) = admitted {
        let again = admit(&admitted.stored, &Limits::default()).expect("what is stored is admitted");
        assert_eq!(
            again.frames[0], admitted.frames[0],
            "what is stored shows the same"
        );
    }
});
