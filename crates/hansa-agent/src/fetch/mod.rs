//! What tasks want in their sandboxes before they start: files and archives, of the web or of the machine.
//!
//! A URI names somebody else's bytes, so everything about them is bounded (size, time, silence, redirects, what they
//! unpack to) and nothing of them leaves the sandbox. Dropping the future of [`Fetcher::fetch`] ends it and removes what it
//! had begun. Who owns what was fetched is the launcher's business ([`crate::shim::ShimSpec::give_sandbox`]).

mod archive;
mod cache;
mod client;
mod xz;
mod zip;

use crate::launcher::inside::{Inside, Make};
use archive::Format;
use cache::Cache;
use client::{Client, Source};
use hansa_images::web::Trust;
use hansa_model::container::Artifact;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The most that one artifact may be, in bytes.
const MOST_BYTES: u64 = 8 << 30;
/// The longest that one artifact may take.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// What is kept for later tasks, in bytes.
const CACHE_BYTES: u64 = 2 << 30;

/// Fetches, and keeps what may be used again.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    cache: Arc<Cache>,
    temporary: PathBuf,
    forbidden: Vec<PathBuf>,
}

/// A file that is there for a moment.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Tells the thread that unpacks that nobody waits any more.
struct Ending(Arc<AtomicBool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Fetcher {
    /// Keeps everything below `dir`, on the file system that the sandboxes are on; made if it is not there.
    ///
    /// Nothing of the machine's that lies below `forbidden` (real paths) is given to anybody. `trust` says which servers are
    /// believed.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(dir: &Path, forbidden: Vec<PathBuf>, trust: Trust) -> io::Result<Self> {
        let temporary = dir.join("unfinished");
        // What an earlier life had begun is of no use.
        let _ = std::fs::remove_dir_all(&temporary);
        std::fs::create_dir_all(&temporary)?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
        Ok(Self {
            client: Client::new(trust),
            cache: Arc::new(Cache::open(&dir.join("kept"), CACHE_BYTES)?),
            temporary,
            forbidden,
        })
    }

    /// Puts artifacts into a sandbox, one after the other; `say` hears in words how far it is.
    ///
    /// # Errors
    /// In words, naming the artifact.
    pub async fn fetch(
        &self,
        artifacts: &[Artifact],
        sandbox: &Path,
        say: impl Fn(String),
    ) -> Result<(), String> {
        for artifact in artifacts {
            let one = tokio::time::timeout(LONGEST, self.fetch_one(artifact, sandbox, &say));
            let done =
                one.await.unwrap_or_else(|_| Err(format!("not done in {} minutes", LONGEST.as_secs() / 60)));
            done.map_err(|why| format!("cannot fetch {}: {why}", shown(&artifact.uri)))?;
        }
        Ok(())
    }

    async fn fetch_one(
        &self,
        artifact: &Artifact,
        sandbox: &Path,
        say: &impl Fn(String),
    ) -> Result<(), String> {
        let source = Source::parse(&artifact.uri)?;
        let (dir, name) = destination(artifact, &source)?;
        std::fs::create_dir_all(sandbox).map_err(|error| format!("the sandbox: {error}"))?;
        let format = if artifact.extract && !artifact.executable { Format::of(&name) } else { None };
        say(format!("fetching {}", shown(&artifact.uri)));
        let file = self.bring(artifact, &source, say).await?;
        let (path, cancelled) = (file.path().to_owned(), Arc::new(AtomicBool::new(false)));
        let _ending = Ending(cancelled.clone());
        if format.is_some() {
            say(format!("unpacking {name}"));
        }
        let (sandbox, artifact) = (sandbox.to_owned(), artifact.clone());
        // What has to be copied or unpacked is done aside: the agent has one thread for everything else.
        let work = move || {
            check_sum(&artifact, &path, &cancelled)?;
            let broken = |error: io::Error| error.to_string();
            let inside = Inside::open(&sandbox).map_err(broken)?;
            let dir = inside.make(&dir, Make::Directory, None).map_err(broken)?;
            match format {
                Some(format) if artifact.cache => {
                    archive::unpack(format, &path, dir, &name, &cancelled).map_err(broken)
                }
                format => {
                    let mode = if artifact.executable { 0o755 } else { 0o644 };
                    let from = File::open(&path).map_err(broken)?;
                    let own = dir.try_clone().map_err(broken)?;
                    let to = Inside::of(own).create(Path::new(&name), mode).map_err(broken)?;
                    archive::copy(from, to, MOST_BYTES, &cancelled).map_err(broken)?;
                    // As with Mesos: beside what was in it an archive stays itself, unless it is kept in the cache.
                    let Some(format) = format else { return Ok(()) };
                    archive::unpack(format, &path, dir, &name, &cancelled).map_err(broken)
                }
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        drop(file);
        done.map_err(|error| error.to_string())?
    }

    /// The artifact's bytes in a file: of the machine, of the cache, or fetched now.
    async fn bring(
        &self,
        artifact: &Artifact,
        source: &Source,
        say: &impl Fn(String),
    ) -> Result<Brought, String> {
        let url = match source {
            Source::File(path) => {
                return client::check_file(path, MOST_BYTES, &self.forbidden).map(Brought::There);
            }
            Source::Web(url) => url,
        };
        let kept = if artifact.cache { self.cache.look(&artifact.uri) } else { None };
        let file = self.temporary();
        let progress = |done: u64, all: Option<u64>| say(told(&artifact.uri, done, all));
        let tag = kept.as_ref().and_then(|kept| kept.tag.clone());
        let uri = artifact.uri.clone();
        let (file, tag) = match self.client.get(url, tag, &file.0, MOST_BYTES, progress).await? {
            Some(tag) => (file, tag),
            // The server says that what is kept is what it has.
            None => match self.aside(file, move |cache, file| cache.take(&uri, file)).await? {
                (file, Ok(())) => return Ok(Brought::Fetched(file)),
                (file, Err(error)) => {
                    // It had to make room for something else meanwhile, or the disk is at fault.
                    tracing::warn!(%error, uri = shown(&artifact.uri), "a kept artifact cannot be read");
                    let tag = self.client.get(url, None, &file.0, MOST_BYTES, progress).await?;
                    (file, tag.flatten())
                }
            },
        };
        if !artifact.cache {
            return Ok(Brought::Fetched(file));
        }
        let uri = artifact.uri.clone();
        let (file, kept) = self.aside(file, move |cache, file| cache.put(&uri, tag, file)).await?;
        if let Err(error) = kept {
            // It is fetched again next time.
            tracing::warn!(%error, uri = shown(&artifact.uri), "an artifact cannot be kept");
        }
        Ok(Brought::Fetched(file))
    }

    /// Copies between the cache and a file where that keeps nobody waiting. The file lives as long as the work, also if
    /// nobody waits for it any more.
    async fn aside<T: Send + 'static>(
        &self,
        file: Temporary,
        work: impl FnOnce(&Cache, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<(Temporary, io::Result<T>), String> {
        let cache = self.cache.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&cache, &file.0);
            (file, done)
        });
        done.await.map_err(|error| error.to_string())
    }

    fn temporary(&self) -> Temporary {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Temporary(self.temporary.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string()))
    }
}

