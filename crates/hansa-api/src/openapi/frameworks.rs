//! What [`crate::framework`] looks like on the wire.

use super::schema::{Fields, count, flag, list, list_of, object, one_of, or_null, text, with};
use super::{Operation, get, hansa::page, operation, reference};
use serde_json::Value;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        page(get("/hansa/v1/frameworks", "Schedulers from outside, by name.").gives(200, "Frameworks"), "id")
            .query("all", flag(), "Also those that are gone."),
        get("/hansa/v1/frameworks/{framework}", "A framework, by its id, or by its name if only one has it.")
            .gives(200, "FrameworkDetail"),
        operation(
            "delete",
            "/hansa/v1/frameworks/{framework}",
            "Removes a framework for ever: its tasks are killed, its id is never taken again.",
        )
        .gives(200, "Done"),
        get("/hansa/v1/frameworks/{framework}/explain", "Why a framework is offered what it is offered.")
            .gives(200, "FrameworkExplanation"),
    ]
}

fn summary() -> Vec<(&'static str, Value)> {
    vec![
        ("id", text()),
        ("name", text()),
        ("principal", or_null(text())),
        ("user", text()),
        ("roles", list(text())),
        ("suppressed", list(text())),
        ("state", one_of(&["connected", "disconnected", "recovered", "completed"])),
        ("since", count()),
        ("given_up_at", or_null(count())),
        ("tasks", count()),
        ("offers", count()),
        ("allocated", reference("Totals")),
        ("share_ppm", count()),
        ("dominant", or_null(text())),
    ]
}

fn in_role() -> Vec<(&'static str, Value)> {
    vec![
        ("role", text()),
        ("suppressed", flag()),
        ("allocated", reference("Totals")),
        ("offered", reference("Totals")),
        ("share_ppm", count()),
        ("weight_milli", count()),
        ("guarantee", reference("Bound")),
        ("limit", reference("Bound")),
        ("role_used", reference("Totals")),
        ("role_share_ppm", count()),
    ]
}

pub(super) fn schemas() -> Fields {
    let mut all = Fields::new();
    let mut put = |name: &str, schema: Value| all.push((name.to_owned(), schema));
    put(
        "Frameworks",
        object("All frameworks.", [("frameworks", list_of("FrameworkSummary")), ("next", or_null(text()))]),
    );
    put("FrameworkSummary", with("A framework at a glance; shares are millionths.", summary(), [] as [_; 0]));
    put(
        "FrameworkDetail",
        with(
            "A framework with everything that is in force for it.",
            summary(),
            [
                ("hostname", text()),
                ("webui_url", or_null(text())),
                ("capabilities", list(text())),
                ("checkpoint", flag()),
                ("failover_timeout_ms", count()),
                ("registered_at", count()),
                ("reregistered_at", or_null(count())),
                ("executors", count()),
                ("unreachable_tasks", count()),
                ("completed_tasks", count()),
                ("in_roles", list_of("FrameworkRole")),
                ("outstanding", list_of("FrameworkOffer")),
                ("filters", list_of("FrameworkFilter")),
            ],
        ),
    );
    put("FrameworkRole", with("A framework in one of its roles, and the role.", in_role(), [] as [_; 0]));
    put(
        "FrameworkOffer",
        object(
            "An offer that a framework holds.",
            [
                ("id", text()),
                ("role", text()),
                ("node", text()),
                ("hostname", text()),
                ("resources", text()),
                ("expires_at", or_null(count())),
            ],
        ),
    );
    put(
        "FrameworkFilter",
        object(
            "What a framework declined and is not offered for a while.",
            [
                ("role", text()),
                ("node", text()),
                ("hostname", text()),
                ("refused", text()),
                ("until", count()),
            ],
        ),
    );
    put(
        "FrameworkExplanation",
        object(
            "Why a framework is offered what it is offered.",
            [("id", text()), ("name", text()), ("summary", text()), ("roles", list_of("RoleExplanation"))],
        ),
    );
    put(
        "RoleExplanation",
        with(
            "The same for one of its roles.",
            in_role(),
            [
                ("words", text()),
                ("last_offer", or_null(reference("LastOffer"))),
                ("obstacles", list_of("OfferObstacle")),
            ],
        ),
    );
    put(
        "LastOffer",
        object("The last offer that was made.", [("at", count()), ("node", text()), ("hostname", text())]),
    );
    put(
        "OfferObstacle",
        object(
            "Machines that are not offered for the same reason.",
            [("words", text()), ("machines", count()), ("examples", list(text()))],
        ),
    );
    all
}

#[cfg(test)]
mod tests {
    use crate::framework::*;
    use crate::openapi::check::check;
    use hansa_model::Timestamp;
    use hansa_model::role::{Bound, Totals};

    #[test]
    fn frameworks_are_as_described() {
        let summary = FrameworkSummary {
            id: "f".into(),
            name: "n".into(),
            principal: Some("p".into()),
            user: "root".into(),
            roles: vec!["*".into()],
            suppressed: vec!["*".into()],
            state: FrameworkState::Disconnected,
            since: Timestamp(1),
            given_up_at: Some(Timestamp(2)),
            tasks: 1,
            offers: 1,
            allocated: Totals::default(),
            share_ppm: 1,
            dominant: Some("cpus".into()),
        };
        let role = FrameworkRole {
            role: "*".into(),
            suppressed: true,
            allocated: Totals::default(),
            offered: Totals::default(),
            share_ppm: 1,
            weight_milli: 1000,
            guarantee: Bound::default(),
            limit: Bound::default(),
            role_used: Totals::default(),
            role_share_ppm: 1,
        };
        check("Frameworks", Frameworks { frameworks: vec![summary.clone()], next: None });
        check("StreamEvent", crate::hansa::StreamEvent::Framework(summary.clone()));
        check(
            "FrameworkDetail",
            FrameworkDetail {
                summary,
                hostname: "h".into(),
                webui_url: None,
                capabilities: vec!["MULTI_ROLE".into()],
                checkpoint: true,
                failover_timeout_ms: 1,
                registered_at: Timestamp(1),
                reregistered_at: Some(Timestamp(1)),
                executors: 1,
                unreachable_tasks: 1,
                completed_tasks: 1,
                in_roles: vec![role.clone()],
                outstanding: vec![FrameworkOffer {
                    id: "o".into(),
                    role: "*".into(),
                    node: "a".into(),
                    hostname: "n".into(),
                    resources: "cpus:1".into(),
                    expires_at: Some(Timestamp(1)),
                }],
                filters: vec![FrameworkFilter {
                    role: "*".into(),
                    node: "a".into(),
                    hostname: "n".into(),
                    refused: "cpus:1".into(),
                    until: Timestamp(1),
                }],
            },
        );
        let last_offer = LastOffer { at: Timestamp(1), node: "a".into(), hostname: "n".into() };
        let obstacle = OfferObstacle { words: "w".into(), machines: 1, examples: vec!["n".into()] };
        let role = RoleExplanation {
            standing: role,
            words: "w".into(),
            last_offer: Some(last_offer),
            obstacles: vec![obstacle],
        };
        check(
            "FrameworkExplanation",
            FrameworkExplanation { id: "f".into(), name: "n".into(), summary: "s".into(), roles: vec![role] },
        );
    }
}
