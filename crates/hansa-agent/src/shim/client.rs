//! The agent's end: start a shim, find it again, talk to it, hear how the container ended.

use super::files;
use super::protocol::{Event, ExecResult, MAX_LINE, Reply, Request, RequestBody};
use super::record::{ExitRecord, LaunchError, Started};
use super::spec::ShimSpec;
use super::world::Change;
use crate::cgroup::{Driver, Sampler, Stats};
use crate::launcher::inside::Inside;
use crate::launcher::{open_terminal, send_with};
use hansa_model::framework::Raw;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{oneshot, watch};

/// How long a shim may take to say its first word.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// Starts a container: writes the spec to `runtime_dir` (made if need be; one per container, never used twice), runs
/// `exe shim <runtime_dir>` and waits until the command has been executed or could not be. `exe` is this program;
/// `/proc/self/exe` names it even after its file has been replaced.
///
/// The shim is nobody's child: it survives its starter. It keeps the connection made here, so dropping the client
/// changes nothing for the container.
///
/// # Errors
/// The command could not be started; nothing of it is left but the directory.
pub async fn spawn(runtime_dir: &Path, spec: &ShimSpec, exe: &Path) -> Result<Client, LaunchError> {
    let failed = failure(runtime_dir);
    let runtime_dir = &claim(runtime_dir)?;
    let exe = &std::path::absolute(exe).map_err(|e| failed("find the shim", e))?;
    files::write_json(&runtime_dir.join(files::SPEC), spec, false)
        .map_err(|e| failed("write the spec", e))?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|e| failed("make a socket", e))?;
    let mut shim = Command::new(exe)
        .arg("shim")
        .arg(runtime_dir)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| LaunchError::machine(format!("cannot start the shim {}: {error}", exe.display())))?;
    let connected = async {
        ours.set_nonblocking(true)?;
        Client::connect(UnixStream::from_std(ours)?, runtime_dir).await
    };
    let first = connected.await;
    // What we started has forked the shim and left at once; only if something is badly wrong is it still there.
    let _ = shim.kill();
    let _ = shim.wait();
    first_word(first, runtime_dir).await
}

fn failure(runtime_dir: &Path) -> impl Fn(&str, io::Error) -> LaunchError {
    move |what, error| LaunchError::machine(format!("cannot {what} in {}: {error}", runtime_dir.display()))
}

/// A runtime directory for a container that is to be started, made if need be; its absolute path, as shims start elsewhere.
pub(super) fn claim(runtime_dir: &Path) -> Result<PathBuf, LaunchError> {
    let failed = failure(runtime_dir);
    let runtime_dir = std::path::absolute(runtime_dir).map_err(|e| failed("find", e))?;
    std::fs::create_dir_all(&runtime_dir).map_err(|e| failed("make the runtime directory", e))?;
    // Not even the spec of a container that is there may be touched. (The lock decides; this keeps the spec whole.)
    if [files::SPEC, files::EXIT].iter().any(|name| runtime_dir.join(name).exists()) {
        return Err(failed("start a container", io::Error::other("there is or was one already")));
    }
    Ok(runtime_dir)
}

/// What a shim's first word means for whoever starts a container.
pub(super) async fn first_word(first: io::Result<First>, runtime_dir: &Path) -> Result<Client, LaunchError> {
    match first {
        Ok(First::Running(client)) => Ok(client),
        Ok(First::Failed(error)) => Err(error),
        Ok(First::Exited(record)) => Err(LaunchError::machine(format!(
            "runtime directory {} already holds an ended container ({:?})",
            runtime_dir.display(),
            record.cause
        ))),
        Err(error) => {
            // It may still be at it, and must not finish unheard.
            let _ = super::cleanup(runtime_dir).await;
            let log = std::fs::read_to_string(runtime_dir.join(files::LOG)).unwrap_or_default();
            Err(LaunchError::machine(format!("the shim ended without a word: {error} {}", log.trim())))
        }
    }
}

