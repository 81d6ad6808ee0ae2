//! A master in this process, spoken to through real sockets.

mod agents;
mod port;
mod store;
mod support;
