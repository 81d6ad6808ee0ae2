//! Starts a command fenced in: namespaces, private mounts, capabilities, seccomp, user, limits.
