//! Saying why: the line for places, explanations, and what deployments wait for, in words.

use super::apps::{App, Mode, Queued};
use super::instances::Class;
use super::{AppKey, DeploymentKey, Output, Services, Shape};
use hansa_model::Timestamp;
use hansa_model::event::DeploymentChange;
use hansa_model::explain::{Explanation, Obstacle, ObstacleGroup, QueueItem};
use hansa_model::planted::{Bug, planted};
use hansa_model::words::counted;
use hansa_placement::{Cluster, Request};
use std::collections::BTreeMap;

/// Milliseconds between two explanations that nobody asked for.
const EXPLAIN_MS: u64 = 50;
/// Apps of one deployment of which is told what they wait for.
const APPS_TOLD: usize = 3;

impl Services {
    pub(super) fn list_queue(&self, now: Timestamp, cluster: &Cluster) -> Vec<QueueItem> {
        let silent = |app: &App| planted(Bug::NoReasonGiven) && matches!(app.queued, Queued::NoPlace(_));
        let waiting =
            self.by_id.values().filter(|&&key| self.apps[key].launch > 0 && !silent(&self.apps[key]));
        // Apps of the same shape get the same explanation; a thousand of them cost one pass over the machines.
        let mut known: BTreeMap<Shape, Explanation> = BTreeMap::new();
        waiting
            .filter_map(|&key| {
                let app = &self.apps[key];
                let version = app.waits_as()?;
                let spec = &version.spec;
                let alike = spec.constraints.is_empty() && !matches!(app.queued, Queued::Refused(..));
                let shape = alike.then(|| {
                    let demand = spec.group(version.version).demand();
                    (spec.role.clone(), spec.accepted_roles.clone(), demand)
                });
                let explanation = match shape.as_ref().and_then(|shape| known.get(shape)) {
                    Some(known) => known.clone(),
                    None => {
                        let explanation = self.explain_app(key, cluster)?;
                        known.extend(shape.map(|shape| (shape, explanation.clone())));
                        explanation
                    }
                };
                Some(QueueItem {
                    app: app.id.clone(),
                    count: app.launch,
                    since: app.waiting_since.unwrap_or(now),
                    delayed_until: self.delay_of(now, key),
                    explanation,
                })
            })
            .collect()
    }

    pub(super) fn explain_app(&self, key: AppKey, cluster: &Cluster) -> Option<Explanation> {
        let app = &self.apps[key];
        let version = app.waits_as()?;
        let fresh;
        let active = app.active.as_ref().is_some_and(|active| active.version == version.version);
        let peers = if app.peers_stale || !active {
            fresh = self.peers_under(key, &version.spec.constraints, cluster);
            &fresh
        } else {
            &app.peers
        };
        let demand = version.spec.group(version.version).demand();
        let mut explanation = cluster.explain(&Request {
            demand: &demand,
            constraints: &version.spec.constraints,
            peers,
            role: &version.spec.role,
            accepted_roles: version.spec.accepted_roles.as_deref(),
        });
        if let Queued::Refused(_, _, words) = &app.queued {
            refused(&mut explanation, words, cluster);
        }
        Some(explanation)
    }

    /// Tells what deployments wait for, where that has changed.
    pub(super) fn tell_progress(&mut self, now: Timestamp, cluster: &Cluster, out: &mut Output) {
        while let Some(&(at, key)) = self.progress.first() {
            if at > now {
                break;
            }
            self.progress.pop_first();
            self.deployments[key].progress_at = None;
            let Some((words, remedy)) = self.deployment_words(now, key, cluster) else {
                // Too many explanations at once; a little later, then.
                let at = self.explained_at + EXPLAIN_MS;
                self.deployments[key].progress_at = Some(at);
                self.progress.insert((at, key));
                continue;
            };
            let deployment = &mut self.deployments[key];
            if deployment.words != words || deployment.remedy != remedy {
                deployment.words = words;
                deployment.remedy = remedy;
                deployment.told_at = now;
                out.events.push(deployment.event(DeploymentChange::Progress));
            }
        }
    }

    /// What a deployment waits for, and what would let it go on; None if saying it would take an explanation too soon after
    /// the last.
    fn deployment_words(
        &mut self,
        now: Timestamp,
        key: DeploymentKey,
        cluster: &Cluster,
    ) -> Option<(String, String)> {
        let stored = &self.deployments[key].stored;
        if let Some(pause) = &stored.paused {
            let id = &self.deployments[key].id;
            let remedy = format!(
                "`hansa deployment resume {id}` lets it go on, `hansa deployment cancel {id}` goes back"
            );
            return Some((pause.at.words.clone(), remedy));
        }
        let several = stored.steps.get(stored.current_step)?.len() > 1;
        let open = self.at_work(key);
        let mut told = Vec::new();
        let mut remedies: Vec<String> = Vec::new();
        for &app_key in open.iter().take(APPS_TOLD) {
            let (words, remedy) = self.app_words(now, app_key, cluster)?;
            let words = words.join(", ");
            told.push(if several { format!("{}: {words}", self.apps[app_key].id) } else { words });
            remedies.extend(remedy.filter(|remedy| !remedies.contains(remedy)));
        }
        if open.len() > APPS_TOLD {
            told.push(format!("and {}", counted((open.len() - APPS_TOLD) as u64, "more app")));
        }
        Some((told.join("; "), remedies.join("; ")))
    }

