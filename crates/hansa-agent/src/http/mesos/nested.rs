//! Containers inside containers, as Mesos' agents let operators make them: commands beside a task's own, in its
//! surroundings. With a session somebody listens, and its end is the command's; without, what it prints is kept.
//!
//! They live as long as this process: whoever holds the other ends of their streams is this one.

use crate::agent::Shell;
use crate::http::Context;
use crate::launcher::{pipe, resize, set_nonblocking};
use crate::shim::Client;
use hansa_mesos::proto::v1;
use hansa_model::InstanceId;
use hansa_model::task::Exit;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

/// Ended ones that are remembered for whoever waits for them.
const MOST_ENDED: usize = 256;
/// Pieces of output on their way to a slow reader; of what nobody listens to the newest ones.
const MOST_PIECES: usize = 64;
/// How a command is found again: it and what it starts inherit this.
const MARK: &str = "MESOS_NESTED_CONTAINER_ID";

/// A piece of output.
#[derive(Debug)]
pub(super) enum Piece {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
}

/// One command.
#[derive(Debug)]
pub(super) struct Session {
    /// In which container.
    pub(super) parent: InstanceId,
    /// Our end of its input, until somebody closes it.
    input: tokio::sync::Mutex<Option<AsyncFd<OwnedFd>>>,
    /// Whether its streams are a terminal.
    tty: bool,
    /// What it prints, until somebody listens.
    output: Mutex<Option<mpsc::Receiver<Piece>>>,
    /// Its wait status, or why there is none, once it has ended.
    ended: watch::Receiver<Option<Result<i32, String>>>,
}

/// All commands, by their containers' ids.
#[derive(Debug, Default)]
pub(in crate::http) struct Sessions {
    all: Mutex<BTreeMap<String, Arc<Session>>>,
    ended: Mutex<VecDeque<String>>,
}

/// A container's id with those around it, outermost first.
pub(super) fn name(id: &v1::ContainerId) -> String {
    match &id.parent {
        Some(parent) => format!("{}.{}", name(parent), id.value),
        None => id.value.clone(),
    }
}

/// What a call about a container is about.
pub(super) enum Found {
    /// A command made here.
    Session(Arc<Session>),
    /// A container of a task or executor; whether it has a terminal, and where its output is kept.
    Container { client: Client, tty: bool, sandbox: String, inside: String },
}

/// Why a command could not be started.
pub(super) enum Refusal {
    /// There is no container around it.
    NoParent,
    /// There is one of this name.
    Exists,
    /// In words.
    Other(String),
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The command with this id.
    pub(super) fn get(&self, id: &v1::ContainerId) -> Option<Arc<Session>> {
        self.all().get(&name(id)).cloned()
    }

    /// Forgets one that has ended. False: it has not.
    pub(super) fn remove(&self, id: &v1::ContainerId) -> bool {
        let mut all = self.all();
        let ended = all.get(&name(id)).is_none_or(|session| session.ended.borrow().is_some());
        if ended {
            all.remove(&name(id));
        }
        ended
    }

    /// Keeps the list of those that nobody asks about short.
    fn forget_oldest(&self, newest: String) {
        let mut ended = self.ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        ended.push_back(newest);
        if ended.len() > MOST_ENDED
            && let Some(oldest) = ended.pop_front()
        {
            self.all().remove(&oldest);
        }
    }
}

/// Finds what a container's id stands for.
pub(super) async fn find(context: &Context, id: &v1::ContainerId) -> Option<Found> {
    if let Some(session) = context.sessions.get(id) {
        return Some(Found::Session(session));
    }
    let container = InstanceId::from(id.value.as_str());
    context.ask(move |shell| container_of(shell, &container)).await.ok()?
}

fn container_of(shell: &Shell, container: &InstanceId) -> Option<Found> {
    let client = shell.containers.client(container)?.clone();
    let saved = shell.node.saved();
    let (tty, sandbox, inside) = match shell.node.task_in(container) {
        Some((instance, index)) => {
            let group = saved.groups().get(&instance)?;
            let tty = group.launch.group.tasks[index].container.tty;
            match (group.executor(), &group.launch.framework) {
                (Some(run), Some(of)) => {
                    (tty, run.container.to_string(), format!("tasks/{}", of.tasks.get(index)?.id))
                }
                _ => (tty, group.launch.tasks[index].to_string(), String::new()),
            }
        }
        None => {
            let held = saved.executors().get(container)?;
            (held.run.spec.container.tty, container.to_string(), String::new())
        }
    };
    Some(Found::Container { client, tty, sandbox, inside })
}

