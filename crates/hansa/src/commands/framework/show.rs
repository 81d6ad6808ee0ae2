//! `hansa framework show`: one framework and everything that is in force for it.

use super::list::{share, state};
use super::{OneArgs, of_one};
use crate::commands::role::bound;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{Table, terminal_width};
use crate::text;
use hansa_api::framework::{FrameworkDetail, FrameworkFilter, FrameworkOffer, FrameworkRole};
use hansa_model::Timestamp;
use hansa_model::role::Totals;

/// Does it.
pub async fn run(args: &OneArgs, context: &Context) -> Result<(), Failure> {
    let detail: FrameworkDetail = of_one(&args.framework, "", context).await?;
    context.format.print(&detail, |detail| render(detail, text::now()))
}

/// Amounts that are not nothing: `1.5 cpus, 64M mem`.
pub fn amounts(totals: &Totals) -> String {
    let parts: Vec<String> = [
        (totals.cpus_milli, format!("{} cpus", text::cpus(totals.cpus_milli))),
        (totals.mem, format!("{} mem", text::bytes(totals.mem))),
        (totals.disk, format!("{} disk", text::bytes(totals.disk))),
        (totals.gpus_milli, format!("{} gpus", text::cpus(totals.gpus_milli))),
    ]
    .into_iter()
    .filter(|(amount, _)| *amount > 0)
    .map(|(_, words)| words)
    .collect();
    if parts.is_empty() { "nothing".into() } else { parts.join(", ") }
}

/// How long until then: `in 5s`, or `now`.
pub fn until(now: Timestamp, then: Timestamp) -> String {
    match then.since(now) {
        0 => "now".into(),
        ms => format!("in {}", text::span(ms.max(1_000))),
    }
}

fn render(detail: &FrameworkDetail, now: Timestamp) -> String {
    let summary = &detail.summary;
    let mut state = state(summary, now);
    if let Some(at) = summary.given_up_at {
        state.push_str(&format!(", given up with its tasks {}", until(now, at)));
    }
    let dominant = summary.dominant.as_ref().map_or(String::new(), |kind| format!(", by its {kind}"));
    let mut lines = vec![
        ("framework", summary.name.clone()),
        ("id", summary.id.clone()),
        ("state", state),
        ("principal", summary.principal.as_ref().map_or_else(|| "none".into(), ToString::to_string)),
        ("user", summary.user.clone()),
        ("tasks", tasks(detail)),
        ("has", amounts(&summary.allocated)),
        ("share", format!("{} of the cluster{dominant}", share(summary.share_ppm))),
        ("may be away", text::span(detail.failover_timeout_ms)),
        ("subscribed", format!("{} ago", text::age(now, detail.registered_at))),
    ];
    if let Some(at) = detail.reregistered_at {
        lines.push(("subscribed again", format!("{} ago", text::age(now, at))));
    }
    if !detail.hostname.is_empty() {
        lines.push(("host", detail.hostname.clone()));
    }
    if let Some(url) = &detail.webui_url {
        lines.push(("web page", url.clone()));
    }
    if !detail.capabilities.is_empty() {
        lines.push(("understands", detail.capabilities.join(", ")));
    }
    let mut text: String = lines
        .iter()
        .filter(|line| !line.1.is_empty())
        .map(|(name, value)| format!("{name:<18}{value}\n"))
        .collect();
    for part in [roles(&detail.in_roles), offers(&detail.outstanding, now), filters(&detail.filters, now)]
        .into_iter()
        .flatten()
    {
        text.push('\n');
        text.push_str(&part.render(terminal_width()));
    }
    text
}

fn tasks(detail: &FrameworkDetail) -> String {
    let mut parts = vec![text::count(detail.summary.tasks.into(), "live task")];
    for (number, noun) in [(detail.executors, "executor"), (detail.unreachable_tasks, "task")] {
        if number > 0 {
            let out_of_reach = if noun == "task" { " out of reach" } else { "" };
            parts.push(format!("{}{out_of_reach}", text::count(number.into(), noun)));
        }
    }
    if detail.completed_tasks > 0 {
        parts.push(format!("{} ended", detail.completed_tasks));
    }
    parts.join(", ")
}

fn roles(roles: &[FrameworkRole]) -> Option<Table> {
    let mut table = Table::new(&[
        "ROLE",
        "OFFERS",
        ">SHARE",
        "~HAS",
        "?~OFFERED",
        ">WEIGHT",
        "?~ROLE HAS",
        ">ROLE SHARE",
        "~GUARANTEE",
        "~LIMIT",
    ]);
    for role in roles {
        table.row([
            role.role.to_string(),
            if role.suppressed { "suppressed" } else { "wanted" }.into(),
            share(role.share_ppm),
            amounts(&role.allocated),
            amounts(&role.offered),
            text::cpus(role.weight_milli),
            amounts(&role.role_used),
            share(role.role_share_ppm),
            bound(&role.guarantee, ""),
            bound(&role.limit, ""),
        ]);
    }
    (!roles.is_empty()).then_some(table)
}

fn offers(offers: &[FrameworkOffer], now: Timestamp) -> Option<Table> {
    let mut table = Table::new(&["<OFFER", "ROLE", "~NODE", "~RESOURCES", "TAKEN BACK"]);
    for offer in offers {
        table.row([
            offer.id.clone(),
            offer.role.to_string(),
            offer.hostname.clone(),
            offer.resources.clone(),
            offer.expires_at.map(|at| until(now, at)).unwrap_or_default(),
        ]);
    }
    (!offers.is_empty()).then_some(table)
}

fn filters(filters: &[FrameworkFilter], now: Timestamp) -> Option<Table> {
    let mut table = Table::new(&["~DECLINED ON", "ROLE", "~RESOURCES", "OFFERED AGAIN"]);
    for filter in filters {
        table.row([
            filter.hostname.clone(),
            filter.role.to_string(),
            filter.refused.clone(),
            until(now, filter.until),
        ]);
    }
    (!filters.is_empty()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_framework_is_shown_with_what_is_in_force() {
        let text = render(&samples::framework_detail(), Timestamp(62_000));
        for part in [
            "state             connected\n",
            "principal         ops\n",
            "tasks             3 live tasks, 1 executor, 2 tasks out of reach, 9 ended\n",
            "share             12.5% of the cluster, by its cpus\n",
            "may be away       1m 40s\n",
            "understands       PARTITION_AWARE, TASK_KILLING_STATE\n",
            "batch  wanted",
            "web    suppressed",
            "2-O1   batch  node1  cpus:1;mem:32  in 58s",
            "node2        batch  cpus:2;mem:64  in 3s\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn one_that_is_away_says_until_when() {
        let mut detail = samples::framework_detail();
        detail.summary.state = hansa_api::framework::FrameworkState::Disconnected;
        detail.summary.given_up_at = Some(Timestamp(72_000));
        let text = render(&detail, Timestamp(62_000));
        assert!(text.contains("state             away for 1m, given up with its tasks in 10s\n"), "{text}");
    }
}