    /// What an app waits for, and what would help if time alone may not.
    fn app_words(
        &mut self,
        now: Timestamp,
        key: AppKey,
        cluster: &Cluster,
    ) -> Option<(Vec<String>, Option<String>)> {
        let app = &self.apps[key];
        let mut words = counted_words(app);
        let mut remedy = counted_remedy(app);
        let id = app.id.clone();
        let launch = app.launch;
        let (noun, verb) = if launch == 1 { ("instance", "waits") } else { ("instances", "wait") };
        match &app.queued {
            Queued::Out | Queued::Ready => {}
            Queued::Delayed(until) => {
                let failure = app
                    .last_failure
                    .as_ref()
                    .map_or(String::new(), |failure| format!(", last: {}", failure.message));
                words.push(format!("{launch} {noun} {verb} until {until} because of failures{failure}"));
                remedy = Some(format!("`hansa logs {id}` shows why it ends; update or roll back {id}"));
            }
            Queued::Refused(_, _, why) => {
                words.push(format!("{launch} {noun} {verb}: {why}"));
                remedy = Some(format!("`hansa explain {id}` shows what is in the way"));
            }
            Queued::NoPlace(generation) => {
                let generation = *generation;
                let known = app.no_place.as_ref().filter(|(at, _)| *at == generation);
                let why = match known {
                    Some((_, why)) => why.clone(),
                    None if now < self.explained_at + EXPLAIN_MS && self.explained_at > Timestamp(0) => {
                        return None;
                    }
                    None => {
                        let why = self.explain_app(key, cluster)?.summary;
                        self.explained_at = now;
                        self.apps[key].no_place = Some((generation, why.clone()));
                        why
                    }
                };
                words.push(format!("{launch} {noun} {verb} for a place: {why}"));
                remedy = Some(format!(
                    "add machines that fit, let {id} ask for less, or scale something down; \
                     `hansa explain {id}` shows each machine"
                ));
            }
        }
        Some((words, remedy))
    }
}

/// What would help, from the counts alone.
fn counted_remedy(app: &App) -> Option<String> {
    let id = &app.id;
    let count = |class: Class| app.counts[0][class as usize] + app.counts[1][class as usize];
    if count(Class::Unhealthy) > 0 {
        let cause = app.last_cause.as_ref().map_or(String::new(), |cause| format!(" ({cause})"));
        return Some(format!(
            "its checks fail{cause}: `hansa logs {id}` shows why; update or roll back {id}"
        ));
    }
    if count(Class::Killing) > 0 {
        return None;
    }
    (count(Class::Unreachable) + count(Class::Lost) + count(Class::KillingLost) > 0).then(|| {
        "a machine is out of reach: bring it back, or `hansa node gone` if it will never come".to_owned()
    })
}

/// What follows from the counts alone.
fn counted_words(app: &App) -> Vec<String> {
    let (fresh, stale) = (app.side(false), app.side(true));
    let wanted = app.wanted();
    let mut words = Vec::new();
    if app.mode == Mode::Stop {
        let left = app.members.len();
        words.push(format!("{left} {} to end", if left == 1 { "instance has" } else { "instances have" }));
        return words;
    }
    let ready = if matches!(app.mode, Mode::Restart(_)) { fresh.ready } else { fresh.ready + stale.ready };
    if ready < wanted {
        let checked = app.active.as_ref().is_some_and(|active| !active.spec.health_checks.is_empty());
        let awaited = app.active.as_ref().is_some_and(|active| !active.spec.readiness_checks.is_empty());
        let (one, more) = match (checked, awaited) {
            (true, true) => ("is not healthy and ready", "are not healthy and ready"),
            (true, false) => ("is not healthy", "are not healthy"),
            (false, true) => ("is not ready", "are not ready"),
            (false, false) => ("does not run", "do not run"),
        };
        words.push(match (wanted - ready, wanted) {
            (_, 1) => format!("its instance {one} yet"),
            (1, _) => format!("1 of {wanted} instances {one} yet"),
            (missing, _) => format!("{missing} of {wanted} instances {more} yet"),
        });
    }
    let old = stale.present() + stale.lost;
    if old > 0 {
        let verb = if old == 1 { "instance is" } else { "instances are" };
        words.push(format!("{old} {verb} still to be replaced"));
    }
    let ending = fresh.killing + stale.killing;
    if ending > 0 {
        words
            .push(format!("{ending} {} to end", if ending == 1 { "instance has" } else { "instances have" }));
    }
    words
}

/// The kernel said no to what fits: the machines that would do stand under that reason.
pub(super) fn refused(explanation: &mut Explanation, words: &str, cluster: &Cluster) {
    let fitting = std::mem::take(&mut explanation.fitting);
    if fitting == 0 {
        return;
    }
    let chosen = explanation.choice.take();
    let chosen = chosen.as_ref().and_then(|agent| cluster.node(agent));
    explanation.groups.push(ObstacleGroup {
        machines: fitting,
        examples: chosen.map(|node| node.hostname.to_string()).into_iter().collect(),
        obstacles: vec![Obstacle::Quota { words: words.to_string() }],
        words: words.to_string(),
    });
    explanation.groups.sort_by_key(|group| std::cmp::Reverse(group.machines));
    let machines = if fitting == 1 { "machine" } else { "machines" };
    let rest = std::mem::take(&mut explanation.summary);
    // What would fit comes first in it, if anything would.
    let rest = rest.split_once("; ").map_or("", |(_, rest)| rest);
    explanation.summary = format!("{fitting} {machines}: {words}");
    if !rest.is_empty() {
        explanation.summary.push_str("; ");
        explanation.summary.push_str(rest);
    }
}
