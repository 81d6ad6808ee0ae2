//! `hansa context`: several clusters, one in use.

use crate::client::Client;
use crate::contexts::{Cluster, Contexts, check_name};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};
use crate::table::Table;
use clap::Subcommand;
use serde_json::json;

/// What can be done with contexts.
#[derive(Clone, Debug, Subcommand)]
pub enum ContextCommand {
    /// Adds a cluster, or gives it another address; the first one is in use from then on
    Add {
        /// What to call it
        name: String,
        /// Its master's address, such as http://10.0.0.1:8080
        address: String,
    },
    /// Makes commands talk to this cluster from now on
    Use {
        /// Its name
        name: String,
    },
    /// Lists clusters
    #[command(visible_alias = "ls")]
    List,
    /// Says which cluster commands talk to, and why
    Show,
    /// Forgets a cluster
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
}

/// Does it. `talks_to` is the master that commands talk to, and what names it.
pub fn run(command: &ContextCommand, format: Format, talks_to: (&str, &str)) -> Result<(), Failure> {
    let mut all = Contexts::load()?;
    match command {
        ContextCommand::Add { name, address } => {
            check_name(name)?;
            let master = Client::new(address)?.address().to_owned();
            let new = all.contexts.insert(name.clone(), Cluster { master: master.clone() }).is_none();
            let current = all.current.get_or_insert_with(|| name.clone()) == name;
            all.save()?;
            format.print(&json!({ "name": name, "master": master, "current": current }), |_| {
                let done = if new { "added" } else { "changed" };
                let next = match current {
                    true => "it is in use".to_owned(),
                    false => format!("`hansa context use {name}` makes commands talk to it"),
                };
                format!("context {name} {done}: {master}; {next}\n")
            })
        }
        ContextCommand::Use { name } => {
            let master = all.get(name)?.master.clone();
            all.current = Some(name.clone());
            all.save()?;
            format.print(&json!({ "name": name, "master": master }), |_| {
                format!("commands talk to {name} at {master}\n")
            })
        }
        ContextCommand::List => {
            let rows: Vec<_> = all
                .contexts
                .iter()
                .map(|(name, cluster)| {
                    json!({ "name": name, "master": cluster.master, "current": all.current.as_ref() == Some(name) })
                })
                .collect();
            format.print(&json!({ "contexts": rows }), |_| {
                let mut table = Table::new(&["NAME", "IN USE", "~MASTER"]);
                for (name, cluster) in &all.contexts {
                    let current = if all.current.as_ref() == Some(name) { "yes" } else { "" };
                    table.row([name.clone(), current.into(), cluster.master.clone()]);
                }
                let nothing = "no contexts; `hansa context add NAME http://HOST:PORT` makes one";
                output::table(all.contexts.len(), nothing, &table)
            })
        }
        ContextCommand::Show => {
            let (master, because) = talks_to;
            format.print(&json!({ "master": master, "named_by": because }), |_| {
                format!("commands talk to {master}, named by {because}\n")
            })
        }
        ContextCommand::Remove { name } => {
            all.get(name)?;
            all.contexts.remove(name);
            let used = all.current.as_ref() == Some(name);
            if used {
                all.current = None;
            }
            all.save()?;
            format.print(&json!({ "removed": name }), |_| match used {
                true => {
                    format!("context {name} removed; no other is in use now (`hansa context use NAME`)\n")
                }
                false => format!("context {name} removed\n"),
            })
        }
    }
}

/// The address of the context that is named, or in use; None: neither.
pub fn address(named: Option<&str>) -> Result<Option<(String, String)>, Failure> {
    let all = match Contexts::load() {
        Ok(all) => all,
        // A broken file is in nobody's way who names the master otherwise.
        Err(failure) => return Err(failure.remedy("repair or remove the file, or name the --master")),
    };
    let Some(name) = named.or(all.current.as_deref()) else { return Ok(None) };
    let cluster = all.get(name).map_err(|failure| Failure { exit: Exit::Usage, ..failure })?;
    Ok(Some((cluster.master.clone(), format!("the context {name}"))))
}
