//! `hansa framework list`: who shares the machines.

use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::table::Table;
use crate::text;
use clap::Args;
use hansa_api::framework::{FrameworkState, FrameworkSummary, Frameworks};
use hansa_model::Timestamp;

/// Lists frameworks
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Also those that are gone
    #[arg(short, long)]
    pub all: bool,
}

/// Does it.
pub async fn run(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let query: &[(&str, &str)] = if args.all { &[("all", "true")] } else { &[] };
    let frameworks: Frameworks = context.client.get("/hansa/v1/frameworks", query).await?;
    context.format.print(&frameworks, |all| {
        let table = table(&all.frameworks, text::now());
        output::table(all.frameworks.len(), "no framework has subscribed", &table)
    })
}

/// How a framework is, in a few words.
pub fn state(framework: &FrameworkSummary, now: Timestamp) -> String {
    let since = text::age(now, framework.since);
    match framework.state {
        FrameworkState::Connected => "connected".into(),
        FrameworkState::Disconnected => format!("away for {since}"),
        FrameworkState::Recovered => "not back yet".into(),
        FrameworkState::Completed => format!("gone for {since}"),
    }
}

/// Millionths as percents with one decimal.
pub fn share(ppm: u64) -> String {
    format!("{}.{}%", ppm / 10_000, ppm % 10_000 / 1_000)
}

fn table(frameworks: &[FrameworkSummary], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        "~NAME",
        "<ID",
        "STATE",
        ">TASKS",
        ">OFFERS",
        ">SHARE",
        ">CPUS",
        ">MEM",
        "~ROLES",
        "?~PRINCIPAL",
    ]);
    for framework in frameworks {
        let roles: Vec<String> = framework
            .roles
            .iter()
            .map(|role| match framework.suppressed.contains(role) {
                true => format!("{role} (suppressed)"),
                false => role.to_string(),
            })
            .collect();
        table.row([
            framework.name.clone(),
            framework.id.clone(),
            state(framework, now),
            framework.tasks.to_string(),
            framework.offers.to_string(),
            share(framework.share_ppm),
            text::cpus(framework.allocated.cpus_milli),
            text::bytes(framework.allocated.mem),
            roles.join(", "),
            framework.principal.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn frameworks_are_listed() {
        let away = FrameworkSummary {
            id: "0aaa-0001".into(),
            name: "toil".into(),
            state: FrameworkState::Disconnected,
            suppressed: vec![],
            principal: None,
            ..samples::framework()
        };
        assert_eq!(
            table(&[samples::framework(), away], Timestamp(62_000)).render(None),
            "NAME   ID         STATE        TASKS  OFFERS  SHARE  CPUS  MEM  ROLES                    PRINCIPAL\n\
             spark  0aaa-0000  connected        3       1  12.5%   1.5  64M  batch, web (suppressed)  ops\n\
             toil   0aaa-0001  away for 1m      3       1  12.5%   1.5  64M  batch, web               -\n"
        );
    }

    #[test]
    fn shares_have_one_decimal() {
        assert_eq!(
            (share(0), share(1_000_000), share(1_999)),
            ("0.0%".into(), "100.0%".into(), "0.1%".into())
        );
    }
}