/// What is found in a runtime directory.
#[derive(Debug)]
pub enum Attached {
    /// The container runs.
    Running(Client),
    /// It has ended.
    Exited(Box<ExitRecord>),
    /// It has neither a shim nor an exit record: the shim was killed, the machine restarted, or nothing was ever
    /// started. Next: [`super::cleanup`].
    Gone,
}

/// Finds a container again, from its runtime directory alone.
///
/// # Errors
/// The directory cannot be read, or its shim lives but does not answer.
pub async fn attach(runtime_dir: &Path) -> io::Result<Attached> {
    let mut attempts = 0;
    loop {
        if let Some(record) = read_exit(runtime_dir)? {
            return Ok(Attached::Exited(Box::new(record)));
        }
        if !files::is_locked(runtime_dir)? {
            // It may have ended between the two looks.
            return Ok(match read_exit(runtime_dir)? {
                Some(record) => Attached::Exited(Box::new(record)),
                None => Attached::Gone,
            });
        }
        // A shim that just starts has not bound its socket yet; one that just ends has removed it.
        let failure = match connect_socket(runtime_dir).await {
            Ok(stream) => match Client::connect(stream, runtime_dir).await {
                Ok(First::Running(client)) => return Ok(Attached::Running(client)),
                Ok(First::Exited(record)) => return Ok(Attached::Exited(record)),
                Ok(First::Failed(_)) => io::Error::other("launch failed"),
                Err(error) => error,
            },
            Err(error) => error,
        };
        attempts += 1;
        if attempts == 100 {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The runtime directories below a root, in the order of their names.
///
/// # Errors
/// The root cannot be read; a root that is not there is empty.
pub fn list(runtime_root: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(runtime_root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn read_exit(runtime_dir: &Path) -> io::Result<Option<ExitRecord>> {
    files::read_json(&runtime_dir.join(files::EXIT))
}

/// Through a descriptor of the directory, as a socket's path holds only 107 bytes.
pub(super) async fn connect_socket(runtime_dir: &Path) -> io::Result<UnixStream> {
    let dir = std::fs::File::open(runtime_dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), files::SOCKET)).await
}

/// The shim is gone without an exit record, or the connection to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the container's shim is gone and left no exit record")]
pub struct ShimLost;

/// A request to a shim was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// See [`ShimLost`]; also when the container has ended.
    #[error("the container has ended or its shim is gone")]
    Gone,
    /// The shim says why.
    #[error("the shim refuses: {0}")]
    Refused(String),
}

/// A connection to one container's shim; clones share it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("container", &self.inner.started.container).finish_non_exhaustive()
    }
}

struct Inner {
    started: Started,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    next_id: AtomicU64,
    pending: Arc<Pending>,
    ended: watch::Receiver<Option<Result<Arc<ExitRecord>, ShimLost>>>,
    reader: tokio::task::AbortHandle,
    sampler: Mutex<Option<Sampler>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

type Answer = Result<Option<ExecResult>, ClientError>;

/// Requests not yet answered; None once the connection has ended.
type Pending = Mutex<Option<BTreeMap<u64, oneshot::Sender<Answer>>>>;

/// A shim's first word.
pub(super) enum First {
    Running(Client),
    Failed(LaunchError),
    Exited(Box<ExitRecord>),
}

impl Client {
    /// Reads the first event and, if the container runs, goes on reading in the background.
    pub(super) async fn connect(stream: UnixStream, runtime_dir: &Path) -> io::Result<First> {
        let (read, write) = stream.into_split();
        let mut reader = BufReader::with_capacity(1024, read);
        let first = tokio::time::timeout(FIRST_WORD, next_reply(&mut reader)).await;
        let started = match first.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            Some(Reply::Event(Event::Started(started))) => started,
            Some(Reply::Event(Event::Failed(error))) => return Ok(First::Failed(error)),
            Some(Reply::Event(Event::Exited(record))) => return Ok(First::Exited(Box::new(record))),
            Some(Reply::Done { .. }) => return Err(io::Error::other("an answer before the first event")),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let (ended_sender, ended) = watch::channel(None);
        let pending: Arc<Pending> = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let listening = listen(reader, runtime_dir.to_owned(), pending.clone(), ended_sender);
        let inner = Inner {
            started,
            writer: tokio::sync::Mutex::new(write),
            next_id: AtomicU64::new(1),
            pending,
            ended,
            reader: tokio::spawn(listening).abort_handle(),
            sampler: Mutex::new(None),
        };
        Ok(First::Running(Client { inner: Arc::new(inner) }))
    }

