//! The agent's end of the nursery: keeps some spare shims ready, and puts them to work.

use super::client::{Client, claim, connect_socket, first_word, spawn};
use super::files;
use super::protocol::{Request, RequestBody};
use super::record::LaunchError;
use super::spec::{Isolation, ShimSpec};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::Notify;

/// Spare shims kept ready on an agent at rest.
const READY: usize = 3;

/// Spare shims being made at the same time.
const IN_THE_MAKING: usize = 8;

/// How long a launch waits for a spare shim before it starts one of its own; only where something is badly wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pauses between nurseries that end: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Room in the nursery's command line for a shim's own.
const TITLE_ROOM: usize = 512;

/// Spare shims of one agent. Dropping it, or the runtime, ends them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    keeper: tokio::task::AbortHandle,
}

#[derive(Debug)]
struct Shared {
    agent: String,
    program: PathBuf,
    spares: PathBuf,
    state: Mutex<State>,
    /// Something was taken, or somebody waits.
    wanted: Notify,
    /// There is one more, or there will be none.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whether there is a nursery.
    open: bool,
    idle: VecDeque<Spare>,
    making: usize,
    /// Launches that wait for a spare shim.
    waiting: usize,
    /// Launches by spare shims that are under way.
    working: usize,
}

/// A shim that waits for work; it ends when the connection does.
#[derive(Debug)]
struct Spare {
    dir: PathBuf,
    stream: UnixStream,
}

impl Pool {
    /// Starts a nursery for the agent, and keeps it going. `spares` gets the directories of spare shims, and lies on the same file
    /// system as the runtime directories. Needs a runtime.
    pub fn start(agent: &str, program: &Path, spares: &Path) -> Self {
        let shared = Arc::new(Shared {
            agent: agent.to_owned(),
            program: std::path::absolute(program).unwrap_or_else(|_| program.to_owned()),
            spares: spares.to_owned(),
            state: Mutex::new(State { open: true, ..State::default() }),
            wanted: Notify::new(),
            changed: Notify::new(),
        });
        let keeper = tokio::spawn(keep(shared.clone())).abort_handle();
        Self { shared, keeper }
    }

    /// Starts a container as [`spawn`] does, by a spare shim if that is possible.
    ///
    /// # Errors
    /// The command could not be started; nothing of it is left but the directory.
    pub async fn spawn(&self, runtime_dir: &Path, spec: &ShimSpec) -> Result<Client, LaunchError> {
        let isolation = Isolation { devices: Vec::new(), ..spec.isolation.clone() };
        let usual = spec.agent == self.shared.agent && isolation == Isolation::default();
        while usual && let Some(spare) = self.shared.take().await {
            self.shared.state().working += 1;
            let spawned = spare.put_to_work(runtime_dir, spec).await;
            self.shared.state().working -= 1;
            self.shared.wanted.notify_one();
            if let Some(spawned) = spawned {
                return spawned;
            }
        }
        spawn(runtime_dir, spec, &self.shared.program).await
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn take(&self) -> Option<Spare> {
        self.state().waiting += 1;
        self.wanted.notify_one();
        let taken = tokio::time::timeout(PATIENCE, self.next()).await.unwrap_or(None);
        self.state().waiting -= 1;
        taken
    }

    async fn next(&self) -> Option<Spare> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                while let Some(spare) = state.idle.pop_front() {
                    if spare.lives() {
                        return Some(spare);
                    }
                    spare.bury();
                }
                if !state.open {
                    return None;
                }
            }
            self.wanted.notify_one();
            changed.await;
        }
    }

    /// How many to order now; they count as being made from here on.
    fn order(&self) -> usize {
        let mut state = self.state();
        // While something is being started and the next start has its shim, the processor is not taken away from it.
        let ready = if state.working > 0 && !state.idle.is_empty() { 1 } else { READY };
        let wanted = (ready + state.waiting).saturating_sub(state.idle.len() + state.making);
        let order = wanted.min(IN_THE_MAKING.saturating_sub(state.making));
        state.making += order;
        order
    }
}

