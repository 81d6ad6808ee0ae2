//! The agent's shell: shims, launcher, cgroups, volumes, metering, its HTTP

pub mod cgroup;
pub mod launcher;
pub mod shim;
