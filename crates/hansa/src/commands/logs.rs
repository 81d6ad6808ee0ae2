//! `hansa logs`: the output of all instances of a service, line by line, each line with whose it is.

use crate::client::Client;
use crate::commands::task::logs::{From, Source, short_id, tail};
use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use crate::output::{note, write_stdout};
use crate::paint::Paint;
use crate::sse::Events;
use clap::Args;
use hansa_api::hansa::{Service, StreamEvent, Task, Tasks};
use hansa_model::TaskId;
use hansa_model::task::TaskState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Shows the output of all instances of a service, or of one task
///
/// Each line begins with the end of its task's id and the machine; `!` in place of `|` marks what was written to stderr.
/// Of a service that is failing, the last instance that failed is among them.
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// The service's path; or a task's id, or a piece of it that no other has
    pub id: String,
    /// Stay, and show what is written from now on, also by instances that come later
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines of each task to begin with
    #[arg(short = 'n', long, alias = "tail", default_value_t = 20)]
    pub lines: usize,
    /// Also of the last 20 instances that have ended, such as those that crashed
    #[arg(long, conflicts_with = "follow")]
    pub ended: bool,
    /// Only what was written to stderr
    #[arg(long)]
    pub stderr: bool,
    /// Only what was written to stdout
    #[arg(long, conflicts_with = "stderr")]
    pub stdout: bool,
}

/// What the loop that follows hears.
enum Heard {
    /// A line to print, whole.
    Line(String),
    /// A task changed.
    Task(Box<Task>),
    /// A task is forgotten: so it is told of one that ended because it should.
    Gone(TaskId),
    /// The stream of events begins: what was before must be looked up.
    Look,
}

/// Does it.
pub async fn run(args: &LogsArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let mut tasks = match context.client.get::<Service>(&format!("/hansa/v1/services{id}"), &[]).await {
        Ok(service) => {
            let mut tasks = context.tasks(&[("app", &id)]).await?;
            // Why they end stands in the output of those that have; it may fail and not yet count as failing.
            if args.ended {
                tasks.extend(last_ended(&id, &tasks, context).await?);
            } else if (service.failing.is_some() || tasks.is_empty()) && !args.follow {
                let failed = |task: &Task| task.state == TaskState::Failed;
                tasks.extend(last_ended(&id, &tasks, context).await?.into_iter().find(failed));
            }
            tasks
        }
        Err(failure) if failure.exit == Exit::NotFound => match context.task(&args.id).await {
            Ok(task) => vec![task],
            Err(_) => return Err(context.explain_missing_app(&id, failure).await),
        },
        Err(failure) => return Err(failure),
    };
    tasks.sort_by_key(|task| task.staged_at);
    let files: &'static [&'static str] = match (args.stdout, args.stderr) {
        (true, _) => &["stdout"],
        (_, true) => &["stderr"],
        _ => &["stdout", "stderr"],
    };
    if tasks.is_empty() {
        note(&format!("{id} has no tasks yet; `hansa explain {id}` says why"));
    }
    let hosts = tasks.iter().map(|task| task.hostname.chars().count()).max().unwrap_or(0);
    let mut follower =
        Follower { client: context.client.clone(), files, lines: args.lines, hosts, known: BTreeMap::new() };
    if args.follow { follower.follow(&id, tasks, context).await } else { follower.print(&tasks).await }
}

/// The tasks that ended last, the newest first, without those that are known already.
async fn last_ended(id: &str, known: &[Task], context: &Context) -> Result<Vec<Task>, Failure> {
    let query = [("app", id), ("ended", "true"), ("limit", "20")];
    let mut ended: Tasks = context.client.get("/hansa/v1/tasks", &query).await?;
    ended.tasks.retain(|task| !known.iter().any(|other| other.id == task.id));
    Ok(ended.tasks)
}

struct Follower {
    client: Arc<Client>,
    files: &'static [&'static str],
    lines: usize,
    /// The longest host name.
    hosts: usize,
    /// Tasks whose output is shown, and whether their end was told.
    known: BTreeMap<TaskId, bool>,
}

impl Follower {
    /// Prints the last lines, task by task, the oldest first.
    async fn print(&mut self, tasks: &[Task]) -> Result<(), Failure> {
        for task in tasks {
            for &file in self.files {
                let prefix = self.prefix(task, file);
                self.known.insert(task.id.clone(), true);
                let source = Source { task: task.id.clone(), file };
                let (send, mut lines) = mpsc::channel(64);
                let print = async {
                    while let Some(line) = lines.recv().await {
                        write_stdout(&format!("{prefix}{line}\n"))?;
                    }
                    Ok::<(), Failure>(())
                };
                let from = From::Last(self.lines);
                let (read, printed) = tokio::join!(tail(&self.client, &source, from, false, send), print);
                printed?;
                tell(&prefix, file, read);
            }
        }
        Ok(())
    }

