//! `hansa role`: how teams share the pool.

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::table::Table;
use crate::text;
use clap::{Args, Subcommand};
use hansa_api::hansa::{Done, RoleStatus, Roles};
use hansa_model::Resources;
use hansa_model::role::{Bound, Role, Totals};
use reqwest::Method;

/// What can be done with roles.
#[derive(Clone, Debug, Subcommand)]
pub enum RoleCommand {
    /// Lists roles
    #[command(visible_alias = "ls")]
    List,
    Set(SetArgs),
    /// Takes a role's settings away: weight 1, no guarantee, no limit
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
}

/// Changes a role's weight, guarantee or limit, leaving the rest
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    /// Its name
    pub name: String,
    /// Its share relative to other roles, such as 2 or 0.5
    #[arg(long)]
    pub weight: Option<f64>,
    /// What it can always obtain, as in 'cpus:4;mem:8192' (mem and disk in MiB); 'none' takes it away
    #[arg(long, value_parser = parse_bound)]
    pub guarantee: Option<Bound>,
    /// What it never exceeds, likewise
    #[arg(long, value_parser = parse_bound)]
    pub limit: Option<Bound>,
}

/// Does it.
pub async fn run(command: &RoleCommand, context: &Context) -> Result<(), Failure> {
    let roles: Roles = context.client.get("/hansa/v1/roles", &[]).await?;
    match command {
        RoleCommand::List => context
            .format
            .print(&roles, |roles| output::table(roles.roles.len(), "no roles", &table(&roles.roles))),
        RoleCommand::Remove { name } => {
            let done: Done =
                context.client.call(Method::DELETE, &format!("/hansa/v1/roles/{name}"), &[], None).await?;
            context.format.print(&done, |_| format!("role {name}: weight 1, guarantee none, limit none\n"))
        }
        RoleCommand::Set(args) => {
            let current = roles.roles.into_iter().find(|status| status.role.name.as_str() == args.name);
            let role = changed(current.map(|status| status.role), args)?;
            let body = serde_json::to_value(&role).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot write the role as JSON: {error}"))
            })?;
            let path = format!("/hansa/v1/roles/{}", args.name);
            let done: Done = context.client.call(Method::PUT, &path, &[], Some(&body)).await?;
            context.format.print(&done, |_| {
                format!(
                    "role {}: weight {}, guarantee {}, limit {}\n",
                    role.name,
                    text::cpus(role.weight_milli),
                    bound(&role.guarantee, "none"),
                    bound(&role.limit, "none")
                )
            })
        }
    }
}

fn changed(current: Option<Role>, args: &SetArgs) -> Result<Role, Failure> {
    let mut role = current.unwrap_or_else(|| Role {
        name: args.name.as_str().into(),
        weight_milli: 1000,
        guarantee: Bound::default(),
        limit: Bound::default(),
    });
    if let Some(weight) = args.weight {
        if !(0.001..=1_000_000.0).contains(&weight) {
            return Err(Failure::new(
                Exit::Usage,
                format!("a weight is between 0.001 and 1000000, not {weight}"),
            ));
        }
        role.weight_milli = (weight * 1000.0).round() as u64;
    }
    role.guarantee = args.guarantee.clone().unwrap_or(role.guarantee);
    role.limit = args.limit.clone().unwrap_or(role.limit);
    Ok(role)
}

/// Reads Mesos' notation; a kind that is not named is not bounded.
fn parse_bound(typed: &str) -> Result<Bound, String> {
    if typed == "none" {
        return Ok(Bound::default());
    }
    let amounts: Resources = typed.parse().map_err(|error| format!("{error}"))?;
    let totals = Totals::of(&amounts);
    let named = |kind: &str| typed.split(';').any(|part| part.trim().starts_with(&format!("{kind}:")));
    if named("ports") {
        return Err("ports cannot be guaranteed or limited".into());
    }
    let kind = |name: &str, amount: u64| named(name).then_some(amount);
    Ok(Bound {
        cpus_milli: kind("cpus", totals.cpus_milli),
        mem: kind("mem", totals.mem),
        disk: kind("disk", totals.disk),
        gpus_milli: kind("gpus", totals.gpus_milli),
    })
}

