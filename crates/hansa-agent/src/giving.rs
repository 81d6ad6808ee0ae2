//! What containers that run are given and parted from: persistent volumes and GPUs, each in its turn.
//!
//! The master may give a volume to somebody else as soon as it hears that a task has ended, and have it removed. So whoever
//! is given one by a later word of the core's, or removes one, waits until all containers have lost it that were to lose it
//! before.

use crate::shim::{Change, Client, ClientError, ShimSpec, files};
use crate::volumes;
use hansa_node::{Furnishings, KeptVolume, Refusal, Thing};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What two containers must not have by accident: the directory of a volume, or a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Good {
    Directory(PathBuf),
    Gpu(u16),
}

impl Good {
    /// Those of volumes and GPUs. What cannot be a directory here is none.
    pub(crate) fn all<'a>(
        data_dir: &Path,
        volumes: impl IntoIterator<Item = &'a KeptVolume>,
        gpus: impl IntoIterator<Item = u16>,
    ) -> Vec<Self> {
        let path = |volume: &KeptVolume| {
            volumes::directory(data_dir, &volume.role, &volume.id, volume.source.as_ref())
        };
        let directories = volumes.into_iter().filter_map(path).map(Self::Directory);
        directories.chain(gpus.into_iter().map(Self::Gpu)).collect()
    }
}

/// What is on its way out of containers, or out of existence. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving(Arc<Mutex<BTreeMap<Good, Vec<watch::Receiver<()>>>>>);

/// Something leaves until this is dropped.
#[derive(Debug)]
pub(crate) struct Departure {
    _ends: watch::Sender<()>,
}

/// Departures that began earlier.
#[derive(Debug, Default)]
pub(crate) struct Earlier(Vec<watch::Receiver<()>>);

impl Leaving {
    /// These leave from now on.
    pub(crate) fn begin(&self, goods: &[Good]) -> Departure {
        let (ends, end) = watch::channel(());
        let mut leaving = self.lock();
        for good in goods {
            leaving.entry(good.clone()).or_default().push(end.clone());
        }
        Departure { _ends: ends }
    }

