//! Where a service's next instance would go, or why it goes nowhere, for people.

use crate::table::{Table, terminal_width, wrap};
use crate::text;
use hansa_api::plans::{Explained, Several};
use hansa_model::resources::PortDemand;

/// What it asks for, where it fits, and what is in the way.
pub fn render(id: &str, explained: &Explained) -> String {
    let explanation = &explained.explanation;
    let demand = &explanation.demand;
    let mut asks = vec![
        format!("{} cpus", text::cpus(demand.cpus_milli)),
        format!("{} memory", text::bytes(demand.mem)),
    ];
    if demand.disk > 0 {
        asks.push(format!("{} disk", text::bytes(demand.disk)));
    }
    if demand.gpus.count > 0 {
        asks.push(format!("{} × {} gpu", demand.gpus.count, text::cpus(demand.gpus.milli.into())));
    }
    let any = demand.ports.iter().filter(|port| **port == PortDemand::Any).count();
    if any > 0 {
        asks.push(text::count(any as u64, "port"));
    }
    for port in &demand.ports {
        if let PortDemand::Exact(port) = port {
            asks.push(format!("port {port}"));
        }
    }
    let mut lines = format!("one more instance of {id} asks for {}\n", asks.join(", "));
    lines.push_str(&match &explanation.choice {
        Some(choice) => {
            let choice = explained.choice_hostname.as_deref().unwrap_or(choice.as_str());
            format!(
                "fits on {} of {}, best on {choice}\n",
                explanation.fitting,
                machines(explanation.machines)
            )
        }
        None => format!("fits on none of {}\n", machines(explanation.machines)),
    });
    if !explanation.groups.is_empty() {
        let mut table = Table::new(&[">MACHINES", "~WHY NOT", "~SUCH AS"]);
        for group in &explanation.groups {
            table.row([group.machines.to_string(), group.words.clone(), group.examples.join(", ")]);
        }
        lines.push('\n');
        lines.push_str(&table.render(terminal_width()));
    }
    if let (Some(nearest), None) = (&explanation.nearest, &explanation.choice) {
        lines.push_str(&format!("\nnearest: {nearest}\n"));
    }
    if let Some(several) = &explained.several {
        lines.push('\n');
        lines.push_str(&more(several));
    }
    lines
}

/// Whether several fit, and where.
fn more(several: &Several) -> String {
    let (asked, fitting) = (several.instances, several.fitting);
    let instances = text::count(asked.into(), "more instance");
    let mut lines = match fitting {
        0 => format!("of {instances}, none fits\n"),
        _ if fitting == asked => format!("{instances} would fit\n"),
        _ => format!("of {instances}, {fitting} would fit\n"),
    };
    if !several.places.is_empty() {
        let mut table = Table::new(&["~NODE", ">INSTANCES"]);
        for place in &several.places {
            table.row([place.hostname.clone(), place.instances.to_string()]);
        }
        lines.push('\n');
        lines.push_str(&table.render(terminal_width()));
    }
    if let Some(obstacle) = &several.obstacle {
        let text = format!("the next one finds no place: {}", obstacle.summary);
        lines.push('\n');
        for line in wrap(&text, terminal_width().unwrap_or(usize::MAX)) {
            lines.push_str(&format!("{line}\n"));
        }
    }
    lines
}

fn machines(number: u32) -> String {
    text::count(number.into(), "machine")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_api::plans::Places;
    use hansa_model::Demand;
    use hansa_model::explain::{Explanation, Obstacle, ObstacleGroup};

    fn explanation() -> Explained {
        let explanation = Explanation {
            demand: Demand {
                cpus_milli: 2000,
                mem: 64 << 20,
                ports: vec![PortDemand::Any, PortDemand::Exact(80)],
                ..Demand::default()
            },
            machines: 3,
            fitting: 0,
            choice: None,
            groups: vec![ObstacleGroup {
                machines: 3,
                examples: vec!["node1".into(), "node2".into()],
                obstacles: vec![Obstacle::Cpus { short: 1500 }],
                words: "1.5 cpus short".into(),
            }],
            nearest: Some("node3 lacks 0.5 cpus".into()),
            summary: "3 machines: 1.5 cpus short".into(),
        };
        Explained { explanation, choice_hostname: None, several: None }
    }

    #[test]
    fn what_stands_in_the_way_is_listed() {
        assert_eq!(
            render("/web", &explanation()),
            "one more instance of /web asks for 2 cpus, 64M memory, 1 port, port 80\n\
             fits on none of 3 machines\n\n\
             MACHINES  WHY NOT         SUCH AS\n       3  1.5 cpus short  node1, node2\n\n\
             nearest: node3 lacks 0.5 cpus\n"
        );
    }

    #[test]
    fn several_are_told_by_machine() {
        let place =
            |node: &str, instances| Places { node: node.into(), hostname: format!("{node}.test"), instances };
        let obstacle = Some(explanation().explanation);
        let places = vec![place("a", 2), place("b", 1)];
        let several = Several { instances: 5, fitting: 3, places, obstacle };
        assert_eq!(
            more(&several),
            "of 5 more instances, 3 would fit\n\nNODE    INSTANCES\na.test          2\nb.test          1\n\n\
             the next one finds no place: 3 machines: 1.5 cpus short\n"
        );
        let all = Several { instances: 3, obstacle: None, places: Vec::new(), ..several.clone() };
        assert_eq!(more(&all), "3 more instances would fit\n");
        let none = Several { instances: 1, fitting: 0, places: Vec::new(), ..several };
        assert!(more(&none).starts_with("of 1 more instance, none fits\n"), "{}", more(&none));
    }

    #[test]
    fn a_place_is_named() {
        let mut fits = explanation();
        fits.explanation.fitting = 1;
        fits.explanation.machines = 1;
        fits.explanation.choice = Some("agent-1".into());
        fits.explanation.groups.clear();
        // A master of before tells no names.
        assert!(render("/web", &fits).contains("fits on 1 of 1 machine, best on agent-1"));
        fits.choice_hostname = Some("node1".into());
        assert!(render("/web", &fits).contains("fits on 1 of 1 machine, best on node1"));
    }
}
