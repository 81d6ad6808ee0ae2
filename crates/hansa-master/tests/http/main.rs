//! A master in this process, spoken to through real sockets.

mod agents;
mod deployments;
mod events;
mod logs;
mod mesos;
mod past;
mod plans;
mod port;
mod robust;
mod services;
mod store;
mod support;
mod terminal;
