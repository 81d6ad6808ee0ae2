//! What clients ask of the services scheduler, and what it answers. The HTTP surface validates and translates; these are
//! the commands that remain.

use crate::app::{AppSpec, AppVersion};
use crate::event::DeploymentAction;
use crate::group::GroupChange;
use crate::id::{AppId, DeploymentId, InstanceId, TaskId};
use crate::time::Timestamp;
use std::sync::Arc;

/// What the client saw when it made its change; the change is refused (and can be made again) if that is not so any
/// more. Partial updates are merged outside the loop, and this keeps two of them from losing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The app did not exist.
    Absent,
    /// Its current version was this one.
    Version(Timestamp),
    /// Does not matter.
    Anything,
}

/// One app's part of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct AppChange {
    /// The app.
    pub id: AppId,
    /// What the client saw.
    pub expected: Expected,
    /// What it shall be.
    pub to: Target,
}

/// What an app shall be.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// This definition (created if there is none).
    Spec(Arc<AppSpec>),
    /// The definition of an earlier version. Of an app that was removed only if the client saw that it is absent.
    Version(Timestamp),
    /// All its instances replaced, definition unchanged.
    Restart,
    /// This many instances, definition otherwise unchanged.
    Scale(u32),
    /// Gone.
    Removed,
}

/// A change of apps and groups as one deployment, with everything that can be said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deploy {
    /// Apps that change, each once.
    pub changes: Vec<AppChange>,
    /// Groups that change, each once.
    pub groups: Vec<GroupChange>,
    /// Cancel deployments that are in the way.
    pub force: bool,
    /// Change nothing; only say what would be done.
    pub dry_run: bool,
    /// Replace only so many thousandths of each app's instances, then pause; None: as each app's label says.
    pub canary_milli: Option<u16>,
}

/// A command to the services scheduler.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceCommand {
    /// Changes apps, all in one deployment.
    Change {
        /// What changes, each app once.
        changes: Vec<AppChange>,
        /// Cancel deployments that are in the way.
        force: bool,
    },
    /// Changes apps and groups, all in one deployment.
    Deploy(Box<Deploy>),
    /// Holds a deployment where it is until it is resumed or cancelled; instances that end are replaced.
    PauseDeployment {
        /// Which.
        id: DeploymentId,
    },
    /// Lets a paused deployment go on.
    ResumeDeployment {
        /// Which.
        id: DeploymentId,
    },
    /// Kills instances; they are replaced unless `scale` shrinks the app by their number.
    Kill {
        /// Which; unknown ones are passed over.
        tasks: Vec<TaskId>,
        /// Lower `instances` too (a deployment).
        scale: bool,
        /// Forget the instances, also unreachable ones.
        wipe: bool,
        /// Cancel deployments that are in the way (matters with `scale`).
        force: bool,
    },
    /// Ends a deployment: by one that goes back, or (`force`) by just stopping where it is.
    CancelDeployment {
        /// Which.
        id: DeploymentId,
        /// Stop without going back.
        force: bool,
    },
    /// Forgets the launch delay of an app.
    ResetDelay {
        /// Which.
        app: AppId,
    },
}

/// What the scheduler answers to an accepted command.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceAnswer {
    /// A deployment began; its version is the time in its answer.
    Deployment {
        /// Its id.
        id: DeploymentId,
        /// The version that it brings about.
        version: Timestamp,
        /// The changed apps as they shall be, in the order of the command; None if removed.
        apps: Vec<Option<Arc<AppVersion>>>,
    },
    /// What would be done, step by step.
    Plan(Vec<Vec<DeploymentAction>>),
    /// These instances are being killed (as they were).
    Killed(Vec<InstanceId>),
    /// Nothing more to say.
    Done,
}

/// Why a command was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceRefusal {
    /// No such app.
    #[error("App '{0}' does not exist")]
    UnknownApp(AppId),
    /// No such version of the app.
    #[error("App '{0}' has no version {1}")]
    UnknownVersion(AppId, Timestamp),
    /// No such deployment.
    #[error("DeploymentPlan {0} does not exist")]
    UnknownDeployment(DeploymentId),
    /// The app is there already.
    #[error("An app with id [{0}] already exists.")]
    Exists(AppId),
    /// Somebody else changed the app since the client looked; look again and repeat.
    #[error("App '{0}' has changed meanwhile")]
    Changed(AppId),
    /// Running deployments touch the same apps.
    #[error("App is locked by one or more deployments.")]
    Locked(Vec<DeploymentId>),
    /// Too many deployments at once.
    #[error(
        "Max number ({0}) of running deployments is achieved. Wait for existing deployments to complete or cancel one using force=true parameter. You can increase max deployment number by using --max_running_deployments parameter"
    )]
    TooManyDeployments(usize),
    /// The definitions break a rule that only shows in company: cycles, no service port left, one id inside another, ….
    #[error("{0}")]
    Invalid(String),
    /// The app waits for nothing.
    #[error("Application {0} not found in tasks queue.")]
    NotQueued(AppId),
}
