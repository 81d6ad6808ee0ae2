//! `hansa group`: services in folders.

use crate::commands::app::list;
use crate::context::{Context, app_path};
use crate::definitions::gather;
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use crate::output::{self, note};
use crate::plan::{Plan, carry_out};
use crate::suggest::nearest;
use crate::table::{Table, pairs, terminal_width};
use crate::text;
use clap::{Args, Subcommand};
use hansa_api::hansa::{Service, Services};
use hansa_api::marathon::path;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What can be done with groups.
#[derive(Clone, Debug, Subcommand)]
pub enum GroupCommand {
    /// Lists groups, with what is in them and below
    #[command(visible_alias = "ls")]
    List,
    /// Shows a group with everything below it
    Show {
        /// The group's path; `/` is everything
        group: String,
    },
    Put(PutArgs),
    /// Removes a group with everything in it
    #[command(visible_alias = "rm")]
    Remove {
        /// The group's path
        group: String,
        /// Cancel deployments that are in the way
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

/// Makes a group, or changes what is said of it, or what a file says of it and what is in it
///
/// A file changes only what it names; `hansa apply -f FILE --prune GROUP` also removes the rest of the group.
#[derive(Clone, Debug, Args)]
pub struct PutArgs {
    /// The group's path
    #[arg(required_unless_present = "file")]
    pub group: Option<String>,
    /// A file with the group in Marathon's JSON or in YAML; `-` reads stdin
    #[arg(short, long, conflicts_with_all = ["group", "depends_on", "enforce_role"])]
    pub file: Option<String>,
    /// A service or group that must be there before it; may be repeated, and replaces what it depends on now
    #[arg(long, value_name = "PATH")]
    pub depends_on: Vec<String>,
    /// Whether services of this top-level group must have its name as their role
    #[arg(long, value_name = "BOOL")]
    pub enforce_role: Option<bool>,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// A group at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Glance {
    id: String,
    /// Services in it and below.
    services: u32,
    /// Their instances that run, and those that are asked for.
    running: u32,
    instances: u32,
    /// What all their instances ask for.
    cpus_milli: u64,
    mem: u64,
    /// Services that are neither healthy nor suspended.
    not_healthy: u32,
    dependencies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_role: Option<bool>,
}

/// Does it.
pub async fn run(command: &GroupCommand, context: &Context) -> Result<(), Failure> {
    match command {
        GroupCommand::List => {
            let (tree, services) = read(context).await?;
            let all: Vec<Glance> = below(&tree, &services).into_iter().filter(|one| one.id != "/").collect();
            context.format.print(&json!({ "groups": all }), |_| {
                output::table(all.len(), "no groups; a service such as /shop/web lies in one", &table(&all))
            })
        }
        GroupCommand::Show { group } => show(&absolute(group), context).await,
        GroupCommand::Put(args) => put(args, context).await,
        GroupCommand::Remove { group, force, wait } => {
            let id = absolute(group);
            if id == "/" {
                return Err(Failure::new(Exit::Usage, "the root cannot be removed")
                    .remedy("name a group; `hansa group list` shows all"));
            }
            let query = [("force", if *force { "true" } else { "false" })];
            let (tree, _) = read(context).await?;
            if find(&tree, &id).is_none() {
                return Err(missing(&id, &tree, context));
            }
            let path = format!("/v2/groups{id}");
            let started = context.client.call(Method::DELETE, &path, &query, None).await?;
            context.follow(started, vec![id], Goal::Removed, wait).await
        }
    }
}

/// An absolute path; also the root's.
fn absolute(typed: &str) -> String {
    app_path(typed)
}

async fn read(context: &Context) -> Result<(Value, Vec<Service>), Failure> {
    let tree: Value =
        context.client.get("/v2/groups", &[("embed", "group.groups"), ("embed", "group.apps")]).await?;
    let services: Services = context.client.get("/hansa/v1/services", &[]).await?;
    Ok((tree, services.services))
}

fn find<'a>(tree: &'a Value, id: &str) -> Option<&'a Value> {
    if tree["id"] == id {
        return Some(tree);
    }
    tree["groups"].as_array().into_iter().flatten().find_map(|group| find(group, id))
}

fn missing(id: &str, tree: &Value, context: &Context) -> Failure {
    let ids: Vec<String> = below(tree, &[]).into_iter().map(|group| group.id).collect();
    let missing =
        Failure::new(Exit::NotFound, format!("there is no group '{id}'")).at(context.client.address());
    match nearest(id, ids.iter().map(String::as_str).filter(|id| *id != "/")) {
        Some(name) => missing.remedy(format!("did you mean '{name}'?")),
        None => missing.remedy("`hansa group list` shows all groups"),
    }
}

