//! What every store must do, as a suite that any implementation can be put through.
