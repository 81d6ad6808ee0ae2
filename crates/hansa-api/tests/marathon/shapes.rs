//! The shapes of all refusals, as clients take them apart. A change here is a change that clients see.

use hansa_api::marathon::{Defaults, Problem, parse_app};
use hansa_model::service::ServiceRefusal;
use hansa_model::{AppId, Timestamp};
use serde_json::json;

#[test]
fn refusals_have_these_shapes() {
    let app = AppId::from("/shop/web");
    let time = Timestamp(1_443_604_157_614);
    let read = |json| parse_app(&json, &Defaults::default()).unwrap_err();
    let service = |refusal: ServiceRefusal| Problem::from(&refusal);
    let problems = [
        Problem::not_json("expected value at line 1 column 1"),
        read(json!({"cpus": "1", "container": {"portMappings": [{"hostPort": -1}]}})),
        read(json!({"id": "/a", "ports": [1, 1], "cmd": "x"})),
        read(json!({"id": "/a", "cmd": "x", "env": {"T": {"secret": "s"}}, "networks": [{"name": "n"}]})),
        Problem::bad_request("You cannot use scale and wipe at the same time."),
        Problem::unknown_app(&app, None),
        Problem::unknown_app(&app, Some(time)),
        Problem::unknown_group("/shop"),
        Problem::unknown_task("t"),
        Problem::unknown_deployment("d"),
        service(ServiceRefusal::Locked(vec!["d1".into(), "d2".into()])),
        service(ServiceRefusal::NotQueued(app.clone())),
        Problem::unavailable("nobody leads"),
        Problem::not_yet("pods"),
    ];
    let shapes: Vec<String> =
        problems.iter().map(|problem| format!("{} {}", problem.status, problem.body)).collect();
    let expected = r#"
400 {"details":"expected value at line 1 column 1","message":"Invalid JSON"}
422 {"details":[{"errors":["error.path.missing"],"path":"/id"},{"errors":["error.min"],"path":"/container/portMappings(0)/hostPort"},{"errors":["error.expected.jsnumber"],"path":"/cpus"}],"message":"Invalid JSON"}
422 {"details":[{"errors":["ports must be unique"],"path":"/"}],"message":"Object is not valid"}
422 {"details":[{"errors":["not supported by this version of Hansa: named container networks (use the mode container/bridge, or host)"],"path":"/networks"},{"errors":["references an undefined secret"],"path":"/env/T/secret"},{"errors":["must not be an empty string"],"path":"/"}],"message":"Object is not valid"}
400 {"message":"You cannot use scale and wipe at the same time."}
404 {"message":"App '/shop/web' does not exist"}
404 {"message":"App '/shop/web' does not exist in version 2015-09-30T09:09:17.614Z"}
404 {"message":"Group '/shop' does not exist"}
404 {"message":"Task 't' does not exist"}
404 {"message":"DeploymentPlan d does not exist"}
409 {"deployments":[{"id":"d1"},{"id":"d2"}],"message":"App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."}
404 {"message":"Application /shop/web not found in tasks queue."}
503 {"message":"nobody leads"}
501 {"message":"pods is not supported by this version of Hansa"}
"#;
    assert_eq!(shapes.join("\n"), expected.trim());
}
