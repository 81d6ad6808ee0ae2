//! The shim process itself: one thread, one loop over everything that can happen to a container.

use super::connection::{Connection, Listener};
use super::events::Polled;
use super::files;
use super::output::{Directory, Rotated, Stream};
use super::protocol::{Event, ExecResult, Reply, Request, RequestBody};
use super::record::{Cause, ExitRecord, LaunchError, ProcessId, Started};
use super::running::Running;
use super::spare::{Spare, Tools};
use super::spec::{ShimSpec, VERSION};
use super::{boottime_ms, timer::Timer, title::Title};
use crate::cgroup::{Container, Detected, Driver, OomWatch};
use crate::launcher::{self, Base, Init, Plan, Wanted, check_name, execute};
use hansa_model::task::{Exit, Limitation};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// After SIGKILL through the container's init, how long until everything is killed from outside.
const HARD_KILL_MS: u64 = 500;

/// The kernel announces that memory ran out before it kills; how often and how long (ms) it is then asked whether it has.
const OOM_LOOKS: (u32, u64) = (100, 10);

/// Commands run at once beside the container's own.
const MAX_EXECUTIONS: usize = 64;

/// How much of a stream is read before others have their turn, in reads.
const READS_PER_TURN: usize = 16;

/// Becomes the shim of this directory.
pub(super) fn run(runtime_dir: &Path) -> ! {
    // SAFETY: there is one thread; the parent leaves at once, so that we are nobody's child and no leader of a session.
    unsafe {
        libc::setsid();
        libc::umask(0o077);
        match libc::fork() {
            0 => {}
            -1 => std::process::exit(1),
            _ => libc::_exit(0),
        }
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    let starter = starter();
    if std::env::set_current_dir(runtime_dir).is_err() {
        std::process::exit(1);
    }
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
    let (mut spare, spec) = match Spare::take().and_then(|spare| Ok((spare, read_spec()?))) {
        Ok(taken) => taken,
        Err(error) => {
            log(&error.to_string());
            std::process::exit(1)
        }
    };
    // Last to be killed when memory is short: without us the container dies, and nobody says why.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-999");
    let base = Base::of(&spec);
    let names = check_name("agent", &spec.agent).and_then(|()| check_name("container", &spec.container));
    let ready = names.and_then(|()| {
        let driver = if spec.isolation.cgroups { Driver::detect() } else { Detected::default() };
        if let Some(driver) = &driver.driver {
            let out =
                |error| LaunchError::machine(format!("the shim cannot leave its starter's cgroup: {error}"));
            driver.adopt_shim(&spec.agent, 0).map_err(out)?;
        }
        spare.prepare(&spec.agent, &spec.container, &base, driver)
    });
    work(spare, base, spec, starter, ready)
}

/// From the moment that it is known what to run, to the end of it.
pub(super) fn work(
    spare: Spare,
    base: Base,
    spec: ShimSpec,
    starter: Option<Connection>,
    ready: Result<Tools, LaunchError>,
) -> ! {
    let Spare { lock, myself, boot, driver, cgroup, title } = spare;
    let connections = starter.into_iter().collect();
    let mut shim = Shim { _lock: lock, myself, boot, spec, driver, cgroup, connections, newest: None };
    match ready.and_then(|tools| shim.start(&base, tools, title)) {
        Ok(running) => shim.serve(running),
        Err(error) => shim.fail(error),
    }
    std::process::exit(0)
}

/// The spec in the current directory.
pub(super) fn read_spec() -> io::Result<ShimSpec> {
    files::read_json(Path::new(files::SPEC))?
        .ok_or_else(|| io::Error::other("there is no spec in this directory"))
}

/// Our own words, for people who look why something is odd.
pub(super) fn log(text: &str) {
    if let Ok(mut file) = File::options().append(true).create(true).open(files::LOG) {
        let _ = writeln!(file, "{} {text}", wall_ms());
    }
}

/// The connection that the starter passed as our standard input, if it did.
fn starter() -> Option<Connection> {
    let mut kind: libc::c_int = 0;
    let mut size = std::mem::size_of_val(&kind) as libc::socklen_t;
    // SAFETY: the pointers are to values of ours; descriptor 0 is replaced only after it has been copied.
    unsafe {
        let pointer = (&raw mut kind).cast();
        if libc::getsockopt(0, libc::SOL_SOCKET, libc::SO_TYPE, pointer, &mut size) != 0 {
            return None;
        }
        let copy = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        libc::dup2(null, 0);
        libc::close(null);
        (copy >= 0).then(|| Connection::new(OwnedFd::from_raw_fd(copy).into()))
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What lives from the taking of the directory to the end.
struct Shim {
    /// Held as long as we live.
    _lock: File,
    myself: ProcessId,
    boot: String,
    spec: ShimSpec,
    driver: Option<Driver>,
    cgroup: Option<Container>,
    connections: Vec<Connection>,
    /// The newest event, which whoever connects gets first.
    newest: Option<Event>,
}

/// What there is while the container runs.
struct Inside {
    plan: Plan,
    init: Init,
    listener: Listener,
    signals: OwnedFd,
    timer: Timer,
    oom: Option<OomWatch>,
    streams: [Stream; 2],
    started_at_ms: u64,
    /// The command's wait status, once it is known.
    status: Option<i32>,
    init_gone: bool,
    executions: Vec<Running>,
    /// Why it is ending, once somebody or something has decided so.
    cause: Option<Cause>,
    deadline_ms: Option<u64>,
    kill_at_ms: Option<u64>,
    hard_kill_at_ms: Option<u64>,
    oom_looks: u32,
}

impl Shim {
    fn start(
        &mut self,
        base: &Base,
        tools: Tools,
        title: Option<(Title, Vec<String>)>,
    ) -> Result<Box<Inside>, LaunchError> {
        let broken =
            |what: &str, error: io::Error| LaunchError::machine(format!("the shim cannot {what}: {error}"));
        let Tools { listener, signals, timer, oom, init, init_id, mut missing } = tools;
        let set_up = Plan::prepare(&self.spec, base).and_then(|mut plan| {
            plan.title = title;
            if let Some(cgroup) = &self.cgroup {
                let limited = cgroup.limit(&self.spec.limits);
                missing.append(&mut limited.map_err(|error| broken("set up cgroups", error))?);
            }
            Ok(plan)
        });
        let mut plan = set_up.inspect_err(|_| init.end())?;
        let mut init = init.run(&mut plan)?;
        missing.append(&mut init.missing);
        let output = |error| {
            LaunchError::machine(format!("cannot write output to {}: {error}", self.spec.sandbox.display()))
        };
        // Only now is it known who owns the files; what the command has written meanwhile waits in the pipes.
        let open = || {
            let directory = Directory::open(&self.spec.sandbox, plan.owner()).map_err(output)?;
            let out = Rotated::open(&directory, "stdout", &self.spec.output).map_err(output)?;
            let err = Rotated::open(&directory, "stderr", &self.spec.output).map_err(output)?;
            let read = |error| broken("read output", error);
            Ok([Stream::new(&init.stdout, out).map_err(read)?, Stream::new(&init.stderr, err).map_err(read)?])
        };
        let streams = open().inspect_err(|_| init.kill())?;
        let started = Started {
            version: VERSION,
            agent: self.spec.agent.clone(),
            container: self.spec.container.clone(),
            cgroup: self.cgroup.as_ref().map(|cgroup| cgroup.name().to_owned()),
            boot: self.boot.clone(),
            shim: self.myself,
            init: init_id,
            at_ms: wall_ms(),
            missing_isolation: missing,
        };
        if let Err(error) = files::write_json(Path::new(files::STARTED), &started, false) {
            init.kill();
            return Err(broken("record the start", error));
        }
        let started_at_ms = started.at_ms;
        self.publish(Event::Started(started));
        Ok(Box::new(Inside {
            plan,
            init,
            listener,
            signals,
            timer,
            oom,
            streams,
            started_at_ms,
            status: None,
            init_gone: false,
            executions: Vec::new(),
            cause: None,
            deadline_ms: self.spec.deadline_boottime_ms,
            kill_at_ms: None,
            hard_kill_at_ms: None,
            oom_looks: 0,
        }))
    }

    /// Until everything has ended.
    fn serve(&mut self, mut inside: Box<Inside>) {
        while !inside.init_gone {
            self.turn(&mut inside);
        }
        self.finish(*inside);
    }

    /// Waits for something to happen and deals with it.
    fn turn(&mut self, inside: &mut Inside) {
        inside.arm_timer();
        let mut polled = Polled::default();
        let signals = polled.add(inside.signals.as_raw_fd(), libc::POLLIN);
        let timer = polled.add(inside.timer.descriptor(), libc::POLLIN);
        let listener = polled.add(inside.listener.descriptor(), libc::POLLIN);
        let oom = inside.oom.as_ref().map(|oom| polled.add(oom.descriptor(), oom.events()));
        let status =
            inside.status.is_none().then(|| polled.add(inside.init.status.as_raw_fd(), libc::POLLIN));
        let streams = [0, 1]
            .map(|n| inside.streams[n].pipe.as_ref().map(|pipe| polled.add(pipe.as_raw_fd(), libc::POLLIN)));
        let executions: Vec<_> = inside
            .executions
            .iter()
            .map(|running| running.descriptors().map(|fd| fd.map(|fd| polled.add(fd, libc::POLLIN))))
            .collect();
        let connections: Vec<_> = self
            .connections
            .iter()
            .map(|connection| polled.add(connection.descriptor(), connection.events()))
            .collect();
        polled.wait();

        if oom.is_some_and(|index| polled.ready(index)) {
            if let Some(oom) = &inside.oom {
                oom.reset();
            }
            inside.oom_looks = OOM_LOOKS.0;
        }
        if polled.ready(timer) {
            inside.timer.reset();
        }
        for (stream, index) in inside.streams.iter_mut().zip(streams) {
            if index.is_some_and(|index| polled.ready(index)) {
                stream.copy(READS_PER_TURN);
            }
        }
        if status.is_some_and(|index| polled.ready(index)) {
            inside.read_status();
        }
        for (running, indices) in inside.executions.iter_mut().zip(executions) {
            if indices.into_iter().flatten().any(|index| polled.ready(index)) {
                running.advance();
            }
        }
        self.answer_executions(inside);
        let ready: Vec<bool> = connections.into_iter().map(|index| polled.ready(index)).collect();
        self.serve_connections(inside, &ready);
        if polled.ready(listener) {
            self.accept(inside);
        }
        self.look_at_memory(inside);
        self.look_at_clock(inside);
        // Last, so that a turn that ends the container has dealt with everything before it.
        if polled.ready(signals) {
            self.take_signals(inside);
        }
    }

    fn accept(&mut self, inside: &Inside) {
        while let Some(mut connection) = inside.listener.accept() {
            if let Some(event) = &self.newest {
                connection.send(&Reply::Event(event.clone()));
            }
            self.connections.push(connection);
        }
    }

    fn serve_connections(&mut self, inside: &mut Inside, ready: &[bool]) {
        let mut connections = std::mem::take(&mut self.connections);
        for (connection, ready) in connections.iter_mut().zip(ready) {
            if !ready {
                continue;
            }
            for line in connection.receive() {
                match serde_json::from_slice::<Request>(&line) {
                    Ok(request) => self.obey(inside, connection, request),
                    Err(error) => {
                        // Whoever speaks a newer language still wants an answer, if the number can be read.
                        let id = serde_json::from_slice::<serde_json::Value>(&line)
                            .ok()
                            .and_then(|value| value.get("id")?.as_u64())
                            .unwrap_or(0);
                        let error = Some(format!("not understood: {error}"));
                        connection.send(&Reply::Done { id, error, exec: None });
                    }
                }
            }
        }
        connections.retain(Connection::is_open);
        self.connections = connections;
    }

    fn obey(&mut self, inside: &mut Inside, connection: &mut Connection, request: Request) {
        let done = match request.body {
            RequestBody::Start { .. } => Err("the container runs already".into()),
            RequestBody::Signal { signal: libc::SIGKILL } => {
                self.end(inside, Cause::Stopped);
                Ok(())
            }
            RequestBody::Signal { signal } => {
                inside.init.signal(signal, false).map_err(|error| error.to_string())
            }
            RequestBody::Stop { grace_ms } => {
                self.stop(inside, grace_ms.unwrap_or(self.spec.kill_grace_ms));
                Ok(())
            }
            RequestBody::Extend { deadline_boottime_ms } => {
                inside.deadline_ms = inside.deadline_ms.max(Some(deadline_boottime_ms));
                Ok(())
            }
            RequestBody::Input { data } => self.terminal(inside).and_then(|mut terminal| {
                // A terminal that is full is one that nobody reads: what is typed there is lost.
                terminal.write_all(data.bytes()).map_err(|error| error.to_string())
            }),
            RequestBody::Resize { rows, columns } => self.terminal(inside).and_then(|terminal| {
                launcher::resize(terminal.as_raw_fd(), rows, columns).map_err(|error| error.to_string())
            }),
            RequestBody::Change { change } => {
                match launcher::change(&inside.plan, inside.init.pid, &change) {
                    Ok(changing) => {
                        inside.executions.push(Running::new(connection.token(), request.id, changing));
                        return;
                    }
                    Err(error) => Err(error.message),
                }
            }
            RequestBody::Exec { argv, env, timeout_ms } => {
                let timeout = Some(Duration::from_millis(timeout_ms.min(24 * 3600 * 1000)));
                let wanted = Wanted { argv: &argv, env: &env, timeout, streams: None };
                match self.execute(inside, connection, request.id, &wanted) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            RequestBody::Session { argv, env, terminal } => {
                let started = match connection.take_streams() {
                    Some(streams) => {
                        let streams = Some((&streams, terminal));
                        let wanted = Wanted { argv: &argv, env: &env, timeout: None, streams };
                        self.execute(inside, connection, request.id, &wanted)
                    }
                    None => Err("a session needs its three streams".into()),
                };
                match started {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
        };
        connection.send(&Reply::Done { id: request.id, error: done.err(), exec: None });
    }

    /// The end of the command's terminal that shows it.
    fn terminal<'a>(&self, inside: &'a Inside) -> Result<&'a File, String> {
        let shown = inside.streams[0].pipe.as_ref().filter(|_| self.spec.tty);
        shown.ok_or_else(|| "the command has no terminal".into())
    }

    /// Starts a command beside the container's own; answered when it has ended.
    fn execute(
        &self,
        inside: &mut Inside,
        connection: &Connection,
        id: u64,
        wanted: &Wanted<'_>,
    ) -> Result<(), String> {
        if inside.executions.len() >= MAX_EXECUTIONS {
            return Err("too many commands run in the container".into());
        }
        let execution = execute(&inside.plan, inside.init.pid, self.cgroup.as_ref(), wanted);
        let execution = execution.map_err(|error| error.message)?;
        inside.executions.push(Running::new(connection.token(), id, execution));
        Ok(())
    }

    fn answer_executions(&mut self, inside: &mut Inside) {
        for running in inside.executions.extract_if(.., |running| running.is_done()) {
            let (token, id) = (running.token, running.id);
            let (exec, error) = match running.result() {
                Ok((status, timed_out, output)) => {
                    (Some(ExecResult { exit: exit_of(status), timed_out, output }), None)
                }
                Err(error) => (None, Some(error)),
            };
            if let Some(connection) = self.connections.iter_mut().find(|c| c.token() == token) {
                connection.send(&Reply::Done { id, error, exec });
            }
        }
    }

    /// SIGTERM now, SIGKILL after the grace.
    fn stop(&mut self, inside: &mut Inside, grace_ms: u64) {
        if grace_ms == 0 {
            return self.end(inside, Cause::Stopped);
        }
        inside.cause.get_or_insert(Cause::Stopped);
        let kill_at = boottime_ms().saturating_add(grace_ms);
        let first = inside.kill_at_ms.is_none();
        inside.kill_at_ms = Some(inside.kill_at_ms.map_or(kill_at, |earlier| earlier.min(kill_at)));
        if first {
            let _ = inside.init.signal(self.spec.stop_signal.unwrap_or(libc::SIGTERM), true);
        }
    }

    /// Kills everything: first through init, so that the command's own status is known, then from outside.
    fn end(&mut self, inside: &mut Inside, cause: Cause) {
        inside.cause.get_or_insert(cause);
        if inside.hard_kill_at_ms.is_none() {
            inside.hard_kill_at_ms = Some(boottime_ms() + HARD_KILL_MS);
            let _ = inside.init.signal(libc::SIGKILL, true);
        }
    }

    fn look_at_memory(&mut self, inside: &mut Inside) {
        if inside.oom_looks == 0 || inside.hard_kill_at_ms.is_some() {
            return;
        }
        inside.oom_looks -= 1;
        if self.oom_kills() > 0 {
            inside.oom_looks = 0;
            self.end(inside, Cause::OutOfMemory);
        }
    }

    fn oom_kills(&self) -> u64 {
        let sample = |cgroup: &Container| cgroup.sampler().ok()?.sample().ok()?.oom_kills;
        self.cgroup.as_ref().and_then(sample).unwrap_or(0)
    }

    fn look_at_clock(&mut self, inside: &mut Inside) {
        let now = boottime_ms();
        if inside.deadline_ms.is_some_and(|deadline| deadline <= now) {
            match self.spec.deadline_file.as_deref().and_then(read_deadline) {
                Some(later) if later > now => inside.deadline_ms = Some(later),
                _ => {
                    inside.deadline_ms = None;
                    self.end(inside, Cause::Deadline);
                }
            }
        }
        if inside.kill_at_ms.is_some_and(|kill_at| kill_at <= now) {
            inside.kill_at_ms = Some(u64::MAX);
            self.end(inside, Cause::Stopped);
        }
        if inside.hard_kill_at_ms.is_some_and(|kill_at| kill_at <= now) {
            inside.hard_kill_at_ms = Some(u64::MAX);
            inside.init.kill();
            if let Some(cgroup) = &self.cgroup
                && let Err(error) = cgroup.kill_all()
            {
                log(&error.to_string());
            }
        }
    }

    fn take_signals(&mut self, inside: &mut Inside) {
        // SAFETY: an all-zero siginfo is a valid value; the buffer is ours and as long as we say.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = std::mem::size_of_val(&info);
        loop {
            // SAFETY: as above.
            let read = unsafe { libc::read(inside.signals.as_raw_fd(), (&raw mut info).cast(), size) };
            if read != size as isize {
                break;
            }
            if matches!(info.ssi_signo as i32, libc::SIGTERM | libc::SIGINT) {
                self.stop(inside, self.spec.kill_grace_ms);
            }
        }
        loop {
            // SAFETY: the pointer may be null.
            match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
                pid if pid == inside.init.pid => inside.init_gone = true,
                pid if pid > 0 => {}
                _ => break,
            }
        }
    }

    /// Everything has ended: the last of the output, the account, the record.
    fn finish(&mut self, mut inside: Inside) {
        // What still runs in the cgroup are commands of ours, or what got away where there is no pid namespace.
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.kill_all()
        {
            log(&error.to_string());
        }
        launcher::kill_descendants();
        for stream in &mut inside.streams {
            stream.copy(usize::MAX);
        }
        inside.read_status();
        let stats = self.cgroup.as_ref().and_then(|cgroup| cgroup.sampler().ok()?.sample().ok());
        let stats = stats.unwrap_or_default();
        let cause = match inside.cause {
            Some(cause) => cause,
            None if stats.oom_kills.unwrap_or(0) > 0 => Cause::OutOfMemory,
            None => Cause::Exited,
        };
        let limitation = match (cause, self.spec.limits.memory_bytes) {
            (Cause::OutOfMemory, Some(limit)) => {
                Some(Limitation { used: stats.memory_peak_bytes.unwrap_or(limit), limit })
            }
            _ => None,
        };
        let record = ExitRecord {
            cause,
            exit: Some(inside.status.map_or(Exit::Signal(libc::SIGKILL), exit_of)),
            limitation,
            started_at_ms: inside.started_at_ms,
            cpu_ns: stats.cpu_ns,
            memory_peak_bytes: stats.memory_peak_bytes,
            output_lost_bytes: inside.streams.iter().map(|stream| stream.files.lost).sum(),
            last_words: inside.streams[1].files.last_line(),
            ..self.record(Cause::Exited)
        };
        self.leave(record.clone(), Event::Exited(record));
    }

    /// It never started.
    fn fail(&mut self, error: LaunchError) {
        let record = ExitRecord { launch_error: Some(error.clone()), ..self.record(Cause::LaunchFailed) };
        self.leave(record, Event::Failed(error));
    }

    fn record(&self, cause: Cause) -> ExitRecord {
        ExitRecord {
            version: VERSION,
            agent: self.spec.agent.clone(),
            container: self.spec.container.clone(),
            boot: self.boot.clone(),
            cause,
            exit: None,
            limitation: None,
            launch_error: None,
            started_at_ms: 0,
            ended_at_ms: wall_ms(),
            cpu_ns: None,
            memory_peak_bytes: None,
            output_lost_bytes: 0,
            last_words: None,
            swept: false,
        }
    }

    /// Removes the cgroups, records the end, tells everybody, and takes ourselves away.
    fn leave(&mut self, mut record: ExitRecord, last_word: Event) {
        match self.cgroup.as_ref().map_or(Ok(()), Container::remove) {
            Ok(()) => record.swept = true,
            Err(error) => log(&error.to_string()),
        }
        // Not forced onto the disk: after a crash of the machine nobody asks how its containers ended.
        if let Err(error) = files::write_json(Path::new(files::EXIT), &record, false) {
            log(&format!("cannot record the end: {error}"));
        }
        let _ = std::fs::remove_file(files::SOCKET);
        self.publish(last_word);
        for connection in &mut self.connections {
            connection.flush_blocking();
        }
        if let Some(driver) = &self.driver {
            driver.leave(&self.spec.agent);
        }
    }

    fn publish(&mut self, event: Event) {
        for connection in &mut self.connections {
            connection.send(&Reply::Event(event.clone()));
        }
        self.newest = Some(event);
    }
}

impl Inside {
    fn arm_timer(&mut self) {
        let look = match self.oom_looks {
            0 => None,
            _ => Some(boottime_ms() + OOM_LOOKS.1),
        };
        let times = [self.deadline_ms, self.kill_at_ms, self.hard_kill_at_ms, look];
        self.timer.arm(times.into_iter().flatten().min());
    }

    /// The command's status, if init has reported it; ended without: it was killed.
    fn read_status(&mut self) {
        let mut bytes = [0; 4];
        if self.status.is_none() {
            let ended =
                self.init.status.try_clone().is_ok_and(|fd| File::from(fd).read_exact(&mut bytes).is_ok());
            self.status = Some(if ended { i32::from_ne_bytes(bytes) } else { libc::SIGKILL });
        }
    }
}

fn exit_of(status: i32) -> Exit {
    match libc::WIFSIGNALED(status) {
        true => Exit::Signal(libc::WTERMSIG(status)),
        false => Exit::Code(libc::WEXITSTATUS(status)),
    }
}

fn read_deadline(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
