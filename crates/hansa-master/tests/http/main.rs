//! A master in this process, spoken to through real sockets.

mod port;
mod support;
