//! The control plane's shell: HTTP, streams, store driver, read model
