//! The agent's shell: shims, launcher, cgroups, volumes, metering, its HTTP
