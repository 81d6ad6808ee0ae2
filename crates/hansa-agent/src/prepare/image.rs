//! A container's image: pulled if need be, held as long as the container is there, put into the shim's spec.

use crate::sandbox::Sandbox;
use crate::secrets::Secrets;
use crate::shim::{MountKind, MountSpec, RootSpec, ShimSpec, files};
use hansa_images::{Digest, Image, ImageConfig, Images, Lease, Logins, Request, Rules, Said};
use hansa_model::container::Engine;
use hansa_model::spec::Command;
use hansa_node::ShimPlan;
use hansa_node::env::DEFAULT_PATH;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// In a container's runtime directory: which image it holds.
const FILE: &str = "image.json";
/// Below it: what the container writes to its root.
const SCRATCH: &str = "scratch";
/// Where a fetched archive may put logins, below the sandbox.
const DOCKER_CONFIG: &str = ".docker/config.json";
/// Most bytes of such a file.
const MOST_CONFIG: u64 = 1 << 20;

/// The version of [`HeldRecord`].
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct HeldRecord {
    version: u32,
    /// The group, for people.
    holder: String,
    reference: String,
    digest: Digest,
    layers: Vec<Digest>,
}

/// The agent's images, and which containers hold which.
#[derive(Debug)]
pub struct HeldImages {
    images: Images,
    /// By runtime directory.
    leases: Mutex<BTreeMap<PathBuf, Lease>>,
}

/// A container's image, ready to be run.
#[derive(Debug)]
pub(crate) struct TakenImage {
    config: ImageConfig,
    layers: Vec<PathBuf>,
}

impl HeldImages {
    /// Nobody holds any yet.
    pub fn new(images: Images) -> Self {
        Self { images, leases: Mutex::default() }
    }

    /// All images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Makes a container's image available and holds it; None: it has none. `sandboxes` is the directory of all sandboxes.
    ///
    /// # Errors
    /// In words for whoever started the task.
    pub(crate) async fn take(
        &self,
        dir: &Path,
        sandboxes: &Path,
        plan: &ShimPlan,
        secrets: &Secrets,
        say: impl Fn(String),
    ) -> Result<Option<TakenImage>, String> {
        let Some(wanted) = &plan.container.image else { return Ok(None) };
        let reference = &wanted.reference;
        if !self.images.usable() {
            return Err(format!(
                "cannot run {reference}: containers with an image need an agent with all of root's rights, and this one has not; run it as root, or constrain the service to other machines"
            ));
        }
        let logins = match &wanted.pull_secret {
            Some(secret) => logins_in_secret(secrets, secret).map(Some),
            None => logins_in_sandbox(sandboxes, plan),
        };
        let logins = logins.map_err(|error| format!("cannot pull {reference}: {error}"))?;
        let holder = plan.task.as_str();
        let request = Request { reference, force_pull: wanted.force_pull, logins, holder };
        let image = self.images.acquire(&request, say).await.map_err(|failure| failure.to_string())?;
        self.keep(dir, reference, holder, image).map(Some).map_err(|error| {
            format!(
                "cannot write down that the container uses image {reference}, in {}: {error}",
                dir.display()
            )
        })
    }

    fn keep(&self, dir: &Path, reference: &str, holder: &str, image: Image) -> std::io::Result<TakenImage> {
        std::fs::create_dir_all(dir)?;
        let record = HeldRecord {
            version: VERSION,
            holder: holder.to_owned(),
            reference: reference.to_owned(),
            digest: image.digest,
            layers: image.chains,
        };
        files::write_json(&dir.join(FILE), &record, false)?;
        self.leases().insert(dir.to_owned(), image.lease);
        Ok(TakenImage { config: image.config, layers: image.layers })
    }

    /// Holds the image of a container that an earlier life of this agent has started.
    pub(crate) fn recover(&self, dir: &Path) {
        match files::read_json::<HeldRecord>(&dir.join(FILE)) {
            Ok(Some(record)) => {
                let lease = self.images.hold(&record.holder, &record.digest, &record.layers);
                self.leases().insert(dir.to_owned(), lease);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "cannot read which image a container uses")
            }
        }
    }

    /// The container is gone.
    pub(crate) fn release(&self, dir: &Path) {
        self.leases().remove(dir);
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Lease>> {
        self.leases.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Logins that were fetched into the sandbox, as users of DC/OS do it.
fn logins_in_sandbox(sandboxes: &Path, plan: &ShimPlan) -> Result<Option<Logins>, String> {
    if plan.artifacts.is_empty() {
        return Ok(None);
    }
    // Links in the sandbox are not followed out of it.
    let file = Sandbox::of(sandboxes, plan.task.as_str()).map(|sandbox| sandbox.open(DOCKER_CONFIG));
    let Some(Ok(file)) = file else { return Ok(None) };
    let mut text = Vec::new();
    file.take(MOST_CONFIG).read_to_end(&mut text).map_err(|error| format!("{DOCKER_CONFIG}: {error}"))?;
    Logins::parse(DOCKER_CONFIG, &text).map(Some).map_err(|error| error.to_string())
}

/// Logins that are a secret: a Docker config file.
fn logins_in_secret(secrets: &Secrets, source: &str) -> Result<Logins, String> {
    let text = secrets.read(source).map_err(|error| error.to_string())?;
    Logins::parse(&format!("the secret {source:?}"), &text).map_err(|error| error.to_string())
}

impl TakenImage {
    /// Puts the image into the spec: what the plan says comes first, then the image, then nothing.
    ///
    /// # Errors
    /// In words: there is nothing to run, say.
    pub(crate) fn apply(self, spec: &mut ShimSpec, plan: &ShimPlan, dir: &Path) -> Result<(), String> {
        let reference = plan.container.image.as_ref().map_or("", |image| image.reference.as_str());
        let failed = |error: hansa_images::RunError| format!("cannot run {reference}: {error}");
        let said = match &plan.command {
            Command::Shell(line) => Said::Shell(line.clone()),
            Command::Argv(argv) => Said::Arguments(argv.clone()),
        };
        let rules = match plan.container.engine {
            Engine::Docker => Rules::Docker,
            Engine::Mesos => Rules::Mesos,
        };
        spec.argv = self.config.argv(&said, rules).map_err(failed)?;
        for (name, value) in self.config.environment() {
            let own = spec.env.get(&name);
            if own.is_none() || name == "PATH" && own.is_some_and(|path| path == DEFAULT_PATH) {
                spec.env.insert(name, value);
            }
        }
        if spec.user.is_none() {
            spec.user = Some(self.config.user.clone()).filter(|user| !user.is_empty());
        }
        // Docker starts in the root, Mesos beside the sandbox.
        let elsewhere = (plan.container.engine == Engine::Docker).then(|| PathBuf::from("/"));
        spec.working_dir = self.config.working_dir().or(elsewhere);
        spec.stop_signal = match plan.stop_signal {
            Some(signal) => Some(signal),
            None => self.config.stop_signal().map_err(failed)?,
        };
        spec.mounts.extend(self.config.volume_paths().map(|target| MountSpec {
            target,
            kind: MountKind::Anonymous,
            ..MountSpec::default()
        }));
        spec.root = Some(RootSpec { layers: self.layers, scratch: dir.join(SCRATCH), read_only: false });
        Ok(())
    }
}
