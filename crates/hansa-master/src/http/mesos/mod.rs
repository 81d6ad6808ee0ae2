//! Mesos' master surface: the scheduler API, the operator API, and the older endpoints, at the port's root and below
//! `/master` and `/mesos`.
//!
//! Handlers look neither at methods nor at what stands behind a path's name unless Mesos does. What is large is made by a
//! thread of its own, from pointers that were taken out of the picture at one moment ([`picture`]); the loop is asked only
//! to change something.

mod about;
mod answers;
mod changes;
mod feed;
mod files;
mod forms;
mod legacy;
mod metrics;
mod negotiate;
mod operator;
mod paths;
mod picture;
mod scheduler;
mod spoken;
mod steward;
#[cfg(test)]
mod tests;
mod translate;

use crate::Master;
use about::Me;
use answers::{Query, Refused};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use changes::Act;
use operator::Subscribers;
use paths::Endpoint;
use picture::{Picture, Wanted};
use ring::rand::SystemRandom;
use serde::Serialize;
use spoken::Spoken;
use std::sync::Arc;
use steward::Steward;
use tokio::sync::Semaphore;

/// Large answers that are made at once; more wait.
const RENDERERS: usize = 2;

/// Whether a path is one of the two v1 APIs.
pub(super) fn is_api(path: &str) -> bool {
    matches!(paths::find(path), Some((Endpoint::Scheduler | Endpoint::Operator, _)))
}

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Mesos {
    master: Master,
    steward: Arc<Steward>,
    renderers: Arc<Semaphore>,
    random: Arc<SystemRandom>,
    subscribers: Arc<Subscribers>,
    spoken: Arc<Spoken>,
}

impl Mesos {
    /// The surface of a master; looks after its maintenance windows from now on.
    pub(super) fn new(master: Master) -> Self {
        let steward = Arc::new(Steward::new(master.clone()));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(steward::watch(steward.clone()));
        }
        Self {
            master,
            steward,
            renderers: Arc::new(Semaphore::new(RENDERERS)),
            random: Arc::new(SystemRandom::new()),
            subscribers: Arc::default(),
            spoken: Arc::default(),
        }
    }

    /// Answers a request. None: the path is not Mesos'.
    pub(super) async fn serve(self, request: Request) -> Option<Response> {
        let path = request.uri().path().to_owned();
        let (endpoint, rest) = paths::find(&path)?;
        Some(self.answer(endpoint, rest, request).await.unwrap_or_else(IntoResponse::into_response))
    }

    async fn answer(self, endpoint: Endpoint, rest: &str, request: Request) -> Result<Response, Refused> {
        let me = Me::of(&self.master, request.headers());
        let query = Query::of(request.uri());
        match endpoint {
            Endpoint::Scheduler => scheduler::answer(&self, me, request).await,
            Endpoint::Operator => operator::answer(&self, me, request).await,
            Endpoint::Metrics => {
                self.master.read_what_was_told().await;
                Ok(answers::json(&metrics::numbers(&self).await))
            }
            Endpoint::Reserve => forms::act(&self, Act::Reserve, request).await,
            Endpoint::Unreserve => forms::act(&self, Act::Unreserve, request).await,
            Endpoint::CreateVolumes => forms::act(&self, Act::Create, request).await,
            Endpoint::DestroyVolumes => forms::act(&self, Act::Destroy, request).await,
            Endpoint::Quota => forms::quota(&self, rest, request).await,
            Endpoint::Weights => forms::weights(&self, request).await,
            Endpoint::MaintenanceSchedule => forms::schedule(&self, request).await,
            Endpoint::MaintenanceStatus => forms::status(&self, &request),
            Endpoint::MachineDown => forms::machines(&self, true, request).await,
            Endpoint::MachineUp => forms::machines(&self, false, request).await,
            Endpoint::Teardown => forms::teardown(&self, request).await,
            Endpoint::Health => Ok(answers::empty(StatusCode::OK)),
            Endpoint::Version => Ok(answers::json(&about::version())),
            Endpoint::Flags => Ok(answers::json(&about::flags(&me))),
            Endpoint::Redirect => about::redirect(&me, rest),
            Endpoint::Logging => about::logging(&self.master, &query),
            Endpoint::FilesBrowse => files::browse(&query),
            Endpoint::FilesRead => files::read(&query),
            Endpoint::FilesDownload => files::download(&query),
            Endpoint::FilesDebug => Ok(files::debug()),
            Endpoint::State => self.written(me, Wanted::default(), legacy::State).await,
            Endpoint::StateSummary => self.written(me, Wanted::default(), legacy::Summary).await,
            Endpoint::Slaves => {
                let only = query.get("slave_id").map(str::to_owned);
                self.written(me, Wanted::default(), |picture| legacy::Slaves { picture, only }).await
            }
            Endpoint::Frameworks => {
                let framework = query.get("framework_id").map(str::to_owned);
                self.written(me, Wanted { framework, ..Wanted::default() }, legacy::Frameworks).await
            }
            Endpoint::Tasks => {
                let framework = query.get("framework_id").map(str::to_owned);
                let task = query.get("task_id").map(str::to_owned);
                let page = legacy::Page::of(&query);
                let wanted = Wanted { framework, task, no_tasks: false };
                self.written(me, wanted, move |picture| legacy::Tasks { picture, page }).await
            }
            Endpoint::Roles => self.written(me, Wanted::default(), |picture| legacy::roles(&picture)).await,
            Endpoint::Unsupported(what) => Err(Refused::unsupported(what)),
        }
    }

    /// Takes the picture, and has what is made of it written by a thread that nothing else waits for.
    async fn written<T: Serialize>(
        &self,
        me: Me,
        wanted: Wanted,
        make: impl FnOnce(Picture) -> T + Send + 'static,
    ) -> Result<Response, Refused> {
        let master = self.master.clone();
        self.aside(move || answers::json(&make(Picture::take(&master, me, &wanted)))).await
    }

    /// Does something long on a thread of its own, a few at a time; the picture shows by then whatever was told to anybody
    /// before.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let _turn = self.renderers.acquire().await;
        self.master.read_what_was_told().await;
        let failed = || Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made");
        tokio::task::spawn_blocking(work).await.map_err(|_| failed())
    }
}
