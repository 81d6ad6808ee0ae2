//! Where a task fits best: the cluster as a placement sees it, filters, scores, packing, spreading, explanations.
//!
//! A library of its own, used by the kernel (which keeps the book in a [`Cluster`]), the built-in schedulers (which read
//! it), the simulator and the order of offers. Not here: who may have what (roles, quota: `hansa-kernel`).
//!
//! Where to start: [`cluster`] is all that others see. Behind it, `rule` asks constraints, `states` groups machines that
//! are alike, `mix` counts what arrives, `prices` says what using up room costs the mix, `rows` keeps for each kind of
//! request the states in order of that cost, `engine` holds these together, and `explain` says why there is no place.
//! The policy and its reasons: `docs/decisions/0003-placement-policy.md`.
//!
//! Invariants: a choice fits and satisfies its constraints; there is one whenever any machine will do; it does not depend
//! on the order in which machines were added.

pub mod cluster;
mod engine;
mod explain;
mod mix;
pub mod peers;
pub mod policy;
mod prices;
mod rows;
mod rule;
mod states;

pub use cluster::{Choice, Cluster, Node, Request};
pub use peers::Peers;
pub use policy::{Policy, Ties};
