//! Master and agent talking: the messages, and both ends of the session as pure machines.
//!
//! One bidirectional stream per agent. **Level-triggered**: the agent's hello says everything that runs there and every
//! update not yet acknowledged; after a reconnect both sides converge from that full state, whatever was lost on the way.
//! Every message carries the cluster's id and the leader's term.
//!
//! Frames are JSON: specs evolve by optional fields, a capture can be read by eye, and at 10,000 tasks/s it is a few
//! per cent of a core. Not here: sockets and timers (see `hansa-master` and `hansa-agent`). With the feature `grpc` the
//! module `grpc` has what both programs need to speak the session as a gRPC stream.

#[cfg(feature = "grpc")]
pub mod grpc;
pub mod message;
pub mod session;

pub use message::{ToAgent, ToAgentBody, ToMaster, ToMasterBody};