    /// What the shim said when the command ran.
    pub fn started(&self) -> &Started {
        &self.inner.started
    }

    /// SIGTERM to every process of the container, and SIGKILL after the grace (the spec's, if None); the shim sees to
    /// both. Returns when the shim has begun; [`Client::wait`] tells the end. Stopping again can only shorten the grace.
    ///
    /// # Errors
    /// The container has ended or its shim is gone.
    pub async fn stop(&self, grace: Option<Duration>) -> Result<(), ClientError> {
        let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        self.ask(RequestBody::Stop { grace_ms }).await.map(drop)
    }

    /// Ends every process of the container at once.
    ///
    /// # Errors
    /// The container has ended or its shim is gone.
    pub async fn kill(&self) -> Result<(), ClientError> {
        self.stop(Some(Duration::ZERO)).await
    }

    /// Sends a signal to every process of the container.
    ///
    /// # Errors
    /// No such signal; or the container has ended or its shim is gone.
    pub async fn signal(&self, signal: i32) -> Result<(), ClientError> {
        self.ask(RequestBody::Signal { signal }).await.map(drop)
    }

    /// Moves the stop deadline, if this one is later (milliseconds of `CLOCK_BOOTTIME`). For many containers at once a
    /// [`ShimSpec::deadline_file`] costs less.
    ///
    /// # Errors
    /// The container has ended or its shim is gone.
    pub async fn extend(&self, deadline_boottime_ms: u64) -> Result<(), ClientError> {
        self.ask(RequestBody::Extend { deadline_boottime_ms }).await.map(drop)
    }

    /// Changes what the container sees; returns when it is done.
    ///
    /// # Errors
    /// The shim says why it cannot be; or the container has ended or its shim is gone.
    pub async fn change(&self, change: Change) -> Result<(), ClientError> {
        self.ask(RequestBody::Change { change }).await.map(drop)
    }

    /// Runs a command inside the container, as its user, with stdin empty. A command that cannot be executed ends with
    /// code 127 (not found) or 126 and says why in its output, as a shell would.
    ///
    /// # Errors
    /// The container has ended or its shim is gone, or the shim could not enter it.
    pub async fn exec(
        &self,
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        timeout: Duration,
    ) -> Result<ExecResult, ClientError> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        match self.ask(RequestBody::Exec { argv, env, timeout_ms }).await? {
            Some(result) => Ok(result),
            None => Err(ClientError::Refused("no result".into())),
        }
    }

    /// Runs a command inside the container, as its user, with these standard streams; `terminal`: they are one, opened
    /// with [`Client::open_terminal`]. Returns when it has ended; its output is only what could not be started says.
    ///
    /// # Errors
    /// The container has ended or its shim is gone, or the shim could not enter it.
    pub async fn session(
        &self,
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        streams: [OwnedFd; 3],
        terminal: bool,
    ) -> Result<ExecResult, ClientError> {
        match self.ask_with(RequestBody::Session { argv, env, terminal }, Some(streams)).await? {
            Some(result) => Ok(result),
            None => Err(ClientError::Refused("no result".into())),
        }
    }

    /// Gives the container's command something to read, as if typed at its terminal.
    ///
    /// # Errors
    /// It has no terminal, or one that is full; or the container has ended or its shim is gone.
    pub async fn type_in(&self, bytes: &[u8]) -> Result<(), ClientError> {
        // Lines have a longest length, and grow on the way.
        for piece in bytes.chunks(MAX_LINE / 4) {
            self.ask(RequestBody::Input { data: Raw::new(piece) }).await?;
        }
        Ok(())
    }

    /// The terminal of the container's command has another size.
    ///
    /// # Errors
    /// It has no terminal; or the container has ended or its shim is gone.
    pub async fn resize(&self, rows: u16, columns: u16) -> Result<(), ClientError> {
        self.ask(RequestBody::Resize { rows, columns }).await.map(drop)
    }

