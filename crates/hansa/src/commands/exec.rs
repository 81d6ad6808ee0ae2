//! `hansa exec`: a command in a task's container, with this terminal if it is one.

use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use clap::Args;
use hansa_api::exec::{End, Frame, MOST, Size, Start};
use hansa_api::hansa::Task;
use hansa_model::task::{Exit as TaskExit, TaskState};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Runs a command in a running task's container
#[derive(Clone, Debug, Args)]
pub struct ExecArgs {
    /// A service, or a task's id or a piece of it that no other has
    pub id: String,
    /// Give it a terminal [default: if this is one and no input is piped in]
    #[arg(short, long)]
    pub tty: bool,
    /// Pass this program's input on [default: with a terminal]
    #[arg(short, long)]
    pub interactive: bool,
    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Does it. The program's exit code becomes ours; one that was ended by a signal counts as 128 and its number.
pub async fn run(args: &ExecArgs, context: &Context) -> Result<(), Failure> {
    let task = find(args, context).await?;
    let stream = context.client.exec(&task.id).await?;
    let (reader, writer) = tokio::io::split(stream);
    let terminal =
        args.tty || !args.interactive && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if terminal && !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "--tty needs a terminal, and the input is none")
            .remedy("--interactive"));
    }
    let term = std::env::var("TERM").ok().filter(|_| terminal);
    let start = Start {
        argv: args.command.clone(),
        env: term.map(|term| ("TERM".to_owned(), term)).into_iter().collect::<BTreeMap<_, _>>(),
        terminal: terminal.then(size),
    };
    let raw = if terminal { Raw::enter() } else { None };
    let end = talk(reader, writer, start, terminal || args.interactive).await;
    // The terminal as it was, before anything is said.
    drop(raw);
    let end = end.map_err(|error| Failure::new(Exit::Failed, format!("the connection broke: {error}")))?;
    let code = match (end.exit, end.error) {
        (None, error) => {
            return Err(Failure::new(
                Exit::Failed,
                error.unwrap_or_else(|| "the command did not run".into()),
            ));
        }
        (Some(exit), error) => {
            if let Some(error) = error {
                crate::output::note(&format!("error: {}", error.trim_end()));
            }
            match exit {
                TaskExit::Code(code) => code,
                TaskExit::Signal(signal) => 128 + signal,
            }
        }
    };
    // Not an error of ours: nothing is said about it. The thread that reads input may still wait for some.
    std::process::exit(code)
}

/// A running task of the service of that name, else the task of that id.
async fn find(args: &ExecArgs, context: &Context) -> Result<Task, Failure> {
    let app = app_path(&args.id);
    let own = context.tasks(&[("app", app.as_str())]).await.unwrap_or_default();
    match own.into_iter().find(|task| task.state == TaskState::Running) {
        Some(task) => Ok(task),
        None => context.task(&args.id).await,
    }
}

/// Sends input, prints output, until it is over.
async fn talk(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    start: Start,
    input: bool,
) -> std::io::Result<End> {
    let terminal = start.terminal.is_some();
    Frame::Start(start).write(&mut writer).await?;
    if !input {
        Frame::Stdin(Vec::new()).write(&mut writer).await?;
    }
    let (sender, mut typed) = mpsc::channel(4);
    if input {
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            loop {
                let mut buffer = vec![0; MOST / 4];
                let length = stdin.read(&mut buffer).unwrap_or(0);
                buffer.truncate(length);
                if sender.blocking_send(buffer).is_err() || length == 0 {
                    return;
                }
            }
        });
    }
    let mut resized = signal(SignalKind::window_change())?;
    let hear = async {
        loop {
            match Frame::read(&mut reader).await? {
                Some(Frame::Stdout(bytes)) => print(std::io::stdout(), &bytes)?,
                Some(Frame::Stderr(bytes)) => print(std::io::stderr(), &bytes)?,
                Some(Frame::End(end)) => return Ok(end),
                Some(_) => {}
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
    };
    let mut hear = std::pin::pin!(hear);
    loop {
        tokio::select! {
            end = hear.as_mut() => return end,
            Some(bytes) = typed.recv() => Frame::Stdin(bytes).write(&mut writer).await?,
            Some(()) = resized.recv(), if terminal => Frame::Resize(size()).write(&mut writer).await?,
        }
    }
}

fn print(mut to: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// This terminal's size.
fn size() -> Size {
    // SAFETY: an all-zero size is a valid value; the pointer is to it.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        match libc::ioctl(1, libc::TIOCGWINSZ, &mut size) {
            0 => Size { rows: size.ws_row, columns: size.ws_col },
            _ => Size { rows: 24, columns: 80 },
        }
    }
}

/// This terminal without a mind of its own: keys go to the program as they are.
struct Raw(libc::termios);

impl Raw {
    fn enter() -> Option<Self> {
        // SAFETY: an all-zero termios is a valid value; the pointers are to values of ours.
        unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(0, &mut before) != 0 {
                return None;
            }
            let mut raw = before;
            libc::cfmakeraw(&mut raw);
            (libc::tcsetattr(0, libc::TCSANOW, &raw) == 0).then_some(Self(before))
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a value of ours.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &self.0) };
    }
}
