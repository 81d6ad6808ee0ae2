//! Stories of the allocator.

mod fairness;
mod offers;
mod random;
mod world;
