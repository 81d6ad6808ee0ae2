//! Where a task fits best: the cluster as a placement sees it, filters, scores, packing, spreading, explanations.
//!
//! A library of its own, used by the kernel (which keeps the book in a [`Cluster`]), the built-in schedulers (which read
//! it), the simulator and the order of offers. Not here: who may have what (roles, quota: `hansa-kernel`).

pub mod cluster;
pub mod peers;

pub use cluster::{Choice, Cluster, Node, Request};
pub use peers::Peers;
