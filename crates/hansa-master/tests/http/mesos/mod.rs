//! Mesos' surface of the master, with real sockets and the real control plane.

mod apart;
mod client;
mod legacy;
mod operator;
mod scheduler;
mod shares;