    /// A new terminal of the container: the end that shows it, and the end for a session.
    ///
    /// # Errors
    /// The container has none, or has ended.
    pub fn open_terminal(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let root = PathBuf::from(format!("/proc/{}/root", self.inner.started.init.pid));
        open_terminal(&Inside::open(&root)?)
    }

    /// Waits until everything of the container has ended. May be called any number of times.
    ///
    /// # Errors
    /// The shim died without recording an exit: call [`super::cleanup`].
    pub async fn wait(&self) -> Result<Arc<ExitRecord>, ShimLost> {
        let mut ended = self.inner.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(value) => value.clone().unwrap_or(Err(ShimLost)),
            Err(_) => Err(ShimLost),
        }
    }

    /// What the container uses now; None without cgroups or when it has ended. Descriptors are kept between calls.
    pub fn stats(&self, driver: &Driver) -> Option<Stats> {
        let mut sampler = self.inner.sampler.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if sampler.is_none() {
            let started = &self.inner.started;
            *sampler = driver.container(&started.agent, started.cgroup()).sampler().ok();
        }
        sampler.as_mut()?.sample().ok()
    }

    async fn ask(&self, body: RequestBody) -> Answer {
        self.ask_with(body, None).await
    }

    async fn ask_with(&self, body: RequestBody, streams: Option<[OwnedFd; 3]>) -> Answer {
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = serde_json::to_vec(&Request { id, body }).map_err(|_| ClientError::Gone)?;
        line.push(b'\n');
        if line.len() > MAX_LINE {
            return Err(ClientError::Refused("the request is too long".into()));
        }
        let (sender, receiver) = oneshot::channel();
        match lock(&self.inner.pending).as_mut() {
            Some(pending) => pending.insert(id, sender),
            None => return Err(ClientError::Gone),
        };
        if self.write(&line, streams).await.is_err() {
            if let Some(pending) = lock(&self.inner.pending).as_mut() {
                pending.remove(&id);
            }
            return Err(ClientError::Gone);
        }
        receiver.await.unwrap_or(Err(ClientError::Gone))
    }
}

impl Client {
    async fn write(&self, line: &[u8], streams: Option<[OwnedFd; 3]>) -> io::Result<()> {
        let mut writer = self.inner.writer.lock().await;
        let mut sent = 0;
        if let Some(streams) = streams {
            let fds = streams.each_ref().map(AsRawFd::as_raw_fd);
            let stream: &UnixStream = writer.as_ref();
            let send = || send_with(stream.as_raw_fd(), line, &fds);
            sent = stream.async_io(tokio::io::Interest::WRITABLE, send).await?;
        }
        writer.write_all(&line[sent..]).await
    }
}

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, Option<BTreeMap<u64, oneshot::Sender<Answer>>>> {
    pending.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Reads until the shim's last word or the end of the connection, whichever is first.
async fn listen(
    mut reader: BufReader<OwnedReadHalf>,
    runtime_dir: PathBuf,
    pending: Arc<Pending>,
    ended: watch::Sender<Option<Result<Arc<ExitRecord>, ShimLost>>>,
) {
    let mut last_word = None;
    while let Ok(Some(reply)) = next_reply(&mut reader).await {
        match reply {
            Reply::Event(Event::Exited(record)) => {
                last_word = Some(record);
                break;
            }
            Reply::Event(_) => {}
            Reply::Done { id, error, exec } => {
                let waiter = lock(&pending).as_mut().and_then(|pending| pending.remove(&id));
                if let Some(waiter) = waiter {
                    let _ = waiter.send(error.map_or(Ok(exec), |why| Err(ClientError::Refused(why))));
                }
            }
        }
    }
    // Whoever still waits for an answer gets none.
    lock(&pending).take();
    let record = last_word.or_else(|| read_exit(&runtime_dir).ok().flatten());
    ended.send_replace(Some(record.map(Arc::new).ok_or(ShimLost)));
}

/// The next line; None at the end of the connection.
async fn next_reply(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Reply>> {
    let mut line = Vec::new();
    (&mut *reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(io::Error::from)
}
