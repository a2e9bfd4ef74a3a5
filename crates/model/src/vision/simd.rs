//! Compiles a kernel once for every instruction set and runs the widest one the processor has.
//!
//! Kernels add with [`f32::mul_add`] in an order that no vector width changes: a fused multiplication and addition
//! rounds once on every processor, in software where it must. The same numbers give the same bits everywhere.

/// Values that one vector instruction works on.
pub(super) type Lanes = [f32; LANES];

/// Values in [`Lanes`]: one register of AVX-512, two of AVX2, four of NEON.
pub(super) const LANES: usize = 16;

/// A computation that is worth compiling for several instruction sets.
pub(super) trait Kernel {
    /// Runs it with `VECTORS` × `TILE` sums of [`LANES`] held in registers. Implementations are `#[inline(always)]`,
    /// so that they are compiled with the features of the function they are called from.
    fn run<const VECTORS: usize, const TILE: usize>(self);
}

/// Runs a kernel with the widest instructions there are.
pub(super) fn dispatch<K: Kernel>(kernel: K) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was just asked for the feature that the function is compiled with.
            #[allow(unsafe_code)]
            return unsafe { with_avx512(kernel) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor was just asked for both features that the function is compiled with.
            #[allow(unsafe_code)]
            return unsafe { with_avx2(kernel) };
        }
    }
    kernel.run::<1, 4>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_avx512<K: Kernel>(kernel: K) {
    kernel.run::<2, 8>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<K: Kernel>(kernel: K) {
    kernel.run::<1, 6>();
}

/// Calls `each` with 0 to `TILE - 1`, up to 8, in straight code: the compiler would take a loop of this length for
/// one to vectorise, gathering what should be broadcast.
#[inline(always)]
pub(super) fn unrolled<const TILE: usize>(mut each: impl FnMut(usize)) {
    const { assert!(TILE <= 8, "no tile is longer") };
    if TILE > 0 {
        each(0);
    }
    if TILE > 1 {
        each(1);
    }
    if TILE > 2 {
        each(2);
    }
    if TILE > 3 {
        each(3);
    }
    if TILE > 4 {
        each(4);
    }
    if TILE > 5 {
        each(5);
    }
    if TILE > 6 {
        each(6);
    }
    if TILE > 7 {
        each(7);
    }
}
