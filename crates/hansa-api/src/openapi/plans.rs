//! What [`crate::plans`] looks like on the wire.

use super::schema::{Fields, count, list_of, object, one_of, or_null, text};
use super::{Operation, get, reference};
use crate::plans::{Fate, MOST_INSTANCES};
use serde_json::{Value, json};

pub(super) fn operations() -> Vec<Operation> {
    let several = json!({"type": "integer", "minimum": 1, "maximum": MOST_INSTANCES});
    vec![
        get("/hansa/v1/explain/{path}", "Where one more instance of a service would go, or why nowhere.")
            .query("instances", several, "Also where so many more would go, in `several`.")
            .gives(200, "Explained"),
        get(
            "/hansa/v1/nodes/{node}/drain-preview",
            "What would become of a machine's tasks if it were drained now. Nothing is changed.",
        )
        .gives(200, "DrainPreview"),
    ]
}

/// The fields of an explanation.
fn explanation() -> [(&'static str, Value); 7] {
    [
        ("demand", reference("Demand")),
        ("machines", count()),
        ("fitting", count()),
        ("choice", or_null(text())),
        ("groups", list_of("ObstacleGroup")),
        ("nearest", or_null(text())),
        ("summary", text()),
    ]
}

pub(super) fn schemas() -> Fields {
    let [demand, machines, fitting, choice, groups, nearest, summary] = explanation();
    let (hostname, several) =
        (("choice_hostname", or_null(text())), ("several", or_null(reference("Several"))));
    let explained = object(
        "Where one more instance would go, or why nowhere.",
        [demand, machines, fitting, choice, hostname, groups, nearest, summary, several],
    );
    let fates: Vec<&str> = Fate::ALL.into_iter().map(Fate::name).collect();
    let mut all = vec![
        ("Explained", explained),
        ("Explanation", object("A placement pass, explained.", explanation())),
        (
            "Several",
            object(
                "Where several more instances would go.",
                [
                    ("instances", count()),
                    ("fitting", count()),
                    ("places", list_of("Places")),
                    ("obstacle", or_null(reference("Explanation"))),
                ],
            ),
        ),
        (
            "Places",
            object(
                "Instances on one machine.",
                [("node", text()), ("hostname", text()), ("instances", count())],
            ),
        ),
        (
            "DrainPreview",
            object(
                "What would become of a machine's tasks if it were drained now.",
                [
                    ("node", text()),
                    ("hostname", text()),
                    ("state", super::hansa::agent_state()),
                    ("summary", text()),
                    ("moving", count()),
                    ("waiting", count()),
                    ("killed", count()),
                    ("ending", count()),
                    ("staying", count()),
                    ("tasks", list_of("DrainedTask")),
                    ("left_out", count()),
                ],
            ),
        ),
        (
            "DrainedTask",
            object(
                "A task of a machine that would be drained.",
                [
                    ("task", text()),
                    ("service", or_null(text())),
                    ("framework", or_null(text())),
                    ("framework_name", or_null(text())),
                    ("fate", one_of(&fates)),
                    ("node", or_null(text())),
                    ("hostname", or_null(text())),
                    ("why", or_null(text())),
                ],
            ),
        ),
    ];
    all.drain(..).map(|(name, schema)| (name.to_owned(), schema)).collect()
}

#[cfg(test)]
mod tests {
    use crate::openapi::check::check;
    use crate::plans::{DrainPreview, DrainedTask, Explained, Fate, Places, Several};
    use hansa_model::Demand;
    use hansa_model::event::AgentState;
    use hansa_model::explain::{Explanation, Obstacle, ObstacleGroup};
    use hansa_model::resources::{GpuDemand, PortDemand};

    #[test]
    fn explanations_are_as_described() {
        let obstacles = vec![
            Obstacle::Role { reserved: "r".into() },
            Obstacle::Constraint { constraint: "c".into(), words: "w".into() },
            Obstacle::NotActive { state: "s".into() },
            Obstacle::Cpus { short: 1 },
            Obstacle::Mem { short: 1 },
            Obstacle::Disk { short: 1 },
            Obstacle::Gpus { short: 1 },
            Obstacle::Ports { short: 1, taken: vec![80] },
            Obstacle::Quota { words: "w".into() },
        ];
        let group = ObstacleGroup { machines: 1, examples: vec!["h".into()], obstacles, words: "w".into() };
        let explanation = Explanation {
            demand: Demand {
                cpus_milli: 1,
                mem: 1,
                disk: 1,
                gpus: GpuDemand { count: 1, milli: 500 },
                ports: vec![PortDemand::Any, PortDemand::Exact(80)],
            },
            machines: 1,
            fitting: 0,
            choice: Some("a".into()),
            groups: vec![group],
            nearest: None,
            summary: "s".into(),
        };
        let several = Several {
            instances: 3,
            fitting: 1,
            places: vec![Places { node: "a".into(), hostname: "h".into(), instances: 1 }],
            obstacle: Some(explanation.clone()),
        };
        let explained = Explained { explanation, choice_hostname: Some("h".into()), several: Some(several) };
        check("Explained", explained.clone());
        check("Explained", Explained { several: None, ..explained });
    }

    #[test]
    fn previews_are_as_described() {
        let task = |fate| DrainedTask {
            task: "t".into(),
            service: Some("/a".into()),
            framework: None,
            framework_name: None,
            fate,
            node: Some("b".into()),
            hostname: Some("b.test".into()),
            why: None,
        };
        let preview = DrainPreview {
            node: "a".into(),
            hostname: "a.test".into(),
            state: AgentState::Active,
            summary: "s".into(),
            moving: 1,
            waiting: 0,
            killed: 0,
            ending: 0,
            staying: 0,
            tasks: Fate::ALL.into_iter().map(task).collect(),
            left_out: 0,
        };
        check("DrainPreview", preview);
    }
}
