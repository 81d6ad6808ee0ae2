//! `hansa framework explain`: why a framework is offered what it is offered.

use super::list::share;
use super::show::amounts;
use super::{OneArgs, of_one};
use crate::commands::role::bound;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{Table, terminal_width, wrap};
use crate::text;
use hansa_api::framework::{FrameworkExplanation, RoleExplanation};
use hansa_model::Timestamp;

/// Does it.
pub async fn run(args: &OneArgs, context: &Context) -> Result<(), Failure> {
    let explanation: FrameworkExplanation = of_one(&args.framework, "/explain", context).await?;
    context.format.print(&explanation, |explanation| render(explanation, text::now()))
}

fn render(explanation: &FrameworkExplanation, now: Timestamp) -> String {
    let mut text = String::new();
    say(&mut text, "", &format!("{} ({}): {}", explanation.name, explanation.id, explanation.summary));
    for role in &explanation.roles {
        text.push('\n');
        text.push_str(&render_role(role, now));
    }
    text
}

/// A sentence, in lines that fit the terminal, each as far in as the first.
fn say(text: &mut String, indent: &str, sentence: &str) {
    let room = terminal_width().unwrap_or(usize::MAX).saturating_sub(indent.len()).max(20);
    for line in wrap(sentence, room) {
        text.push_str(&format!("{indent}{line}\n"));
    }
}

fn render_role(role: &RoleExplanation, now: Timestamp) -> String {
    let standing = &role.standing;
    let suppressed = if standing.suppressed { ", suppressed by the framework" } else { "" };
    let mut text = String::new();
    say(&mut text, "", &format!("role {}{suppressed}", standing.role));
    let mut inside = |sentence: String| say(&mut text, "  ", &sentence);
    inside(format!(
        "the framework has {} and is offered {} (together {})",
        amounts(&standing.allocated),
        amounts(&standing.offered),
        share(standing.share_ppm)
    ));
    inside(format!(
        "the role has and is offered {} ({}); weight {}, guarantee {}, limit {}",
        amounts(&standing.role_used),
        share(standing.role_share_ppm),
        text::cpus(standing.weight_milli),
        bound(&standing.guarantee, "none"),
        bound(&standing.limit, "none")
    ));
    inside(role.words.clone());
    if let Some(last) = &role.last_offer {
        inside(format!("the last offer was made {} ago, of {}", text::age(now, last.at), last.hostname));
    }
    if !role.obstacles.is_empty() {
        let mut table = Table::new(&[">MACHINES", "~WHY NO OFFER NOW", "~SUCH AS"]);
        for obstacle in &role.obstacles {
            table.row([obstacle.machines.to_string(), obstacle.words.clone(), obstacle.examples.join(", ")]);
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
    use hansa_api::framework::{LastOffer, OfferObstacle};

    #[test]
    fn every_role_is_explained() {
        let mut standings = samples::framework_detail().in_roles.into_iter();
        let explanation = FrameworkExplanation {
            id: "0aaa-0000".into(),
            name: "spark".into(),
            summary: "gets offers in batch; web is suppressed".into(),
            roles: vec![
                RoleExplanation {
                    standing: standings.next().unwrap(),
                    words: "offers go out".into(),
                    last_offer: Some(LastOffer {
                        at: Timestamp(61_000),
                        node: "agent-1".into(),
                        hostname: "node1".into(),
                    }),
                    obstacles: vec![OfferObstacle {
                        words: "declined".into(),
                        machines: 1,
                        examples: vec!["node2".into()],
                    }],
                },
                RoleExplanation {
                    standing: standings.next().unwrap(),
                    words: "it wants no offers".into(),
                    last_offer: None,
                    obstacles: vec![],
                },
            ],
        };
        assert_eq!(
            render(&explanation, Timestamp(62_000)),
            "spark (0aaa-0000): gets offers in batch; web is suppressed\n\n\
             role batch\n\
             \x20 the framework has 1.5 cpus, 64M mem and is offered 1 cpus, 32M mem (together 12.5%)\n\
             \x20 the role has and is offered 2 cpus (16.6%); weight 2, guarantee 4 cpus, limit none\n\
             \x20 offers go out\n\
             \x20 the last offer was made 1s ago, of node1\n\n\
             MACHINES  WHY NO OFFER NOW  SUCH AS\n\
             \x20      1  declined          node2\n\n\
             role web, suppressed by the framework\n\
             \x20 the framework has nothing and is offered nothing (together 0.0%)\n\
             \x20 the role has and is offered nothing (0.0%); weight 1, guarantee none, limit none\n\
             \x20 it wants no offers\n"
        );
    }
}
