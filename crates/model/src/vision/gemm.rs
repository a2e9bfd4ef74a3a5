//! Matrix multiplication with one order of additions.
//!
//! Each output goes on from the value it had and adds its products in the order of the inner dimension, each with one
//! fused instruction. Blocks and tiles change which output is computed when, never a bit of it.

use super::simd::{Kernel, LANES, Lanes, dispatch, unrolled};

/// The inner dimension goes through in blocks of this depth: a panel of them stays in the first cache.
const DEPTH: usize = 256;
/// Columns packed together: a block of them stays in the second cache.
const COLUMNS: usize = 512;
/// Rows that meet one panel before the next one: they stay in the second cache beside it.
const ROWS: usize = 96;

/// A matrix in memory.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// Where rows begin, or columns where those are contiguous.
    starts: Starts<'a>,
    order: Order,
}

/// Where the rows of a matrix begin.
#[derive(Clone, Copy)]
enum Starts<'a> {
    /// Every so many numbers.
    Even(usize),
    /// Here.
    Listed(&'a [usize]),
}

impl Starts<'_> {
    #[inline(always)]
    fn of(&self, row: usize) -> usize {
        match self {
            Self::Even(stride) => row * stride,
            Self::Listed(starts) => starts[row],
        }
    }
}

/// Which dimension is contiguous.
#[derive(Clone, Copy)]
enum Order {
    Rows,
    Columns,
}

impl<'a> Matrix<'a> {
    /// A matrix stored row after row.
    pub(super) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "the data fill the matrix");
        Self {
            data,
            rows,
            columns,
            starts: Starts::Even(columns),
            order: Order::Rows,
        }
    }

    /// A matrix whose rows begin at these places; they may overlap.
    pub(super) const fn listed(data: &'a [f32], starts: &'a [usize], columns: usize) -> Self {
        Self {
            data,
            rows: starts.len(),
            columns,
            starts: Starts::Listed(starts),
            order: Order::Rows,
        }
    }

    /// The same memory seen with rows and columns exchanged.
    pub(super) const fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            order: match self.order {
                Order::Rows => Order::Columns,
                Order::Columns => Order::Rows,
            },
            ..self
        }
    }

    #[inline(always)]
    fn at(&self, row: usize, column: usize) -> f32 {
        match self.order {
            Order::Rows => self.data[self.starts.of(row) + column],
            Order::Columns => self.data[self.starts.of(column) + row],
        }
    }
}

/// `out += left × right`.
///
/// # Shape
/// `left`: rows × inner; `right`: inner × columns; `out`: rows × columns, row after row.
pub(super) fn multiply_add(left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32]) {
    assert_eq!(left.columns, right.rows, "the inner dimensions agree");
    assert_eq!(
        out.len(),
        left.rows * right.columns,
        "the output is rows × columns"
    );
    dispatch(Product { left, right, out });
}

struct Product<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    out: &'a mut [f32],
}

/// A block of the product: these columns of the output, this part of the inner dimension.
#[derive(Clone, Copy)]
struct Block {
    column: usize,
    columns: usize,
    depth: usize,
    depths: usize,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run<const VECTORS: usize, const TILE: usize>(mut self) {
        let (inner, columns) = (self.right.rows, self.right.columns);
        for depth in (0..inner).step_by(DEPTH) {
            for column in (0..columns).step_by(COLUMNS) {
                let block = Block {
                    column,
                    columns: COLUMNS.min(columns - column),
                    depth,
                    depths: DEPTH.min(inner - depth),
                };
                self.block::<VECTORS, TILE>(block);
            }
        }
    }
}

