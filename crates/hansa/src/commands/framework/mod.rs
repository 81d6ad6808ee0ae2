//! `hansa framework`: schedulers from outside that share the machines, such as those written for Mesos.

pub mod explain;
pub mod list;
pub mod show;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::suggest::nearest;
use clap::{Args, Subcommand};
use hansa_api::framework::Frameworks;
use serde::de::DeserializeOwned;

/// What can be done with frameworks.
#[derive(Clone, Debug, Subcommand)]
pub enum FrameworkCommand {
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Shows a framework: what it has, is offered and has declined
    Show(OneArgs),
    /// Says why a framework is offered what it is offered, or nothing
    Explain(OneArgs),
}

/// Which framework.
#[derive(Clone, Debug, Args)]
pub struct OneArgs {
    /// Its id, or its name if only one has it
    pub framework: String,
}

/// Does it.
pub async fn run(command: &FrameworkCommand, context: &Context) -> Result<(), Failure> {
    match command {
        FrameworkCommand::List(args) => list::run(args, context).await,
        FrameworkCommand::Show(args) => show::run(args, context).await,
        FrameworkCommand::Explain(args) => explain::run(args, context).await,
    }
}

/// Asks for something of the framework that was named. Names may have any character, so they are looked up by id.
async fn of_one<T: DeserializeOwned>(typed: &str, what: &str, context: &Context) -> Result<T, Failure> {
    let all: Frameworks = context.client.get("/hansa/v1/frameworks", &[("all", "true")]).await?;
    let id = choose(typed, &all).map_err(|failure| failure.at(context.client.address()))?;
    context.client.get(&format!("/hansa/v1/frameworks/{id}{what}"), &[]).await
}

/// The id of the framework that is meant: by its id, else by its name, else by a piece of its id.
fn choose<'a>(typed: &str, all: &'a Frameworks) -> Result<&'a str, Failure> {
    use hansa_api::framework::FrameworkState::Completed;
    let all = &all.frameworks;
    if let Some(exact) = all.iter().find(|framework| framework.id == typed) {
        return Ok(&exact.id);
    }
    let mut found: Vec<_> = all.iter().filter(|one| one.name == typed && one.state != Completed).collect();
    if found.is_empty() {
        found = all.iter().filter(|one| one.name == typed).collect();
    }
    if found.is_empty() && typed.len() >= 4 {
        found = all.iter().filter(|one| one.id.contains(typed)).collect();
    }
    match found[..] {
        [only] => Ok(&only.id),
        [] => {
            let missing = Failure::new(Exit::NotFound, format!("there is no framework '{typed}'"));
            let names = all.iter().flat_map(|one| [one.name.as_str(), one.id.as_str()]);
            Err(match nearest(typed, names) {
                Some(name) => missing.remedy(format!("did you mean '{name}'?")),
                None => missing.remedy("`hansa framework list --all` shows all frameworks"),
            })
        }
        _ => {
            let ids: Vec<&str> = found.iter().take(3).map(|one| one.id.as_str()).collect();
            Err(Failure::new(Exit::Usage, format!("'{typed}' could be any of {} frameworks", found.len()))
                .remedy(format!("name it by its id: {}", ids.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_api::framework::{FrameworkState, FrameworkSummary};

    #[test]
    fn names_and_pieces_of_ids_are_enough() {
        let one = |id: &str, name: &str, state| FrameworkSummary {
            id: id.into(),
            name: name.into(),
            state,
            ..samples::framework()
        };
        let frameworks = Frameworks {
            frameworks: vec![
                one("0aaa-0000", "spark", FrameworkState::Completed),
                one("0aaa-0001", "spark", FrameworkState::Connected),
                one("0aaa-0002", "toil", FrameworkState::Connected),
                one("0aaa-0003", "toil", FrameworkState::Disconnected),
            ],
            next: None,
        };
        assert_eq!(choose("0aaa-0000", &frameworks).unwrap(), "0aaa-0000");
        assert_eq!(choose("spark", &frameworks).unwrap(), "0aaa-0001", "not the one that is gone");
        assert_eq!(choose("0003", &frameworks).unwrap(), "0aaa-0003");
        assert_eq!(choose("toil", &frameworks).unwrap_err().exit, Exit::Usage);
        let missing = choose("sprak", &frameworks).unwrap_err();
        assert_eq!(
            (missing.exit, missing.remedy.as_deref()),
            (Exit::NotFound, Some("did you mean 'spark'?"))
        );
    }
}
