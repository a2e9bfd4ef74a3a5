//! Memory of feature maps, used again.
//!
//! The maps of a batch take hundreds of megabytes, in the same sizes step after step. The system clears fresh memory
//! page by page, which took a fifth of a step's time; so what is given back here is kept while somebody reuses it.

use std::cell::RefCell;

/// Memory larger than this times what is asked for is left to others.
const MOST_TIMES: usize = 2;

#[derive(Default)]
struct Shelf {
    users: usize,
    kept: Vec<Vec<f32>>,
}

thread_local! {
    static SHELF: RefCell<Shelf> = RefCell::default();
}

/// While one lives, the thread keeps memory that is given back; with the last one it is freed.
pub(super) struct Reuse(());

impl Reuse {
    pub(super) fn begin() -> Self {
        SHELF.with_borrow_mut(|shelf| shelf.users += 1);
        Self(())
    }
}

impl Drop for Reuse {
    fn drop(&mut self) {
        SHELF.with_borrow_mut(|shelf| {
            shelf.users -= 1;
            if shelf.users == 0 {
                shelf.kept = Vec::new();
            }
        });
    }
}

/// So many numbers, whatever they are: for those who write all of them.
pub(super) fn any(len: usize) -> Vec<f32> {
    let kept = SHELF.with_borrow_mut(|shelf| {
        let fits = |kept: &Vec<f32>| (len..=len * MOST_TIMES).contains(&kept.capacity());
        let fitting = shelf.kept.iter().enumerate().filter(|(_, kept)| fits(kept));
        let (at, _) = fitting.min_by_key(|(_, kept)| kept.capacity())?;
        Some(shelf.kept.swap_remove(at))
    });
    match kept {
        Some(mut kept) => {
            kept.resize(len, 0.0);
            kept
        }
        None => vec![0.0; len],
    }
}

/// Gives memory back.
pub(super) fn give(data: Vec<f32>) {
    // A thread that ends takes its shelf along, perhaps before the last maps.
    let _ = SHELF.try_with(|shelf| {
        let mut shelf = shelf.borrow_mut();
        if shelf.users > 0 && data.capacity() > 0 {
            shelf.kept.push(data);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_while_somebody_uses_it() {
        let outer = Reuse::begin();
        drop(Reuse::begin());
        give(vec![7.0; 100]);
        assert_eq!(any(201).len(), 201, "the kept is too small");
        assert_eq!(any(20), [0.0; 20], "the kept is much too large");
        assert_eq!(any(60), [7.0; 60]);
        assert_eq!(any(60), [0.0; 60], "it is taken");
        give(vec![7.0; 100]);
        drop(outer);
        assert_eq!(any(60), [0.0; 60], "it is freed");
        give(vec![7.0; 100]);
        assert_eq!(any(60), [0.0; 60], "nobody keeps it");
    }
}
