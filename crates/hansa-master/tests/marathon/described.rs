//! What is really answered is what the OpenAPI document says.

use crate::support::Marathon;
use hansa_api::openapi;
use hansa_link::{ToAgentBody, ToMaster, ToMasterBody};
use hansa_master::clock;
use hansa_master::session::Session;
use hansa_model::Term;
use hansa_model::agent::Hello;
use hansa_model::task::{TaskState, TaskStatus};
use serde_json::{Value, json};

/// A machine with room for one instance, that runs at once what it is told to run.
async fn machine(mut session: Session) {
    let say = |body| ToMaster { cluster: None, term: Term(0), body };
    let hello = Hello {
        agent: Some("a".into()),
        boot: Some("b".into()),
        hostname: "host".into(),
        address: "127.0.0.1:1".into(),
        resources: "cpus:1;mem:1000;disk:1000;ports:[31000-31010]".parse().unwrap(),
        region: Some("r".into()),
        zone: Some("z".into()),
        ..Hello::default()
    };
    session.to_master.send(say(ToMasterBody::Hello(Box::new(hello)))).await.unwrap();
    while let Some(message) = session.to_agent.recv().await {
        let ToAgentBody::Launch { launch, .. } = message.body else { continue };
        for task in &launch.tasks {
            let status =
                TaskStatus::new(task.clone(), launch.instance.clone(), 1, TaskState::Running, clock::now());
            session.to_master.send(say(ToMasterBody::Update(status))).await.unwrap();
        }
    }
}

#[track_caller]
fn check(schema: &str, value: &Value) {
    assert_eq!(openapi::faults(&openapi::marathon(), schema, value), Vec::<String>::new(), "{value:#}");
}

#[tokio::test]
async fn answers_are_as_described() {
    let marathon = Marathon::start().await;
    tokio::spawn(machine(marathon.master().connect().await.unwrap()));
    let mut events = marathon.events("").await;
    let app = json!({
        "id": "/shop/web", "cmd": "sleep 100", "user": "nobody", "env": {"A": "b"}, "labels": {"l": "m"},
        "cpus": 1, "mem": 16, "disk": 1, "instances": 1,
        "constraints": [["hostname", "UNIQUE"]],
        "portDefinitions": [{"port": 0, "name": "http", "labels": {"a": "b"}}],
        "healthChecks": [{"protocol": "MESOS_HTTP", "portIndex": 0}, {"protocol": "COMMAND", "command": {"value": "true"}}],
        "acceptedResourceRoles": ["*"], "taskKillGracePeriodSeconds": 1, "dependencies": [],
        "unreachableStrategy": "disabled",
    });
    check("App", &app);
    check("AppInfo", &marathon.ask("POST", "/v2/apps", &app).await.expect(201));
    events.find("status_update_event").await;
    check("Deployments", &marathon.show("/v2/deployments").await);

    let everything = "?embed=apps.tasks&embed=apps.counts&embed=apps.deployments&embed=apps.readiness\
                      &embed=apps.lastTaskFailure&embed=apps.taskStats";
    let apps = marathon.show(&format!("/v2/apps{everything}")).await;
    assert_eq!(apps["apps"][0]["tasks"].as_array().map(Vec::len), Some(1), "{apps:#}");
    check("Apps", &apps);
    check("OneApp", &marathon.show(&format!("/v2/apps/shop/web{everything}")).await);
    check("Tasks", &marathon.show("/v2/tasks").await);
    check("Tasks", &marathon.show("/v2/apps/shop/web/tasks").await);
    let versions = marathon.show("/v2/apps/shop/web/versions").await;
    check("Versions", &versions);
    let version = versions["versions"][0].as_str().unwrap();
    check("AppInfo", &marathon.show(&format!("/v2/apps/shop/web/versions/{version}")).await);
    check("Group", &marathon.show("/v2/groups?embed=group.groups&embed=group.apps").await);
    check("Leader", &marathon.show("/v2/leader").await);

    // No place for a second one.
    let update = json!({"instances": 2});
    check("AppUpdate", &update);
    check("Started", &marathon.ask("PUT", "/v2/apps/shop/web?force=true", update).await.expect(200));
    let queue = marathon.show("/v2/queue?embed=lastUnusedOffers").await;
    assert_eq!(queue["queue"].as_array().map(Vec::len), Some(1), "{queue:#}");
    check("Queue", &queue);
    check("Problem", &marathon.get("/v2/apps/none").await.expect(404));
    check("Problem", &marathon.ask("POST", "/v2/apps", json!({"id": 1})).await.expect(422));
    check("Killed", &marathon.ask("DELETE", "/v2/apps/shop/web/tasks", "").await.expect(200));
    marathon.stop().await;
}
