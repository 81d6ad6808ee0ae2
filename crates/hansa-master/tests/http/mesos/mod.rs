//! Mesos' surface of the master, with real sockets and the real control plane.

mod client;
mod legacy;
mod operator;
mod scheduler;
mod shares;
