//! A whole control plane as one pure machine
