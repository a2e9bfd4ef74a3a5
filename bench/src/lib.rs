//! Benchmarks and the peers they are held against.
