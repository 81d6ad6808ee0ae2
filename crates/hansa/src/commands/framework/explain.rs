//! `hansa framework explain`: why a framework is offered what it is offered.

use super::list::share;
use super::show::{amounts, until};
use super::{OneArgs, of_one};
use crate::commands::role::bound;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{Table, terminal_width};
use crate::text;
use hansa_api::framework::{FrameworkExplanation, RoleExplanation};
use hansa_model::Timestamp;

/// Does it.
pub async fn run(args: &OneArgs, context: &Context) -> Result<(), Failure> {
    let explanation: FrameworkExplanation = of_one(&args.framework, "/explain", context).await?;
    context.format.print(&explanation, |explanation| render(explanation, text::now()))
}

fn render(explanation: &FrameworkExplanation, now: Timestamp) -> String {
    let mut lines = format!("{} ({}): {}\n", explanation.name, explanation.id, explanation.summary);
    if let Some(remedy) = &explanation.remedy {
        lines.push_str(&format!("remedy: {remedy}\n"));
    }
    for role in &explanation.roles {
        lines.push('\n');
        lines.push_str(&render_role(role, now));
    }
    lines
}

fn render_role(role: &RoleExplanation, now: Timestamp) -> String {
    let standing = &role.standing;
    let suppressed = if standing.suppressed { ", suppressed by the framework" } else { "" };
    let mut text = format!("role {}{suppressed}\n", standing.role);
    text.push_str(&format!(
        "  the framework has {} ({}), and holds offers of {}\n",
        amounts(&standing.allocated),
        share(standing.share_ppm),
        amounts(&standing.offered)
    ));
    text.push_str(&format!(
        "  the role has {} ({}); weight {}, guarantee {}, limit {}\n",
        amounts(&standing.role_used),
        share(standing.role_share_ppm),
        text::cpus(standing.weight_milli),
        bound(&standing.guarantee, "none"),
        bound(&standing.limit, "none")
    ));
    match &role.last {
        Some(last) if last.offers > 0 => text.push_str(&format!(
            "  {} ago: {} of {}: {}\n",
            text::age(now, last.at),
            text::count(last.offers.into(), "offer"),
            amounts(&last.offered),
            last.why
        )),
        Some(last) => text.push_str(&format!("  {} ago: no offer: {}\n", text::age(now, last.at), last.why)),
        None => text.push_str("  the allocator has not looked at it yet\n"),
    }
    if !role.obstacles.is_empty() {
        let mut table = Table::new(&[">MACHINES", "~WHY NO OFFER NOW", "ENDS", "~SUCH AS"]);
        for obstacle in &role.obstacles {
            table.row([
                obstacle.machines.to_string(),
                obstacle.words.clone(),
                obstacle.until.map(|at| until(now, at)).unwrap_or_default(),
                obstacle.examples.join(", "),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(terminal_width()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_api::framework::{Decision, OfferObstacle};
    use hansa_model::role::Totals;

    #[test]
    fn every_role_is_explained() {
        let mut standings = samples::framework_detail().in_roles.into_iter();
        let explanation = FrameworkExplanation {
            id: "0aaa-0000".into(),
            name: "spark".into(),
            summary: "gets offers in batch; web is suppressed".into(),
            remedy: Some("REVIVE web".into()),
            roles: vec![
                RoleExplanation {
                    standing: standings.next().unwrap(),
                    last: Some(Decision {
                        at: Timestamp(61_000),
                        offers: 1,
                        offered: Totals { cpus_milli: 1000, ..Totals::default() },
                        why: "its role has the smallest share".into(),
                    }),
                    obstacles: vec![OfferObstacle {
                        reason: "filtered".into(),
                        words: "declined".into(),
                        machines: 1,
                        examples: vec!["node2".into()],
                        until: Some(Timestamp(65_000)),
                    }],
                },
                RoleExplanation { standing: standings.next().unwrap(), last: None, obstacles: vec![] },
            ],
        };
        assert_eq!(
            render(&explanation, Timestamp(62_000)),
            "spark (0aaa-0000): gets offers in batch; web is suppressed\n\
             remedy: REVIVE web\n\n\
             role batch\n\
             \x20 the framework has 1.5 cpus, 64M mem (12.5%), and holds offers of 1 cpus, 32M mem\n\
             \x20 the role has 2 cpus (16.6%); weight 2, guarantee 4 cpus, limit none\n\
             \x20 1s ago: 1 offer of 1 cpus: its role has the smallest share\n\n\
             MACHINES  WHY NO OFFER NOW  ENDS   SUCH AS\n\
             \x20      1  declined          in 3s  node2\n\n\
             role web, suppressed by the framework\n\
             \x20 the framework has nothing (0.0%), and holds offers of nothing\n\
             \x20 the role has nothing (0.0%); weight 1, guarantee none, limit none\n\
             \x20 the allocator has not looked at it yet\n"
        );
    }
}
