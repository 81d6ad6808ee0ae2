//! The client commands, a file each: its arguments on top, then what it does, then how the answer looks.

pub mod app;
pub mod compose;
pub mod deployment;
pub mod events;
pub mod exec;
pub mod framework;
pub mod image;
pub mod node;
pub mod role;
pub mod sim;
pub mod task;
pub mod version;