impl Product<'_> {
    /// Whole panels of `VECTORS`, then the rest in a narrow one if it fits.
    #[inline(always)]
    fn block<const VECTORS: usize, const TILE: usize>(&mut self, block: Block) {
        let rest = block.columns % (VECTORS * LANES);
        if rest == 0 || rest > LANES {
            return self.panels::<VECTORS, TILE>(block);
        }
        let whole = block.columns - rest;
        self.panels::<VECTORS, TILE>(Block {
            columns: whole,
            ..block
        });
        self.panels::<1, TILE>(Block {
            column: block.column + whole,
            columns: rest,
            ..block
        });
    }

    #[inline(always)]
    fn panels<const VECTORS: usize, const TILE: usize>(&mut self, block: Block) {
        let packed = pack::<VECTORS>(&self.right, block);
        for from in (0..self.left.rows).step_by(ROWS) {
            let to = self.left.rows.min(from + ROWS);
            for (at, panel) in packed.chunks_exact(block.depths).enumerate() {
                let start = at * VECTORS * LANES;
                let place = Place {
                    column: block.column + start,
                    width: (block.columns - start).min(VECTORS * LANES),
                    depth: block.depth,
                };
                let row = self.tiles::<VECTORS, TILE>(from, to, panel, place);
                let row = self.tiles::<VECTORS, 2>(row, to, panel, place);
                self.tiles::<VECTORS, 1>(row, to, panel, place);
            }
        }
    }

    /// As many whole tiles of rows as there are; the row after them.
    #[inline(always)]
    fn tiles<const VECTORS: usize, const TILE: usize>(
        &mut self,
        from: usize,
        to: usize,
        panel: &[[Lanes; VECTORS]],
        place: Place,
    ) -> usize {
        let mut row = from;
        while row + TILE <= to {
            let mut sums = self.load::<VECTORS, TILE>(row, place);
            match self.left.order {
                Order::Rows => {
                    let rows: [&[f32]; TILE] = std::array::from_fn(|tile| {
                        &self.left.data[self.left.starts.of(row + tile) + place.depth..][..panel.len()]
                    });
                    add_rows(rows, panel, &mut sums);
                }
                Order::Columns => {
                    let (data, starts) = (self.left.data, self.left.starts);
                    match starts {
                        Starts::Even(stride) => {
                            let column = |depth: usize| &data[(place.depth + depth) * stride + row..];
                            add_columns(column, panel, &mut sums);
                        }
                        Starts::Listed(starts) => {
                            let starts = &starts[place.depth..][..panel.len()];
                            add_columns(|depth: usize| &data[starts[depth] + row..], panel, &mut sums);
                        }
                    }
                }
            }
            self.store(row, place, &sums);
            row += TILE;
        }
        row
    }

    #[inline(always)]
    fn load<const VECTORS: usize, const TILE: usize>(
        &self,
        row: usize,
        place: Place,
    ) -> [[Lanes; VECTORS]; TILE] {
        let mut sums = [[[0.0; LANES]; VECTORS]; TILE];
        for (tile, sums) in sums.iter_mut().enumerate() {
            let from = &self.out[(row + tile) * self.right.columns + place.column..][..place.width];
            let (whole, rest) = from.as_chunks::<LANES>();
            for (sums, whole) in sums.iter_mut().zip(whole) {
                *sums = *whole;
            }
            if whole.len() < VECTORS {
                sums[whole.len()][..rest.len()].copy_from_slice(rest);
            }
        }
        sums
    }

    #[inline(always)]
    fn store<const VECTORS: usize, const TILE: usize>(
        &mut self,
        row: usize,
        place: Place,
        sums: &[[Lanes; VECTORS]; TILE],
    ) {
        for (tile, sums) in sums.iter().enumerate() {
            let to = &mut self.out[(row + tile) * self.right.columns + place.column..][..place.width];
            let (whole, rest) = to.as_chunks_mut::<LANES>();
            if whole.len() < VECTORS {
                rest.copy_from_slice(&sums[whole.len()][..rest.len()]);
            }
            for (whole, sums) in whole.iter_mut().zip(sums) {
                *whole = *sums;
            }
        }
    }
}

/// Where a panel lies in the output and in the inner dimension.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    width: usize,
    depth: usize,
}

