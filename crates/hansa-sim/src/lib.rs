//! Cells and nodes in one thread from one seed: faults, invariants, convergence.
//!
//! A run is a world: a master (the real cell and the real store, over a disk that forgets, tears and fails), machines with
//! the real agent core, a network that delays, repeats and cuts, and clients that never rest. Everything that is uncertain
//! comes from one seed, so a run can be replayed to the byte. After every event the invariants are checked; after a while
//! the faults stop, and the cluster must become what its clients were promised.
//!
//! Not here: real sockets, processes and clocks; the end-to-end tests of `hansa` have those.
//!
//! Start reading at [`run()`].

mod agents;
mod clients;
pub mod disk;
mod executors;
mod frameworks;
mod groups;
#[cfg(feature = "planted-bugs")]
pub mod hunt;
mod kept;
mod machine;
mod many;
mod master;
mod oracle;
mod reasons;
pub mod report;
mod restore;
mod run;
pub mod scenario;
mod world;

pub use many::{Summary, run_many};
pub use report::Report;
pub use run::{Ended, Options, run};
