//! Schedulers that are not built in: benches today. What they own can never be what a built-in one owns.

use hansa_model::Owner;

/// A scheduler that is not built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outsider(Owner);

impl Outsider {
    /// The one with this name. Everything of it belongs to the owner `outside/<name>`, and no built-in scheduler is or will
    /// be called like that.
    pub fn named(name: &str) -> Self {
        Self(Owner::from(format!("outside/{name}")))
    }

    /// In whose name it claims.
    pub fn owner(&self) -> &Owner {
        &self.0
    }
}