/// One nursery after the other.
async fn keep(shared: Arc<Shared>) {
    let mut pause = PAUSES.0;
    loop {
        shared.state().open = true;
        let mut made = 0_u64;
        let error = tend(&shared, &mut made).await.err();
        {
            // The others end with the nursery's input, which is closed by now.
            let mut state = shared.state();
            (state.open, state.making) = (false, 0);
            state.idle.clear();
        }
        shared.changed.notify_waiters();
        pause = if made > 0 { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
        let error = error.map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        tracing::warn!(error, "no spare shims: tasks start more slowly; trying again in {pause:?}");
        tokio::time::sleep(pause).await;
    }
}

/// Runs a nursery and takes what it makes, until it ends or fails.
async fn tend(shared: &Shared, made: &mut u64) -> io::Result<()> {
    let mut nursery = Command::new(&shared.program)
        .args(["shim", super::NURSERY])
        .args([shared.spares.as_os_str(), shared.agent.as_ref()])
        .arg("-".repeat(TITLE_ROOM))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (Some(mut orders), Some(reports)) = (nursery.stdin.take(), nursery.stdout.take()) else {
        return Err(io::Error::other("its input and output are not pipes"));
    };
    let mut reports = BufReader::with_capacity(1024, reports).lines();
    loop {
        let order = shared.order();
        if order > 0 {
            orders.write_all(&[b'.'; IN_THE_MAKING][..order]).await?;
            orders.flush().await?;
        }
        tokio::select! {
            report = reports.next_line() => {
                let Some(name) = report? else { return Ok(()) };
                if let Some(why) = name.strip_prefix('!') {
                    return Err(io::Error::other(why.to_owned()));
                }
                let dir = shared.spares.join(name);
                let stream = connect_socket(&dir).await;
                let mut state = shared.state();
                state.making = state.making.saturating_sub(1);
                if let Ok(stream) = stream {
                    *made += 1;
                    state.idle.push_back(Spare { dir, stream });
                }
                drop(state);
                shared.changed.notify_waiters();
            }
            ended = nursery.wait() => return ended.map(drop),
            () = shared.wanted.notified() => {}
        }
    }
}

impl Spare {
    /// Whether the shim is there: it says nothing before it is put to work.
    fn lives(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Removes what a dead one left.
    fn bury(self) {
        tokio::spawn(async move {
            if super::cleanup(&self.dir).await.is_ok() {
                let _ = tokio::fs::remove_dir_all(&self.dir).await;
            }
        });
    }

    /// None: it was dead before it heard anything, and nothing is left of it.
    async fn put_to_work(self, runtime_dir: &Path, spec: &ShimSpec) -> Option<Result<Client, LaunchError>> {
        let Self { dir, mut stream } = self;
        let runtime_dir = &match claim(runtime_dir) {
            Ok(runtime_dir) => runtime_dir,
            Err(error) => return Some(Err(error)),
        };
        if let Err(error) = hand_over(&dir, runtime_dir, spec) {
            // By its lock it is found where that is now; without a word it ends with the connection.
            let _ = super::cleanup(runtime_dir).await;
            return Some(Err(LaunchError::machine(format!(
                "cannot put a shim to work in {}: {error}",
                runtime_dir.display()
            ))));
        }
        let start = Request { id: 0, body: RequestBody::Start { dir: runtime_dir.to_owned() } };
        let mut line = serde_json::to_vec(&start).unwrap_or_default();
        line.push(b'\n');
        if stream.write_all(&line).await.is_err() {
            let _ = std::fs::remove_dir(&dir);
            return super::cleanup(runtime_dir).await.err().map(|error| {
                let why = format!("cannot clean up after a dead shim in {}: {error}", runtime_dir.display());
                Err(LaunchError::machine(why))
            });
        }
        Some(first_word(Client::connect(stream, runtime_dir).await, runtime_dir).await)
    }
}

/// Moves what makes a directory a shim's into the container's, where there may be other files already; then writes the
/// spec, without which nothing is run. What stands for something is in one of the two at any moment, so cleaning up both
/// leaves nothing. The lock comes first: whoever wants the container gone finds the shim by it.
fn hand_over(dir: &Path, runtime_dir: &Path, spec: &ShimSpec) -> io::Result<()> {
    for file in [files::LOCK, files::CGROUP, files::SOCKET] {
        match std::fs::rename(dir.join(file), runtime_dir.join(file)) {
            // Without cgroups there is nothing to tell of them.
            Err(error) if file == files::CGROUP && error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    files::write_json(&runtime_dir.join(files::SPEC), spec, false)
}