/// The block's part of the right matrix in panels, each in the order of the inner dimension, padded with zeros.
#[inline(always)]
fn pack<const VECTORS: usize>(right: &Matrix<'_>, block: Block) -> Vec<[Lanes; VECTORS]> {
    let width = VECTORS * LANES;
    let panels = block.columns.div_ceil(width);
    let mut packed = vec![[[0.0; LANES]; VECTORS]; panels * block.depths];
    for (at, panel) in packed.chunks_exact_mut(block.depths).enumerate() {
        let start = block.column + at * width;
        let used = (block.columns - at * width).min(width);
        for (depth, lanes) in panel.iter_mut().enumerate() {
            let row = block.depth + depth;
            let lanes = &mut lanes.as_flattened_mut()[..used];
            match right.order {
                Order::Rows => copy(&right.data[right.starts.of(row) + start..][..used], lanes),
                Order::Columns => {
                    for (lane, value) in lanes.iter_mut().enumerate() {
                        *value = right.at(row, start + lane);
                    }
                }
            }
        }
    }
    packed
}

/// Copies whole vectors in straight code; a call for so few bytes takes longer than they do.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<LANES>();
    let (to, to_rest) = to.as_chunks_mut::<LANES>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    if !from_rest.is_empty() {
        to_rest.copy_from_slice(from_rest);
    }
}

/// Adds the products of a tile whose rows are contiguous.
#[inline(always)]
fn add_rows<const VECTORS: usize, const TILE: usize>(
    rows: [&[f32]; TILE],
    panel: &[[Lanes; VECTORS]],
    sums: &mut [[Lanes; VECTORS]; TILE],
) {
    let mut local = *sums;
    for (depth, right) in panel.iter().enumerate() {
        unrolled::<TILE>(
            #[inline(always)]
            |tile| fuse(rows[tile][depth], right, &mut local[tile]),
        );
    }
    *sums = local;
}

/// Adds the products of a tile whose columns are contiguous.
#[inline(always)]
fn add_columns<'a, const VECTORS: usize, const TILE: usize>(
    column: impl Fn(usize) -> &'a [f32],
    panel: &[[Lanes; VECTORS]],
    sums: &mut [[Lanes; VECTORS]; TILE],
) {
    let mut local = *sums;
    for (depth, right) in panel.iter().enumerate() {
        let left = &column(depth)[..TILE];
        unrolled::<TILE>(
            #[inline(always)]
            |tile| fuse(left[tile], right, &mut local[tile]),
        );
    }
    *sums = local;
}

#[inline(always)]
fn fuse<const VECTORS: usize>(left: f32, right: &[Lanes; VECTORS], sums: &mut [Lanes; VECTORS]) {
    for vector in 0..VECTORS {
        for lane in 0..LANES {
            sums[vector][lane] = left.mul_add(right[vector][lane], sums[vector][lane]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::fixture::numbers;

    fn plain(left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32]) {
        for row in 0..left.rows {
            for column in 0..right.columns {
                let sum = &mut out[row * right.columns + column];
                for inner in 0..left.columns {
                    *sum = left.at(row, inner).mul_add(right.at(inner, column), *sum);
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_the_plain_loop_bit_for_bit() {
        for (rows, inner, columns) in [(1, 1, 1), (7, 300, 41), (101, 27, 16), (8, 9, 600), (19, 513, 33)] {
            let (left, right) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
            let start = numbers(rows * columns, 3);
            let lefts = [
                Matrix::new(&left, rows, inner),
                Matrix::new(&left, inner, rows).transposed(),
            ];
            let rights = [
                Matrix::new(&right, inner, columns),
                Matrix::new(&right, columns, inner).transposed(),
            ];
            for (left, right) in lefts.into_iter().flat_map(|l| rights.map(|r| (l, r))) {
                let [mut fast, mut portable, mut slow] = [start.clone(), start.clone(), start.clone()];
                multiply_add(left, right, &mut fast);
                Product {
                    left,
                    right,
                    out: &mut portable,
                }
                .run::<1, 4>();
                plain(left, right, &mut slow);
                assert_eq!(fast, slow, "{rows} × {inner} × {columns}");
                assert_eq!(portable, slow, "every instruction set gives the same bits");
            }
        }
    }
}
