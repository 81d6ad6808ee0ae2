//! Stories of the allocator.

mod cost;
mod fairness;
mod offers;
mod random;
mod world;
