//! The control plane's machine, as this shell drives it.
//!
//! Everything that handlers say to it is named here, so that they need no other crate for it.

use hansa_model::explain::{Explanation, QueueItem};
use hansa_model::role::Role;
use hansa_model::service::{ServiceAnswer, ServiceCommand, ServiceRefusal};
use hansa_model::{AgentId, AppId};

/// What can be asked on the loop.
#[derive(Clone, Debug)]
pub enum Request {
    /// A command to the services scheduler.
    Service(ServiceCommand),
    /// A role's settings.
    SetRole(Role),
    /// An operator's order about an agent.
    AdminAgent {
        /// Which agent.
        agent: AgentId,
        /// What.
        order: AgentOrder,
    },
    /// Every app that waits, with its reasons.
    Queue,
    /// A placement pass for one more instance of an app.
    Explain(AppId),
}

/// What an operator can order about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentOrder {
    /// Nothing new there.
    Deactivate,
    /// New work again; ends draining.
    Reactivate,
    /// Nothing new there, and what is there moves.
    Drain,
    /// It will never return: everything on it is lost for good.
    Gone,
}

/// The answer to an accepted request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The services scheduler's.
    Service(ServiceAnswer),
    /// Nothing more to say.
    Done,
    /// What waits.
    Queue(Vec<QueueItem>),
    /// Why something is (not) placed.
    Explanation(Explanation),
}

/// Why a request was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The services scheduler says no.
    Service(ServiceRefusal),
    /// The kernel says no.
    Kernel(Refusal),
    /// No such app.
    UnknownApp(AppId),
}

/// Why the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such agent.
    UnknownAgent(AgentId),
    /// The host name belongs to another agent that is alive.
    HostnameTaken(String),
    /// In words.
    Invalid(String),
}
