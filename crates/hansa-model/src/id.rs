//! Identifiers. Text ids are shared strings: cloning one copies a pointer, not the text.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it stands; whoever accepts input from outside validates it first.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
    )*};
}

text_id! {
    /// One cluster, for ever: made with the store, carried by every message; an agent refuses another cluster's master.
    ClusterId;
    /// One agent, made at its first start and kept in its data directory.
    AgentId;
    /// One boot of one machine (the kernel's boot id). After another boot no task of the earlier one lives.
    BootId;
    /// One task, chosen by whoever claims for it. Services use Marathon's form
    /// `group_app.instance-<uuid>._app.<incarnation>`.
    TaskId;
    /// One placed group of tasks of an owner. For services, a task's id up to `._app`.
    InstanceId;
    /// Who claims: `services`, `jobs`, or `framework/` and a framework's id.
    Owner;
    /// A framework: a scheduler outside of the program that takes offers.
    FrameworkId;
    /// One offer to a framework.
    OfferId;
    /// A role that resources are shared by; `*` is everyone's.
    RoleName;
    /// Who asks: a user, or a framework's principal.
    Principal;
    /// A service's absolute path, such as `/shop/web`.
    AppId;
    /// One deployment, a UUID as text.
    DeploymentId;
}

impl Owner {
    /// The built-in scheduler for long-running services.
    pub fn services() -> Self {
        Self::from("services")
    }

    /// A framework. Whatever id it chose, it is no built-in scheduler's name.
    pub fn framework(id: &FrameworkId) -> Self {
        Self::from(format!("{FRAMEWORK}{id}"))
    }

    /// The framework that it is, if it is one.
    pub fn as_framework(&self) -> Option<FrameworkId> {
        self.as_str().strip_prefix(FRAMEWORK).map(FrameworkId::from)
    }
}

/// What the owners begin with that are frameworks.
const FRAMEWORK: &str = "framework/";

impl RoleName {
    /// The role of resources that belong to nobody in particular.
    pub fn any() -> Self {
        Self::from("*")
    }
}

impl Principal {
    /// Whoever speaks from the machine's own loopback while login is not configured.
    pub fn loopback() -> Self {
        Self::from("loopback")
    }
}

/// An immutable launch spec registered with the kernel; assignments refer to it. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecId(pub u64);

/// A leadership's number. Rises with every new leader; agents persist the highest seen and refuse lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A UUID's text made from 128 bits that the caller vouches to be unique (version 8: "custom").
pub fn uuid_text(high: u64, low: u64) -> String {
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff,
    )
}