/// A bound in words, or `nothing`.
pub fn bound(bound: &Bound, nothing: &str) -> String {
    let parts: Vec<String> = [
        bound.cpus_milli.map(|amount| format!("{} cpus", text::cpus(amount))),
        bound.mem.map(|amount| format!("{} mem", text::bytes(amount))),
        bound.disk.map(|amount| format!("{} disk", text::bytes(amount))),
        bound.gpus_milli.map(|amount| format!("{} gpus", text::cpus(amount))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { nothing.to_owned() } else { parts.join(", ") }
}

fn table(roles: &[RoleStatus]) -> Table {
    let columns = ["ROLE", ">WEIGHT", "~GUARANTEE", "~LIMIT", "~RESERVED", ">CPUS", ">MEM", ">GPUS"];
    let mut table = Table::new(&columns);
    for RoleStatus { role, allocated, offered: _, reserved } in roles {
        table.row([
            role.name.to_string(),
            text::cpus(role.weight_milli),
            bound(&role.guarantee, ""),
            bound(&role.limit, ""),
            bound(&some_of(reserved), ""),
            text::cpus(allocated.cpus_milli),
            text::bytes(allocated.mem),
            text::cpus(allocated.gpus_milli),
        ]);
    }
    table
}

/// The kinds that there is something of.
fn some_of(totals: &Totals) -> Bound {
    let some = |amount: u64| (amount > 0).then_some(amount);
    Bound {
        cpus_milli: some(totals.cpus_milli),
        mem: some(totals.mem),
        disk: some(totals.disk),
        gpus_milli: some(totals.gpus_milli),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(weight: Option<f64>, limit: Option<&str>) -> SetArgs {
        SetArgs {
            name: "web".into(),
            weight,
            guarantee: None,
            limit: limit.map(|text| parse_bound(text).unwrap()),
        }
    }

    #[test]
    fn what_is_not_said_stays() {
        let first = changed(None, &set(Some(2.5), Some("cpus:4"))).unwrap();
        assert_eq!((first.weight_milli, first.limit.cpus_milli, first.limit.mem), (2500, Some(4000), None));
        let second = changed(Some(first), &set(None, None)).unwrap();
        assert_eq!((second.weight_milli, second.limit.cpus_milli), (2500, Some(4000)));
        assert_eq!(changed(Some(second), &set(None, Some("none"))).unwrap().limit, Bound::default());
        assert!(
            changed(None, &set(Some(0.0), None)).is_err()
                && changed(None, &set(Some(f64::NAN), None)).is_err()
        );
    }

    #[test]
    fn zero_is_a_bound_and_silence_is_none() {
        assert_eq!(
            parse_bound("cpus:0;mem:1").unwrap(),
            Bound { cpus_milli: Some(0), mem: Some(1 << 20), disk: None, gpus_milli: None }
        );
        assert!(parse_bound("ports:[1-2]").is_err() && parse_bound("cpu:1").is_err());
    }

    #[test]
    fn roles_are_listed() {
        let role = changed(None, &set(Some(2.0), Some("cpus:4;mem:1024"))).unwrap();
        let allocated = Totals { cpus_milli: 1500, mem: 64 << 20, ..Totals::default() };
        let reserved = Totals { disk: 1 << 30, ..Totals::default() };
        assert_eq!(
            table(&[RoleStatus { role, allocated, offered: Totals::default(), reserved }]).render(None),
            "ROLE  WEIGHT  GUARANTEE  LIMIT           RESERVED  CPUS  MEM  GPUS\n\
             web        2  -          4 cpus, 1G mem  1G disk    1.5  64M     0\n"
        );
    }
}
