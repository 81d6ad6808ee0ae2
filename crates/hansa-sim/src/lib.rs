//! Cells and nodes in one thread from one seed: faults, invariants, convergence.

pub mod disk;
