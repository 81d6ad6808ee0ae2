//! Marathon's JSON: definitions in, views and events out.
