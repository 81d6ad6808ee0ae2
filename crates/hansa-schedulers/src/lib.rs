//! The built-in schedulers. They see the cluster through a read-only view and speak only claims
//! ([`hansa_model::scheduler`]), as any scheduler outside could; this crate cannot name the kernel.

pub mod services;