    /// Who has to be waited for before one of these is touched.
    pub(crate) fn earlier(&self, goods: &[Good]) -> Earlier {
        let mut leaving = self.lock();
        // Also what nobody ever asked for is forgotten one day.
        leaving.retain(|_, ends| {
            ends.retain(|end| end.has_changed().is_ok());
            !ends.is_empty()
        });
        Earlier(goods.iter().filter_map(|good| leaving.get(good)).flatten().cloned().collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Good, Vec<watch::Receiver<()>>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Earlier {
    /// Waits until all of them are over.
    pub(crate) async fn over(self) {
        for mut end in self.0 {
            while end.changed().await.is_ok() {}
        }
    }
}

/// A container that runs, and where its agent keeps things.
pub(crate) struct Container<'a> {
    /// Its shim; None: it runs no more.
    pub client: Option<Client>,
    /// Its runtime directory.
    pub dir: &'a Path,
    /// The agent's directory.
    pub data_dir: &'a Path,
}

/// Changes what a container sees: first it loses what it is to lose (which is a departure), then, after `earlier`, it is
/// given what it lacks. Says what it could not be given, and what not be taken from it.
pub(crate) async fn furnish(
    container: &Container<'_>,
    has: &Furnishings,
    (loses, departure): (&Furnishings, Departure),
    earlier: Earlier,
) -> (Vec<Refusal>, Vec<Thing>) {
    let (mut refused, mut kept) = (Vec::new(), Vec::new());
    for thing in loses.things() {
        for change in container.without(&thing, loses, has) {
            let taken = match change {
                Ok(change) => container.change(change).await,
                Err(why) => Err(why),
            };
            if let Err(why) = taken {
                tracing::error!(dir = %container.dir.display(), %thing, %why, "cannot be taken from a container");
                kept.push(thing.clone());
            }
        }
    }
    drop(departure);
    earlier.over().await;
    for thing in has.things() {
        for change in container.with(&thing, has) {
            let given = match change {
                Ok(_) if container.client.is_none() => Err("its container has ended".to_owned()),
                Ok(change) => container.change(change).await,
                Err(why) => Err(why),
            };
            if let Err(why) = given {
                refused.push(Refusal { thing: thing.clone(), why });
                break;
            }
        }
    }
    (refused, kept)
}

/// What is to be changed, or why that cannot be.
type Changes = Vec<Result<Change, String>>;

impl Container<'_> {
    fn with(&self, thing: &Thing, has: &Furnishings) -> Changes {
        match thing {
            Thing::Gpu(device) => gpu_nodes(&[*device]).into_iter().map(Change::AddDevice).map(Ok).collect(),
            volume => self.volume(volume, has, |spec, volume| {
                volumes::later(spec, volume, self.data_dir, true).map(Change::Mount)
            }),
        }
    }

    fn without(&self, thing: &Thing, loses: &Furnishings, has: &Furnishings) -> Changes {
        match thing {
            Thing::Gpu(device) => {
                let stay = gpu_nodes(&has.gpus);
                let go = gpu_nodes(&[*device]).into_iter().filter(|node| !stay.contains(node));
                go.map(Change::RemoveDevice).map(Ok).collect()
            }
            volume => self.volume(volume, loses, |spec, volume| {
                volumes::later(spec, volume, self.data_dir, false).map(Change::Unmount)
            }),
        }
    }

    fn volume(
        &self,
        thing: &Thing,
        among: &Furnishings,
        change: impl Fn(&ShimSpec, &KeptVolume) -> Result<Change, String>,
    ) -> Changes {
        let found = among.volumes.iter().filter(|volume| volume.thing() == *thing);
        // What it was made as does not change.
        let spec = || match files::read_json::<ShimSpec>(&self.dir.join(files::SPEC)) {
            Ok(Some(spec)) => Ok(spec),
            Ok(None) => Err("what its container was made as is not known any more".to_owned()),
            Err(error) => Err(format!("what its container was made as cannot be read: {error}")),
        };
        found.map(|volume| spec().and_then(|spec| change(&spec, volume))).collect()
    }

    async fn change(&self, change: Change) -> Result<(), String> {
        let gone = !matches!(change, Change::Mount(_) | Change::AddDevice(_));
        let Some(client) = &self.client else { return Ok(()) };
        match client.change(change).await {
            // Whatever it saw, it sees nothing more.
            Err(ClientError::Gone) if gone => Ok(()),
            Err(ClientError::Gone) => Err("its container has ended".into()),
            Err(ClientError::Refused(why)) if why.starts_with("not understood") => Err(
                "its container was started by an older program than this agent's: start the executor anew"
                    .into(),
            ),
            Err(ClientError::Refused(why)) => Err(why),
            Ok(()) => Ok(()),
        }
    }
}

/// The device nodes that programs using these GPUs open.
pub(crate) fn gpu_nodes(gpus: &[u16]) -> Vec<PathBuf> {
    if gpus.is_empty() {
        return Vec::new();
    }
    let own = gpus.iter().map(|device| format!("/dev/nvidia{device}"));
    let shared = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"].map(str::to_owned);
    own.chain(shared).map(PathBuf::from).filter(|node| node.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn whoever_comes_waits_for_those_who_leave_and_nobody_else() {
        let leaving = Leaving::default();
        let good = |name: &str| [Good::Directory(name.into())];
        let first = leaving.begin(&good("/a"));
        let earlier = leaving.earlier(&good("/a"));
        assert!(leaving.earlier(&good("/b")).over().now_or_never().is_some());
        let second = leaving.begin(&[Good::Gpu(1), Good::Directory("/a".into())]);
        let mut over = Box::pin(earlier.over());
        assert!((&mut over).now_or_never().is_none());
        drop(first);
        assert!(over.now_or_never().is_some(), "what began later is not waited for");
        assert!(leaving.earlier(&good("/a")).over().now_or_never().is_none());
        assert!(leaving.earlier(&[Good::Gpu(1)]).over().now_or_never().is_none());
        drop(second);
        assert!(leaving.earlier(&[Good::Gpu(1)]).over().now_or_never().is_some());
        assert!(leaving.lock().is_empty());
    }
}
