//! The client commands, a file each: its arguments on top, then what it does, then how the answer looks.

pub mod app;
pub mod apply;
pub mod compose;
pub mod contexts;
pub mod deployment;
pub mod diff;
pub mod events;
pub mod exec;
pub mod explain;
pub mod framework;
pub mod group;
pub mod image;
pub mod logs;
pub mod man;
pub mod node;
pub mod role;
pub mod sim;
pub mod status;
pub mod task;
pub mod version;
