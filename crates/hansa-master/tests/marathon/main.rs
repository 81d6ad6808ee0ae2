//! Marathon's API on a real master without machines: everything waits for places, and says so.

mod apps;
mod described;
mod events;
mod groups;
mod support;