/// Starts a command inside the container around this id.
pub(super) async fn start(
    context: &Context,
    id: &v1::ContainerId,
    command: &v1::CommandInfo,
    terminal: Option<(u16, u16)>,
) -> Result<Arc<Session>, Refusal> {
    let around = id.parent.as_deref().ok_or(Refusal::NoParent)?;
    let key = name(id);
    if context.sessions.all().contains_key(&key) {
        return Err(Refusal::Exists);
    }
    let (client, parent) = match find(context, around).await {
        Some(Found::Container { client, .. }) => (client, InstanceId::from(around.value.as_str())),
        // Inside of a command of ours is beside it.
        Some(Found::Session(session)) => {
            let parent = session.parent.clone();
            let asked = parent.clone();
            let client = context.ask(move |shell| shell.containers.client(&asked).cloned()).await;
            (client.ok().flatten().ok_or(Refusal::NoParent)?, parent)
        }
        None => return Err(Refusal::NoParent),
    };
    let argv = argv(command).ok_or_else(|| Refusal::Other("the command has nothing to execute".into()))?;
    let mut env: BTreeMap<String, String> = command
        .environment
        .iter()
        .flat_map(|environment| &environment.variables)
        .map(|variable| (variable.name.clone(), variable.value().to_owned()))
        .collect();
    env.insert(MARK.into(), key.clone());
    let failed = |error: io::Error| Refusal::Other(format!("the command's streams cannot be made: {error}"));
    let (ends, theirs) = streams(&client, terminal).map_err(failed)?;
    let (sender, output) = mpsc::channel(MOST_PIECES);
    let (end, ended) = watch::channel(None);
    let session = Arc::new(Session {
        parent,
        input: tokio::sync::Mutex::new(Some(ends.input)),
        tty: terminal.is_some(),
        output: Mutex::new(Some(output)),
        ended,
    });
    context.sessions.all().insert(key.clone(), session.clone());
    let sessions = context.sessions.clone();
    let tty = terminal.is_some();
    let own = session.clone();
    tokio::spawn(async move {
        let (stdout, stderr) = (ends.output, ends.errors);
        let copies = async {
            let errors = async {
                if let Some(stderr) = &stderr {
                    copy(stderr, &own, &sender, Piece::Stderr).await;
                }
            };
            tokio::join!(copy(&stdout, &own, &sender, Piece::Stdout), errors);
        };
        let mut copies = std::pin::pin!(copies);
        let mut running = std::pin::pin!(client.session(argv, env, theirs, tty));
        let mut copied = false;
        let result = loop {
            tokio::select! {
                biased;
                () = copies.as_mut(), if !copied => copied = true,
                result = running.as_mut() => break result,
            }
        };
        if !copied {
            // What it wrote before its end is still on the way; what it left behind may hold on to the streams.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), copies).await;
        }
        let status = match result {
            Ok(result) => Ok(raw(result.exit)),
            Err(error) => Err(error.to_string()),
        };
        end.send_replace(Some(status));
        sessions.forget_oldest(key);
    });
    Ok(session)
}

/// As `wait` tells it.
pub(super) fn raw(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(signal) => signal & 0x7f,
    }
}

fn argv(command: &v1::CommandInfo) -> Option<Vec<String>> {
    let value = command.value.clone();
    if command.shell() {
        return Some(vec!["/bin/sh".into(), "-c".into(), value?]);
    }
    // The first argument is the program's own name for itself, which is its file's here.
    let rest = command.arguments.iter().skip(1).cloned();
    let program = value.or_else(|| command.arguments.first().cloned())?;
    Some(std::iter::once(program).chain(rest).collect())
}

/// Our ends of a command's streams.
struct Ends {
    input: AsyncFd<OwnedFd>,
    output: AsyncFd<OwnedFd>,
    errors: Option<AsyncFd<OwnedFd>>,
}

fn streams(container: &Client, size: Option<(u16, u16)>) -> io::Result<(Ends, [OwnedFd; 3])> {
    let own = |fd: OwnedFd| {
        set_nonblocking(fd.as_raw_fd())?;
        // SAFETY: the descriptor is owned by what is registered and closed with it.
        unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
    };
    if let Some((rows, columns)) = size {
        let (shown, used) = container.open_terminal()?;
        // Nobody minds if it is not a size that makes sense.
        let _ = resize(shown.as_raw_fd(), rows, columns);
        let ends = Ends { input: own(shown.try_clone()?)?, output: own(shown)?, errors: None };
        return Ok((ends, [used.try_clone()?, used.try_clone()?, used]));
    }
    let (stdin, input) = pipe()?;
    let (output, stdout) = pipe()?;
    let (errors, stderr) = pipe()?;
    let ends = Ends { input: own(input)?, output: own(output)?, errors: Some(own(errors)?) };
    Ok((ends, [stdin, stdout, stderr]))
}

async fn copy(
    from: &AsyncFd<OwnedFd>,
    session: &Session,
    to: &mpsc::Sender<Piece>,
    piece: fn(Vec<u8>) -> Piece,
) {
    loop {
        let mut buffer = vec![0; 16 << 10];
        let read = |fd: &OwnedFd| {
            // SAFETY: the buffer is ours and as long as said.
            let length = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            usize::try_from(length).map_err(|_| io::Error::last_os_error())
        };
        match from.async_io(Interest::READABLE, read).await {
            // A terminal that nobody uses any more gives an error, not an end.
            Ok(0) | Err(_) => return,
            Ok(length) => {
                buffer.truncate(length);
                if !session.say(to, piece(buffer)).await {
                    // Nobody listens any more; the command shall not wait for that.
                    drain(from).await;
                    return;
                }
            }
        }
    }
}

