//! Stories of the allocator.

mod fairness;
mod world;
