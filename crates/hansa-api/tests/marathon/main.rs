//! Marathon's JSON, in and out.

// One large `json!` of a whole app.
#![recursion_limit = "256"]

mod containers;
mod reading;
mod round_trip;
mod shapes;
mod showing;
mod telling;
mod updating;
mod world;
