//! Stories of a cluster's life: commands, and what each leads to; and random lives, whose invariants must hold.

mod agents;
mod claims;
mod fleet;
mod frameworks;
mod hello;
mod kills;
mod random;
mod reach;
mod restore;
mod roles;
mod updates;
mod world;
