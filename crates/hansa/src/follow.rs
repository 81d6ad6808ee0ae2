//! Waiting for a deployment, with progress: a moving line on a terminal, one line for each change of state elsewhere.

use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::note;
use crate::sse::Events;
use crate::text;
use clap::Args;
use hansa_api::hansa::{Deployments, Service, Services};
use hansa_model::event::Failing;
use hansa_model::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of a change of more services than this not all are looked at.
const FAILURES_TOLD: usize = 10;

/// Whether and how long to wait.
#[derive(Clone, Debug, Args)]
pub struct Wait {
    /// Wait until it is done, with progress: the default
    #[arg(long, conflicts_with = "no_wait")]
    pub wait: bool,
    /// Return as soon as the master has accepted the change
    #[arg(long)]
    pub no_wait: bool,
    /// Stop waiting after this time (exit code 6); the deployment goes on
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration)]
    pub timeout: Option<Duration>,
}

/// Marathon's answer to every change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The version that the deployment brings about.
    pub version: String,
    /// The deployment.
    pub deployment_id: String,
}

/// What is printed about a deployment at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(flatten)]
    started: Started,
    apps: Vec<String>,
    /// `running` (not waited for), `paused` or `succeeded`.
    state: &'static str,
}

/// What a deployment does to its services; only for saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// They get the deployment's version.
    Version,
    /// They go.
    Removed,
    /// Something else.
    Over,
}

impl Context {
    /// Follows a deployment until it is done (unless told not to) and prints its outcome.
    pub async fn follow(
        &self,
        started: Started,
        apps: Vec<String>,
        goal: Goal,
        wait: &Wait,
    ) -> Result<(), Failure> {
        let state = self.settle(&started, &apps, wait).await?;
        let report = Report { started, apps, state };
        self.format.print(&report, |report| {
            let apps = report.apps.join(", ");
            let id = &report.started.deployment_id;
            match (report.state, goal) {
                ("running", _) => format!("deployment {id} of {apps} has begun\n"),
                ("paused", _) => format!(
                    "deployment {id} of {apps} is paused; `hansa deployment resume {id}` lets it go on, \
                     `hansa deployment cancel {id}` goes back\n"
                ),
                (_, Goal::Removed) => format!("{apps} removed\n"),
                (_, Goal::Over) => format!("deployment {id} of {apps} is done\n"),
                (_, Goal::Version) => format!("{apps} deployed, version {}\n", report.started.version),
            }
        })?;
        // Last, for it qualifies what was printed.
        if state == "succeeded" && goal == Goal::Version {
            self.tell_failures(&report.started, &report.apps).await;
        }
        Ok(())
    }

    /// A deployment is done once its instances ran; that they did not run for long should not come as a surprise.
    async fn tell_failures(&self, started: &Started, apps: &[String]) {
        // A version is the time, by the master's clock, when it was made.
        let Ok(begun) = started.version.parse::<Timestamp>() else { return };
        for app in apps.iter().take(FAILURES_TOLD) {
            let Ok(service) = self.client.get::<Service>(&format!("/hansa/v1/services{app}"), &[]).await
            else {
                continue;
            };
            let Some(words) = service.last_failure else { continue };
            if service.last_failure_at.is_some_and(|at| at >= begun) {
                note(&format!(
                    "but an instance of {app} has failed since: {words}; `hansa explain {app}` says how it stands, \
                     `hansa logs {app}` shows what it wrote"
                ));
            }
        }
    }

