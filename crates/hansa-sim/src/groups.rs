//! Clients that change a group of apps as one, and hold deployments and let them go on.

use crate::clients::{APPS, GROUP, GROUPED, name};
use crate::oracle::{GroupIntent, Intent};
use crate::world::{Asked, World};
use hansa_model::app::AppSpec;
use hansa_model::group::{GroupChange, GroupTarget};
use hansa_model::service::{AppChange, Deploy, Expected, ServiceCommand, Target};
use hansa_model::{AppId, DeploymentId};
use std::sync::Arc;

impl World {
    /// One client does one thing with the group or with a deployment.
    pub fn client_of_groups(&mut self) {
        match self.random.u8(0..4) {
            0 => {
                if let Some(id) = self.some_deployment() {
                    self.ask(Asked::default(), ServiceCommand::PauseDeployment { id });
                }
            }
            1 => {
                if let Some(id) = self.some_deployment() {
                    self.ask(Asked::default(), ServiceCommand::ResumeDeployment { id });
                }
            }
            _ => self.change_group(),
        }
    }

    /// Lets everything go on that holds, once the faults have stopped.
    pub fn resume_all(&mut self) {
        let paused = self.master.as_ref().map(|master| master.picture.paused.clone());
        for id in paused.unwrap_or_default() {
            self.ask(Asked::default(), ServiceCommand::ResumeDeployment { id });
        }
    }

    /// A command that is forced ends what is under way with its apps, also for others that it says nothing of.
    pub fn leave_others(&mut self, intents: &[(AppId, Intent)], command: &ServiceCommand) {
        let force = match command {
            ServiceCommand::Change { force, .. } => *force,
            ServiceCommand::Deploy(deploy) => deploy.force,
            _ => false,
        };
        let Some(picture) = self.master.as_ref().filter(|_| force).map(|master| &master.picture) else {
            return;
        };
        let named = |app: &AppId| intents.iter().any(|(other, _)| other == app);
        if picture.index == 0 {
            // A master that has just started: what is under way nobody has been told yet.
            self.left.extend((GROUPED..APPS).map(name).filter(|app| !named(app)));
            return;
        }
        let ended = picture.deployments.values().filter(|apps| apps.iter().any(named));
        self.left.extend(ended.flatten().filter(|app| !named(app)).cloned());
    }

    fn some_deployment(&mut self) -> Option<DeploymentId> {
        let all: Vec<DeploymentId> = self.master.as_ref()?.picture.deployments.keys().cloned().collect();
        (!all.is_empty()).then(|| all[self.random.usize(0..all.len())].clone())
    }

    /// Puts the group with all of its apps, which wait for each other, or removes it with all of them.
    fn change_group(&mut self) {
        let members: Vec<AppId> = (GROUPED..APPS).map(name).collect();
        let about_it = |asked: &Asked| {
            !asked.groups.is_empty() || asked.intents.iter().any(|(app, _)| members.contains(app))
        };
        if self.asked.values().any(about_it) {
            return;
        }
        let (intents, group) = if self.random.u8(0..3) == 0 {
            // Who removes apps needs to be sure which there are.
            let Some(there) = self.members_there(&members) else { return };
            (there.into_iter().map(|app| (app, None)).collect(), None)
        } else {
            self.some_group(&members)
        };
        let changes = intents.iter().map(|(app, intent)| AppChange {
            id: app.clone(),
            expected: Expected::Anything,
            to: intent.clone().map_or(Target::Removed, Target::Spec),
        });
        let to = match group.clone() {
            Some(dependencies) => GroupTarget::Put { dependencies, enforce_role: None },
            None => GroupTarget::Removed,
        };
        let id = AppId::from(GROUP);
        let deploy = Deploy {
            changes: changes.collect(),
            groups: vec![GroupChange { id: id.clone(), must_be_new: false, to }],
            force: self.random.u8(0..3) > 0,
            dry_run: false,
            canary_milli: (self.random.u8(0..3) == 0).then_some(400),
        };
        let asked = Asked { intents, groups: vec![(id, group)], ..Asked::default() };
        self.ask(asked, ServiceCommand::Deploy(Box::new(deploy)));
    }

    /// The apps of the group that exist; None: nobody is sure of that.
    fn members_there(&self, members: &[AppId]) -> Option<Vec<AppId>> {
        let sure = members.iter().map(|app| Some((app, self.oracle.sure(app)?)));
        let sure: Vec<_> = sure.collect::<Option<_>>()?;
        Some(sure.into_iter().filter(|(_, intent)| intent.is_some()).map(|(app, _)| app.clone()).collect())
    }

    /// Definitions for all apps of the group, each of which waits for the one before, and what the group itself waits for.
    fn some_group(&mut self, members: &[AppId]) -> (Vec<(AppId, Intent)>, GroupIntent) {
        let mut before: Option<AppId> = None;
        let mut intents = Vec::new();
        for app in members {
            let dependencies = before.replace(app.clone()).into_iter().collect();
            let spec = AppSpec { dependencies, ..self.some_spec(app) };
            intents.push((app.clone(), Some(Arc::new(spec))));
        }
        let waits_for = if self.random.bool() { vec![name(self.random.u32(0..GROUPED))] } else { Vec::new() };
        (intents, Some(waits_for))
    }
}