enum Brought {
    There(PathBuf),
    Fetched(Temporary),
}

impl Brought {
    fn path(&self) -> &Path {
        match self {
            Self::There(path) => path,
            Self::Fetched(file) => &file.0,
        }
    }
}

/// Directory and name below the sandbox.
fn destination(artifact: &Artifact, source: &Source) -> Result<(PathBuf, String), String> {
    let path = match artifact.dest_path.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(source.name().ok_or("it has no file name: say `destPath`")?),
    };
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let name = path.file_name().and_then(|name| name.to_str());
    match (plain && !path.to_string_lossy().contains('\0'), name) {
        (true, Some(name)) => Ok((path.parent().unwrap_or(Path::new("")).to_owned(), name.to_owned())),
        _ => Err(format!("{} leads out of the sandbox or names no file", path.display())),
    }
}

/// Holds the bytes to what the artifact promises.
fn check_sum(artifact: &Artifact, path: &Path, cancelled: &AtomicBool) -> Result<(), String> {
    let Some(wanted) = &artifact.sha256 else { return Ok(()) };
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) if cancelled.load(Ordering::Relaxed) => return Err("not wanted any more".into()),
            Ok(length) => digest.update(&buffer[..length]),
            Err(error) => return Err(error.to_string()),
        }
    }
    let found = hex(digest.finish().as_ref());
    match found.eq_ignore_ascii_case(wanted.trim()) {
        true => Ok(()),
        false => Err(format!("its SHA-256 is {found} and not {wanted}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A URI as it may be told: without a password in it, and without a query, which can be one.
fn shown(uri: &str) -> String {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (server, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let server = server.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{server}{path}")
        }
        None => uri.to_owned(),
    }
}

fn told(uri: &str, done: u64, all: Option<u64>) -> String {
    let mib = |bytes: u64| format!("{}.{}", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    match all {
        Some(all) => format!("fetching {}: {} of {} MiB", shown(uri), mib(done), mib(all)),
        None => format!("fetching {}: {} MiB", shown(uri), mib(done)),
    }
}

#[cfg(test)]
mod tests;