    /// Waits until a deployment is done unless told not to: `running` (not waited for), `paused` or `succeeded`.
    pub async fn settle(
        &self,
        started: &Started,
        apps: &[String],
        wait: &Wait,
    ) -> Result<&'static str, Failure> {
        match wait.no_wait {
            true => Ok("running"),
            false => self.await_deployment(started, apps, wait.timeout).await,
        }
    }

    async fn await_deployment(
        &self,
        started: &Started,
        apps: &[String],
        timeout: Option<Duration>,
    ) -> Result<&'static str, Failure> {
        let begun = Instant::now();
        let outcome = tokio::spawn(outcome(self.client.clone(), started.deployment_id.clone()));
        let progress = Progress::new();
        let mut warning = Warning::new(&started.version);
        loop {
            // A master that restarts in between is no reason to give up: the deployment goes on after it.
            match self.running_step(&started.deployment_id).await {
                Ok(None) => break,
                Ok(Some((_, Some(paused)))) => {
                    progress.clear();
                    note(&paused);
                    return Ok("paused");
                }
                Ok(Some((step, None))) => {
                    let (words, failing) = self.describe(apps, &step).await;
                    progress.say(words);
                    if let Some((app, _)) = failing.filter(|(_, failing)| warning.is_due(failing)) {
                        progress.note(&fails(&app, &started.deployment_id));
                    }
                }
                Err(failure)
                    if failure.exit == Exit::Unavailable && begun.elapsed() < Duration::from_secs(60) =>
                {
                    progress.say(format!("waiting for the master: {}", failure.cause));
                }
                Err(failure) => return Err(failure),
            }
            if timeout.is_some_and(|limit| begun.elapsed() >= limit) {
                return Err(Failure::new(
                    Exit::TimedOut,
                    format!(
                        "deployment {} is not done after {}",
                        started.deployment_id,
                        text::span(millis(begun))
                    ),
                )
                .remedy(format!("it goes on; `hansa explain {}` says what it waits for", apps.join(" "))));
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        progress.clear();
        // The stream may be a moment behind the list; without it (an old master, a broken line) over counts as done.
        let outcome = tokio::time::timeout(Duration::from_millis(500), outcome).await;
        match outcome.ok().and_then(Result::ok).flatten() {
            Some(state) if state == "failed" => Err(Failure::new(
                Exit::Failed,
                format!("deployment {} was cancelled or replaced by another", started.deployment_id),
            )
            .remedy(format!("`hansa app show {}` shows what holds now", apps.join(" ")))),
            _ => Ok("succeeded"),
        }
    }

    /// The deployment's step in words, and why it is paused if it is; None if it is over.
    async fn running_step(&self, id: &str) -> Result<Option<(String, Option<String>)>, Failure> {
        let all: Deployments = self.client.get("/hansa/v1/deployments", &[]).await?;
        let found = all.deployments.into_iter().find(|deployment| deployment.id.as_str() == id);
        Ok(found.map(|deployment| {
            let step =
                format!("step {} of {}", (deployment.step + 1).min(deployment.steps), deployment.steps);
            (step, deployment.paused.map(|paused| paused.words))
        }))
    }

    /// How far it is in words, and a service whose instances end again and again, if there is one.
    async fn describe(&self, apps: &[String], step: &str) -> (String, Option<(String, Failing)>) {
        match apps {
            [app] => match self.client.get::<Service>(&format!("/hansa/v1/services{app}"), &[]).await {
                Ok(service) => {
                    (describe_service(&service), service.failing.map(|failing| (app.clone(), failing)))
                }
                Err(_) => (format!("{app}: {step}"), None),
            },
            _ => match self.client.get::<Services>("/hansa/v1/services", &[]).await {
                Ok(all) => {
                    let own = |service: &&Service| apps.iter().any(|app| app == service.id.as_str());
                    let fails = |service: &Service| Some((service.id.to_string(), service.failing.clone()?));
                    let failing = all.services.iter().filter(own).find_map(fails);
                    (describe_services(apps, &all.services, step), failing)
                }
                Err(_) => (format!("{}: {step}", text::count(apps.len() as u64, "service")), None),
            },
        }
    }
}

