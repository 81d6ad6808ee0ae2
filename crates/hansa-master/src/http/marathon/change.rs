//! Changes: look, decide what to ask for, ask; look again if somebody was faster.

use super::Api;
use super::answer::Refused;
use crate::SubmitError;
use crate::cell::{Answer, Failure, Request};
use crate::clock;
use crate::read_model::ReadModel;
use hansa_api::marathon::Problem;
use hansa_api::marathon::events::Frame;
use hansa_model::app::AppVersion;
use hansa_model::service::{AppChange, Deploy, ServiceAnswer, ServiceCommand, ServiceRefusal};
use hansa_model::{DeploymentId, Principal, Timestamp};
use std::sync::Arc;

/// How often a change is made anew before the client is told that others are faster.
const ATTEMPTS: usize = 10;

/// A change that was accepted.
pub(super) struct Started {
    /// The deployment that brings it about.
    pub(super) deployment: DeploymentId,
    /// Its version.
    pub(super) version: Timestamp,
    /// The changed apps as they shall be, in the order of the changes; None if removed.
    pub(super) apps: Vec<Option<Arc<AppVersion>>>,
}

impl Api {
    /// Submits a command; the read model shows what it did before this returns.
    pub(super) async fn submit(&self, command: ServiceCommand) -> Result<ServiceAnswer, SubmitError> {
        match self.master.submit(Principal::loopback(), Request::Service(command)).await {
            Ok((_, Answer::Service(answer))) => Ok(answer),
            Ok((_, _)) => Ok(ServiceAnswer::Done),
            Err(error) => {
                self.announce_failure(&error);
                Err(error)
            }
        }
    }

    /// Tells the event streams of a change that was understood and not carried out.
    fn announce_failure(&self, error: &SubmitError) {
        use ServiceRefusal::{Invalid, Locked, TooManyDeployments};
        if let SubmitError::Refused(Failure::Service(
            refusal @ (Invalid(_) | Locked(_) | TooManyDeployments(_)),
        )) = error
            && self.hub.has_subscribers()
        {
            self.hub.post(Frame::change_failed(clock::now(), "/", Problem::from(refusal).message()));
        }
    }

    /// Submits the changes that `decide` makes of the picture; decides again if the picture was out of date.
    pub(super) async fn change(
        &self,
        force: bool,
        decide: impl Fn(&ReadModel) -> Result<Vec<AppChange>, Problem>,
    ) -> Result<Started, Refused> {
        self.change_by(force, None, decide).await
    }

    /// The same, replacing only so many thousandths of the instances before the deployment pauses.
    pub(super) async fn change_by(
        &self,
        force: bool,
        canary_milli: Option<u16>,
        decide: impl Fn(&ReadModel) -> Result<Vec<AppChange>, Problem>,
    ) -> Result<Started, Refused> {
        let decide = |model: &ReadModel| {
            Ok(Deploy { changes: decide(model)?, force, canary_milli, ..Deploy::default() })
        };
        started(self.deploy(decide).await?)
    }

    /// Submits what `decide` makes of the picture, apps and groups; decides again if the picture was out of date.
    pub(super) async fn deploy(
        &self,
        decide: impl Fn(&ReadModel) -> Result<Deploy, Problem>,
    ) -> Result<ServiceAnswer, Refused> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let deploy = Box::new(decide(&self.master.read())?);
            match self.submit(ServiceCommand::Deploy(deploy)).await {
                Ok(answer) => return Ok(answer),
                Err(error) if is_outdated(&error) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(|| Refused(Problem::new(409, "the app has changed meanwhile")), Refused::from))
    }
}

/// Whether another look may help.
fn is_outdated(error: &SubmitError) -> bool {
    use ServiceRefusal::{Changed, Exists};
    matches!(error, SubmitError::Refused(Failure::Service(Changed(_) | Exists(_))))
}

/// The deployment that an answer speaks of.
pub(super) fn started(answer: ServiceAnswer) -> Result<Started, Refused> {
    match answer {
        ServiceAnswer::Deployment { id, version, apps } => Ok(Started { deployment: id, version, apps }),
        other => Err(Refused(Problem::new(500, format!("a deployment was expected, not {other:?}")))),
    }
}
