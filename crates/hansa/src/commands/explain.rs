//! `hansa explain`: why something is as it is, whatever the id names.

mod placement;
mod words;

use crate::commands::framework;
use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use crate::paint::{Paint, stdout};
use crate::suggest::nearest;
use crate::table::{terminal_width, wrap};
use crate::text;
use clap::{Args, ValueEnum};
use hansa_api::framework::Frameworks;
use hansa_api::hansa::{Deployments, Node, Nodes, Service, Services, Task};
use hansa_api::plans::{Explained as Placement, MOST_INSTANCES};
use serde::Serialize;

/// Says why something is as it is, and what would help
///
/// The id may be that of a service, a task, a machine, a framework or a deployment; of tasks, machines and frameworks also a
/// piece of it or a name.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// What to explain, such as /shop/web or node1
    pub id: String,
    /// What it is, should the id name several things
    #[arg(long = "as", value_name = "KIND")]
    pub kind: Option<Kind>,
}

/// Says why a service is as it is, and where one more instance would go
#[derive(Clone, Debug, Args)]
pub struct ServiceArgs {
    /// The service's path
    pub id: String,
    /// Also say whether so many more instances would fit, and where
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_INSTANCES)))]
    pub instances: Option<u32>,
}

/// What an id can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A service.
    Service,
    /// A task.
    Task,
    /// A machine.
    Node,
    /// A scheduler from outside.
    Framework,
    /// A change under way.
    Deployment,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Task => "task",
            Kind::Node => "node",
            Kind::Framework => "framework",
            Kind::Deployment => "deployment",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Explained {
    kind: Kind,
    id: String,
    /// How it is.
    summary: String,
    /// Why.
    why: Vec<String>,
    /// What would help, or shows more.
    remedies: Vec<String>,
    /// Where one more instance would go, of a service that lacks some.
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<Placement>,
}

/// Does it.
pub async fn run(args: &ExplainArgs, context: &Context) -> Result<(), Failure> {
    let explained = match find(args, context).await? {
        Found::Service(service) => explain_service(*service, None, context).await?,
        Found::Task(task) => words::task(&task, text::now()),
        Found::Node(node) => words::node(&node, text::now()),
        Found::Framework(id) => {
            let args = framework::OneArgs { framework: id };
            return framework::explain::run(&args, context).await;
        }
        Found::Deployment(deployment) => words::deployment(&deployment, text::now()),
    };
    context.format.print(&explained, render)
}

/// The same of a service, with where one more instance would go although none is asked for.
pub async fn service(args: &ServiceArgs, context: &Context) -> Result<(), Failure> {
    let id = app_path(&args.id);
    let service = match context.client.get(&format!("/hansa/v1/services{id}"), &[]).await {
        Ok(service) => service,
        Err(failure) => return Err(context.explain_missing_app(&id, failure).await),
    };
    context.format.print(&explain_service(service, Some(args.instances), context).await?, render)
}

enum Found {
    Service(Box<Service>),
    Task(Box<Task>),
    Node(Box<Node>),
    Framework(String),
    Deployment(Box<hansa_api::hansa::Deployment>),
}

impl Found {
    fn kind(&self) -> Kind {
        match self {
            Found::Service(_) => Kind::Service,
            Found::Task(_) => Kind::Task,
            Found::Node(_) => Kind::Node,
            Found::Framework(_) => Kind::Framework,
            Found::Deployment(_) => Kind::Deployment,
        }
    }
}