/// Waits on the event stream for the last word about a deployment: `succeeded` or `failed`; None if the stream ends.
async fn outcome(client: Arc<Client>, id: String) -> Option<String> {
    let mut events = Events::open(&client, "/hansa/v1/events").await.ok()?;
    while let Some(frame) = events.next().await {
        let data: Value = serde_json::from_str(&frame.data).unwrap_or(Value::Null);
        let state = data["state"].as_str().filter(|state| matches!(*state, "succeeded" | "failed"));
        if frame.event == "deployment" && data["id"] == id.as_str() && state.is_some() {
            return state.map(str::to_owned);
        }
    }
    None
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Says once that instances end again and again, and not of those that the change is to replace: a service that is being
/// mended counts as failing for another moment.
struct Warning {
    /// When the change was made, by the master's clock.
    begun: Option<Timestamp>,
    /// Failures in a row when it was looked at first.
    first: Option<u32>,
    said: bool,
}

impl Warning {
    /// Of a change that made this version.
    fn new(version: &str) -> Self {
        Self { begun: version.parse().ok(), first: None, said: false }
    }

    /// Whether now is the time to say it.
    fn is_due(&mut self, failing: &Failing) -> bool {
        let first = *self.first.get_or_insert(failing.count);
        let of_this = self.begun.is_none_or(|begun| failing.since >= begun) || failing.count > first;
        let is_due = of_this && !self.said;
        self.said |= of_this;
        is_due
    }
}

/// That it may take for ever, and what can be done.
fn fails(app: &str, deployment: &str) -> String {
    let id = deployment.get(..8).unwrap_or(deployment);
    format!(
        "{app} ends again and again: `hansa explain {app}` says why, `hansa deployment cancel {id}` takes this change \
         back; Ctrl-C ends only the waiting"
    )
}

/// A service's way to its goal in one line.
pub fn describe_service(service: &Service) -> String {
    let mut line = match service.running > service.instances {
        // While some take the place of others.
        true => format!("{}: {} running where {} are wanted", service.id, service.running, service.instances),
        false => format!("{}: {} of {} running", service.id, service.running, service.instances),
    };
    if service.healthy + service.unhealthy > 0 {
        line.push_str(&format!(", {} healthy", service.healthy));
    }
    if service.staged > 0 {
        line.push_str(&format!(", {} starting", service.staged));
    }
    if let Some(waiting) = service.waiting_for.as_deref().filter(|waiting| !waiting.is_empty()) {
        line.push_str(&format!("; {waiting}"));
    }
    line
}

/// Several services' way to their goal in one line: how many are there, and the first that is not.
fn describe_services(apps: &[String], all: &[Service], step: &str) -> String {
    let own: Vec<&Service> =
        all.iter().filter(|service| apps.iter().any(|app| app == service.id.as_str())).collect();
    let ready = |service: &&&Service| {
        service.running >= service.instances && service.unhealthy == 0 && service.staged == 0
    };
    let number = own.iter().filter(ready).count();
    let mut line = format!("{step}: {number} of {} ready", text::count(apps.len() as u64, "service"));
    if let Some(next) = own.iter().find(|service| !ready(service)) {
        line.push_str(&format!("; {}", describe_service(next)));
    }
    line
}

/// A moving line on stderr if that is a terminal, else a line whenever the text changes.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: std::cell::RefCell<String>,
}

impl Progress {
    /// A line that says nothing yet.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, last: std::cell::RefCell::default() }
    }

    /// Shows `text` from now on.
    pub fn say(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => {
                if *self.last.borrow() != text {
                    note(&text);
                    self.last.replace(text);
                }
            }
        }
    }

    /// Says something that stays, above the moving line.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Takes the moving line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn of_what_is_being_mended_nobody_is_warned() {
        let failing =
            |since, count| Failing { since: Timestamp(since), count, last: "status 3".into(), delay_ms: 0 };
        let version = Timestamp(5_000).to_string();
        let mut warning = Warning::new(&version);
        assert!(!warning.is_due(&failing(1_000, 9)), "that is what came before");
        assert!(!warning.is_due(&failing(1_000, 9)));
        assert!(warning.is_due(&failing(6_000, 3)), "it is no better");
        assert!(!warning.is_due(&failing(6_000, 4)), "once is enough");
        // More instances of what fails: the same row of failures goes on.
        let mut warning = Warning::new(&version);
        assert!(!warning.is_due(&failing(1_000, 9)));
        assert!(warning.is_due(&failing(1_000, 10)));
    }

    #[test]
    fn a_service_is_described_in_one_line() {
        assert_eq!(
            describe_service(&samples::service()),
            "/demo/web: 2 of 3 running, 1 healthy, 1 starting; 2 machines: 0.5 cpus short"
        );
        let bare = Service { healthy: 0, staged: 0, waiting_for: None, ..samples::service() };
        assert_eq!(describe_service(&bare), "/demo/web: 2 of 3 running");
        let both = Service { running: 6, ..bare };
        assert_eq!(describe_service(&both), "/demo/web: 6 running where 3 are wanted");
    }

    #[test]
    fn several_services_are_counted() {
        let done = Service { id: "/a".into(), running: 3, staged: 0, ..samples::service() };
        let apps = ["/a".to_owned(), "/demo/web".to_owned()];
        assert_eq!(
            describe_services(&apps, &[done, samples::service()], "step 1 of 2"),
            "step 1 of 2: 1 of 2 services ready; /demo/web: 2 of 3 running, 1 healthy, 1 starting; \
             2 machines: 0.5 cpus short"
        );
    }

    #[test]
    fn answers_keep_marathons_names() {
        let started: Started = serde_json::from_str(r#"{"version":"v","deploymentId":"d"}"#).unwrap();
        let report = Report { started, apps: vec!["/a".into()], state: "succeeded" };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"version":"v","deploymentId":"d","apps":["/a"],"state":"succeeded"}"#
        );
    }
}
