//! What tests of images need: archives, images, and a registry to push them to.

pub mod archive;
pub mod image;
pub mod registry;