async fn drain(from: &AsyncFd<OwnedFd>) {
    let mut buffer = [0u8; 4096];
    let mut read = |fd: &OwnedFd| {
        // SAFETY: the buffer is ours and as long as said.
        let length = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        usize::try_from(length).map_err(|_| io::Error::last_os_error())
    };
    while from.async_io(Interest::READABLE, &mut read).await.is_ok_and(|length| length > 0) {}
}

impl Session {
    fn output(&self) -> MutexGuard<'_, Option<mpsc::Receiver<Piece>>> {
        self.output.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What it prints, for the first who asks.
    pub(super) fn listen(&self) -> Option<mpsc::Receiver<Piece>> {
        self.output().take()
    }

    /// Passes on what it printed. It waits for whoever listens, but not for somebody to begin: what is oldest is lost then.
    /// False: nobody listens any more.
    async fn say(&self, to: &mpsc::Sender<Piece>, mut piece: Piece) -> bool {
        loop {
            piece = match to.try_send(piece) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(piece)) => piece,
            };
            let lost = self.output().as_mut().map(|waiting| waiting.try_recv().is_ok());
            if lost.is_none() {
                return to.send(piece).await.is_ok();
            }
        }
    }

    /// Its wait status, once it has ended.
    pub(super) async fn wait(&self) -> Result<i32, String> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_else(|| Err("it has no status".into())),
            Err(_) => Err("the agent has lost it".into()),
        }
    }

    /// Gives it something to read; nothing ends its input.
    pub(super) async fn write(&self, mut bytes: &[u8]) {
        let mut input = self.input.lock().await;
        if bytes.is_empty() {
            if self.tty {
                // As somebody at a terminal would say it.
                bytes = &[4];
            } else {
                input.take();
                return;
            }
        }
        while let (Some(open), false) = (input.as_ref(), bytes.is_empty()) {
            let write = |fd: &OwnedFd| {
                // SAFETY: the buffer is ours and as long as said.
                let length = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
                usize::try_from(length).map_err(|_| io::Error::last_os_error())
            };
            match open.async_io(Interest::WRITABLE, write).await {
                Ok(length) => bytes = &bytes[length..],
                // A command that reads no more makes no error of what was meant for it.
                Err(_) => drop(input.take()),
            }
        }
    }

    /// Its terminal has another size.
    pub(super) async fn resize(&self, rows: u16, columns: u16) {
        if let Some(open) = self.input.lock().await.as_ref().filter(|_| self.tty) {
            let _ = resize(open.get_ref().as_raw_fd(), rows, columns);
        }
    }
}

/// Sends a signal to a command and everything that it has started. False: nothing of it runs.
pub(super) fn signal(id: &v1::ContainerId, signal: i32) -> bool {
    let mark = format!("{MARK}={}", name(id));
    let mut found = false;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            found = true;
            // SAFETY: no memory is passed.
            unsafe { libc::kill(pid, signal) };
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_listens_to_keeps_nobody_waiting() {
        let (sender, output) = mpsc::channel(MOST_PIECES);
        let (_end, ended) = watch::channel(None);
        let session = Session {
            parent: "c".into(),
            input: tokio::sync::Mutex::new(None),
            tty: false,
            output: Mutex::new(Some(output)),
            ended,
        };
        for number in 0..3 * MOST_PIECES {
            assert!(session.say(&sender, Piece::Stdout(vec![u8::try_from(number).unwrap()])).await);
        }
        let mut listening = session.listen().unwrap();
        let first = listening.recv().await;
        let oldest = u8::try_from(2 * MOST_PIECES).unwrap();
        assert!(matches!(&first, Some(Piece::Stdout(bytes)) if *bytes == [oldest]), "{first:?}");
        drop(listening);
        assert!(
            !session.say(&sender, Piece::Stderr(Vec::new())).await,
            "the command goes on without a listener"
        );
    }

    #[test]
    fn names_and_commands() {
        let outer = v1::ContainerId { value: "a".into(), parent: None };
        let inner = v1::ContainerId { value: "b".into(), parent: Some(Box::new(outer.clone())) };
        assert_eq!((name(&outer), name(&inner)), ("a".into(), "a.b".into()));
        let command = |shell, value: Option<&str>, arguments: &[&str]| {
            argv(&v1::CommandInfo {
                shell: Some(shell),
                value: value.map(str::to_owned),
                arguments: arguments.iter().map(|one| (*one).to_owned()).collect(),
                ..v1::CommandInfo::default()
            })
            .map(|argv| argv.join(" "))
        };
        assert_eq!(command(true, Some("ls -l"), &[]).unwrap(), "/bin/sh -c ls -l");
        assert_eq!(command(false, Some("/bin/ls"), &["ls", "-l"]).unwrap(), "/bin/ls -l");
        assert_eq!(command(false, None, &["ls", "-l"]).unwrap(), "ls -l");
        assert_eq!(command(true, None, &[]), None);
    }
}
