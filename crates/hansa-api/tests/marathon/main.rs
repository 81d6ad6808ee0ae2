//! Marathon's JSON, in and out.

mod reading;
mod round_trip;
mod showing;
mod updating;