/// A group and all below it, at a glance, by path.
fn below(tree: &Value, services: &[Service]) -> Vec<Glance> {
    let id = tree["id"].as_str().unwrap_or("/").to_owned();
    let inside: Vec<&Service> =
        services.iter().filter(|service| path::is_inside(service.id.as_str(), &id)).collect();
    let texts = |value: &Value| {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    use hansa_api::hansa::Health::{Healthy, Suspended};
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut all = vec![Glance {
        services: number(inside.len()),
        running: inside.iter().map(|service| service.running).sum(),
        instances: inside.iter().map(|service| service.instances).sum(),
        cpus_milli: inside.iter().map(|service| service.cpus_milli * u64::from(service.instances)).sum(),
        mem: inside.iter().map(|service| service.mem * u64::from(service.instances)).sum(),
        not_healthy: number(
            inside.iter().filter(|service| !matches!(service.health, Healthy | Suspended)).count(),
        ),
        dependencies: texts(&tree["dependencies"]),
        enforce_role: tree["enforceRole"].as_bool(),
        id,
    }];
    for group in tree["groups"].as_array().into_iter().flatten() {
        all.extend(below(group, services));
    }
    all
}

fn table(groups: &[Glance]) -> Table {
    let mut table = Table::new(&[
        "ID",
        ">SERVICES",
        ">RUNNING",
        ">NOT HEALTHY",
        ">CPUS",
        ">MEM",
        "?~DEPENDS ON",
        "?ROLE",
    ]);
    for group in groups {
        table.row([
            group.id.clone(),
            group.services.to_string(),
            format!("{}/{}", group.running, group.instances),
            if group.not_healthy == 0 { String::new() } else { group.not_healthy.to_string() },
            text::cpus(group.cpus_milli),
            text::bytes(group.mem),
            group.dependencies.join(", "),
            group
                .enforce_role
                .map(|enforces| if enforces { "its name" } else { "any" }.to_owned())
                .unwrap_or_default(),
        ]);
    }
    table
}

async fn show(id: &str, context: &Context) -> Result<(), Failure> {
    let (tree, services) = read(context).await?;
    let Some(group) = find(&tree, id) else { return Err(missing(id, &tree, context)) };
    let glances = below(group, &services);
    let inside: Vec<Service> =
        services.into_iter().filter(|service| path::is_inside(service.id.as_str(), id)).collect();
    let data = json!({ "group": glances.first(), "groups": &glances[1..], "services": inside });
    context.format.print(&data, |_| {
        let own = &glances[0];
        let mut lines = vec![
            ("group", own.id.clone()),
            ("services", own.services.to_string()),
            ("instances", format!("{} asked for, {} running", own.instances, own.running)),
            ("asks for", format!("{} cpus, {} memory", text::cpus(own.cpus_milli), text::bytes(own.mem))),
        ];
        if !own.dependencies.is_empty() {
            lines.push(("depends on", own.dependencies.join(", ")));
        }
        if own.enforce_role == Some(true) {
            lines.push(("role", "its services have its name as their role".into()));
        }
        let mut text = pairs(&lines, 13);
        if glances.len() > 1 {
            text.push_str(&format!("\n{}", table(&glances[1..]).render(terminal_width())));
        }
        if !inside.is_empty() {
            text.push_str(&format!("\n{}", list::table(&inside).render(terminal_width())));
        }
        text
    })
}

async fn put(args: &PutArgs, context: &Context) -> Result<(), Failure> {
    if let Some(file) = &args.file {
        let definitions = gather(std::slice::from_ref(file))?;
        for doubt in &definitions.doubts {
            note(&format!("warning: {doubt}"));
        }
        let plan = Plan::make(context, &definitions, &[]).await?;
        if context.format.is_for_people() {
            output::write_stdout(&plan.text())?;
        }
        let done = carry_out::carry_out(&plan, args.force, &args.wait, context).await?;
        return context.format.print(&done, |_| String::new());
    }
    let id = absolute(args.group.as_deref().unwrap_or_default());
    let mut body = Map::new();
    body.insert("id".into(), json!(id));
    if !args.depends_on.is_empty() {
        let paths: Vec<String> = args.depends_on.iter().map(|path| app_path(path)).collect();
        body.insert("dependencies".into(), json!(paths));
    }
    if let Some(enforces) = args.enforce_role {
        body.insert("enforceRole".into(), json!(enforces));
    }
    let query = [("force", if args.force { "true" } else { "false" })];
    let path = format!("/v2/groups{id}");
    let answer: Value = context.client.call(Method::PUT, &path, &query, Some(&Value::Object(body))).await?;
    match serde_json::from_value::<Started>(answer) {
        Ok(started) => context.follow(started, vec![id], Goal::Version, &args.wait).await,
        Err(_) => context.format.print(&json!({ "group": id }), |_| format!("{id} is so already\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn groups_count_everything_below_them() {
        let tree = json!({"id": "/", "groups": [
            {"id": "/demo", "dependencies": ["/db"], "enforceRole": true, "groups": [
                {"id": "/demo/empty", "groups": [], "dependencies": []}]}]});
        let services = [samples::service(), Service { id: "/other".into(), ..samples::service() }];
        let all = below(&tree, &services);
        assert_eq!(
            all.iter().map(|one| (one.id.as_str(), one.services)).collect::<Vec<_>>(),
            [("/", 2), ("/demo", 1), ("/demo/empty", 0)]
        );
        assert_eq!(
            table(&all[1..]).render(None),
            "ID           SERVICES  RUNNING  NOT HEALTHY  CPUS  MEM  DEPENDS ON  ROLE\n\
             /demo               1      2/3            1   0.3  96M  /db         its name\n\
             /demo/empty         0      0/0            -     0    0  -           -\n"
        );
        assert!(find(&tree, "/demo/empty").is_some() && find(&tree, "/none").is_none());
    }
}