/// An answer, or None if there is no such thing.
fn there<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if matches!(failure.exit, Exit::NotFound | Exit::Usage) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The only thing that has this id.
async fn find(args: &ExplainArgs, context: &Context) -> Result<Found, Failure> {
    let id = args.id.as_str();
    let asked = |kind: Kind| args.kind.is_none_or(|asked| asked == kind);
    // A path is a service's; all else has no slash, besides the paths that were typed without their first one.
    let plain = !id.contains('/');
    let mut found = Vec::new();
    if asked(Kind::Service) {
        let path = format!("/hansa/v1/services{}", app_path(id));
        found.extend(there(context.client.get(&path, &[]).await)?.map(|one| Found::Service(Box::new(one))));
    }
    if plain && asked(Kind::Node) {
        let path = format!("/hansa/v1/nodes/{id}");
        found.extend(there(context.client.get(&path, &[]).await)?.map(|one| Found::Node(Box::new(one))));
    }
    if plain && asked(Kind::Deployment) {
        let all: Deployments = context.client.get("/hansa/v1/deployments", &[]).await?;
        let one = all.deployments.into_iter().find(|deployment| deployment.id.as_str() == id);
        found.extend(one.map(|one| Found::Deployment(Box::new(one))));
    }
    let frameworks: Option<Frameworks> = match asked(Kind::Framework) {
        true => there(context.client.get("/hansa/v1/frameworks", &[("all", "true")]).await)?,
        false => None,
    };
    let frameworks = frameworks.map(|all| all.frameworks).unwrap_or_default();
    if let Some(one) = frameworks.iter().find(|one| one.id == id || one.name == id) {
        // By its name: which of several of that name is meant is decided there.
        found.push(Found::Framework(if one.id == id { one.id.clone() } else { one.name.clone() }));
    }
    if plain && asked(Kind::Task) && found.is_empty() {
        match context.task(id).await {
            Ok(task) => found.push(Found::Task(Box::new(task))),
            Err(failure) if failure.exit == Exit::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    if found.is_empty()
        && let Some(one) = frameworks.iter().find(|one| id.len() >= 4 && one.id.contains(id))
    {
        found.push(Found::Framework(one.id.clone()));
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(missing(args, context, frameworks.iter().map(|one| one.name.clone()).collect()).await),
        _ => {
            let kinds: Vec<&str> = found.iter().map(|one| one.kind().name()).collect();
            Err(Failure::new(Exit::Usage, format!("'{id}' names several things: a {}", kinds.join(", a ")))
                .remedy(format!("`hansa explain {id} --as {}`", kinds[0])))
        }
    }
}

async fn missing(args: &ExplainArgs, context: &Context, mut names: Vec<String>) -> Failure {
    if let Ok(known) = context.client.get::<Services>("/hansa/v1/services", &[]).await {
        names.extend(known.services.iter().map(|service| service.id.to_string()));
    }
    if let Ok(known) = context.client.get::<Nodes>("/hansa/v1/nodes", &[]).await {
        names.extend(known.nodes.into_iter().map(|node| node.hostname));
    }
    let what = args.kind.map_or("service, task, machine, framework or deployment", Kind::name);
    let missing = Failure::new(Exit::NotFound, format!("there is no {what} '{}'", args.id))
        .at(context.client.address());
    match nearest(&args.id, names.iter().map(String::as_str)) {
        Some(name) => missing.remedy(format!("did you mean '{name}'?")),
        None => {
            missing.remedy("`hansa app list`, `hansa task list` and `hansa node list` show what there is")
        }
    }
}

/// With where more instances would go, if that is asked; of how many at once, if of several.
async fn explain_service(
    service: Service,
    more: Option<Option<u32>>,
    context: &Context,
) -> Result<Explained, Failure> {
    let tasks = context.tasks(&[("app", service.id.as_str())]).await?;
    let all: Deployments = context.client.get("/hansa/v1/deployments", &[]).await?;
    let path = format!("/hansa/v1/explain{}", service.id);
    let instances = more.flatten().map(|instances| instances.to_string());
    let query = instances.as_deref().map(|instances| ("instances", instances));
    let placement: Option<Placement> = there(context.client.get(&path, query.as_slice()).await)?;
    let mut explained = words::service(&service, &tasks, &all.deployments, placement.as_ref(), text::now());
    if more.is_some() {
        explained.placement = placement;
    }
    Ok(explained)
}

fn render(explained: &Explained) -> String {
    let width = terminal_width().unwrap_or(usize::MAX);
    let mut out = String::new();
    let mut say = |first: &str, text: &str, paint: Option<Paint>| {
        let room = width.saturating_sub(first.chars().count()).max(20);
        for (at, line) in wrap(text, room).iter().enumerate() {
            let begin = if at == 0 { first.to_owned() } else { " ".repeat(first.chars().count()) };
            let line = paint.map_or(line.clone(), |paint| paint.on(stdout(), line));
            out.push_str(&format!("{begin}{line}\n"));
        }
    };
    say("", &format!("{} {} {}", explained.kind.name(), explained.id, explained.summary), Some(Paint::Bold));
    for why in &explained.why {
        say("  - ", why, None);
    }
    for remedy in &explained.remedies {
        say("  try: ", remedy, None);
    }
    if let Some(placement) = &explained.placement {
        out.push_str(&format!("\n{}", placement::render(&explained.id, placement)));
    }
    out
}
