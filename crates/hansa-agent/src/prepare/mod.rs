//! What must be there before a container can be made: images, and later whatever else is fetched.
//!
//! Each part writes what it takes into the container's runtime directory first, so that an agent that comes later gives it
//! back, and gives it back from that directory alone.

mod image;

pub use image::HeldImages;