    async fn follow(&mut self, id: &str, tasks: Vec<Task>, context: &Context) -> Result<(), Failure> {
        let (send, mut heard) = mpsc::channel::<Heard>(1024);
        // Of those that have ended only the last is shown, and only if nothing runs: the rest is history.
        let live = |task: &&Task| !task.state.is_terminal();
        let running = tasks.iter().filter(live).count();
        let last = tasks.iter().rev().find(|task| !live(task)).filter(|_| running == 0).cloned();
        for task in tasks {
            let show = live(&&task) || last.as_ref() == Some(&task);
            self.known.insert(task.id.clone(), task.state.is_terminal());
            if show {
                self.begin(&task, self.lines, &send);
            }
        }
        tokio::spawn(listen(self.client.clone(), send.clone()));
        while let Some(heard) = heard.recv().await {
            match heard {
                Heard::Line(line) => write_stdout(&line)?,
                Heard::Task(task) if task.app.as_ref().is_some_and(|app| app.as_str() == id) => {
                    self.hear(&task, &send);
                }
                Heard::Task(_) => {}
                Heard::Gone(task) => {
                    if self.known.get(&task) == Some(&false) {
                        note(&Paint::Dim.out(&format!("- {} has ended", short_id(&task))));
                        self.known.insert(task, true);
                    }
                }
                // A master that restarts is waited for: the stream begins again once it is back.
                Heard::Look => {
                    for task in context.tasks(&[("app", id)]).await.unwrap_or_default() {
                        self.hear(&task, &send);
                    }
                }
            }
        }
        Ok(())
    }

    /// A task that is new is shown from its beginning; the end of one that was shown is told.
    fn hear(&mut self, task: &Task, send: &mpsc::Sender<Heard>) {
        let short = short_id(&task.id);
        match self.known.get(&task.id) {
            // It has no output yet.
            None if task.state == TaskState::Staging => {}
            None => {
                self.known.insert(task.id.clone(), false);
                note(&Paint::Dim.out(&format!("+ {short} starts on {}", task.hostname)));
                self.begin(task, usize::MAX, send);
                if task.state.is_terminal() {
                    self.hear(task, send);
                }
            }
            Some(false) if task.state.is_terminal() => {
                self.known.insert(task.id.clone(), true);
                let name = task.state.name().trim_start_matches("TASK_").to_lowercase();
                let why = if task.message.is_empty() { String::new() } else { format!(": {}", task.message) };
                note(&Paint::Dim.out(&format!("- {short} {name}{}", why.replace('\n', " "))));
            }
            Some(_) => {}
        }
    }

    fn begin(&mut self, task: &Task, lines: usize, send: &mpsc::Sender<Heard>) {
        for &file in self.files {
            let source = Source { task: task.id.clone(), file };
            let prefix = self.prefix(task, file);
            tokio::spawn(copy(self.client.clone(), source, lines, prefix, send.clone()));
        }
    }

    /// Whose a line is: `456789ab node1 | `.
    fn prefix(&self, task: &Task, file: &str) -> String {
        let width = self.hosts;
        let number = self.known.keys().position(|id| *id == task.id).unwrap_or(self.known.len());
        let name = format!("{} {:<width$}", short_id(&task.id), task.hostname);
        let name = Paint::Nth(number).out(&name);
        match file {
            "stderr" => format!("{name} {} ", Paint::Bad.out("!")),
            _ => format!("{name} | "),
        }
    }
}

/// Tells what happens to tasks, for ever.
async fn listen(client: Arc<Client>, send: mpsc::Sender<Heard>) {
    loop {
        if let Ok(mut events) = Events::of(&client, "task").await {
            while let Some(frame) = events.next().await {
                let data: Value = serde_json::from_str(&frame.data).unwrap_or(Value::Null);
                let event = serde_json::from_value(json!({ "event": frame.event, "data": data }));
                let heard = match event {
                    Ok(StreamEvent::Task(task)) => Heard::Task(Box::new(task)),
                    Ok(StreamEvent::TaskRemoved { id, .. }) => Heard::Gone(id),
                    Ok(StreamEvent::Resync { .. }) => Heard::Look,
                    _ => continue,
                };
                if send.send(heard).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// So many of the last lines are remembered, to find the place again when the line broke.
const REMEMBERED: usize = 8;

/// Sends the lines of one file, each with the prefix that says whose it is, until the task has ended.
async fn copy(client: Arc<Client>, source: Source, lines: usize, prefix: String, send: mpsc::Sender<Heard>) {
    let mut seen: VecDeque<String> = VecDeque::new();
    let mut from = From::Last(lines);
    loop {
        let (lines_in, mut lines_out) = mpsc::channel::<String>(64);
        let forward = async {
            while let Some(line) = lines_out.recv().await {
                seen.push_back(line.clone());
                if seen.len() > REMEMBERED {
                    seen.pop_front();
                }
                if send.send(Heard::Line(format!("{prefix}{line}\n"))).await.is_err() {
                    return;
                }
            }
        };
        let (result, ()) = tokio::join!(tail(&client, &source, from, true, lines_in), forward);
        let broken = matches!(&result, Err(failure) if failure.exit == Exit::Unavailable);
        if !broken {
            tell(&prefix, source.file, result);
        }
        // The end of the stream is the end of the task, or that of the master.
        tokio::time::sleep(Duration::from_secs(1)).await;
        match client.get::<Task>(&format!("/hansa/v1/tasks/{}", source.task), &[]).await {
            Ok(task) if !task.state.is_terminal() => {}
            Err(failure) if failure.exit == Exit::Unavailable => {}
            Ok(_) if broken => {}
            _ => return,
        }
        from = From::After(seen.clone());
    }
}

/// Says what went wrong. A file that is not there has nothing in it.
fn tell(prefix: &str, file: &str, result: Result<(), Failure>) {
    if let Err(failure) = result
        && failure.exit != Exit::NotFound
    {
        note(&format!("{prefix}{file}: {}", failure.cause));
    }
}
