//! Apps come, change, go back and go; every refusal in Marathon's shape.

use crate::support::Marathon;
use serde_json::{Value, json};

fn app(id: &str) -> Value {
    json!({"id": id, "cmd": "sleep 100", "instances": 2, "cpus": 0.1, "mem": 16})
}

#[tokio::test]
async fn an_app_lives() {
    let marathon = Marathon::start().await;
    assert_eq!(marathon.show("/v2/apps").await, json!({"apps": []}));

    let created = marathon.ask("POST", "/v2/apps", app("web")).await;
    let shown = created.expect(201);
    assert_eq!((created.header("location"), shown["id"].as_str()), ("/web", Some("/web")));
    assert_eq!(created.header("marathon-deployment-id"), shown["deployments"][0]["id"].as_str().unwrap());
    let port = shown["portDefinitions"][0]["port"].as_u64().unwrap();
    assert!((10_000..=20_000).contains(&port), "a service port was given: {port}");

    let listed = marathon.show("/v2/apps").await;
    assert_eq!(listed["apps"][0]["deployments"], shown["deployments"]);
    assert_eq!(listed["apps"][0]["tasksRunning"], 0);
    let single = marathon.show("/v2/apps//web").await["app"].clone();
    assert_eq!((&single["tasks"], &single["version"]), (&json!([]), &shown["version"]));

    let scaled = marathon.ask("PUT", "/v2/apps/web?force=True", json!({"instances": 3})).await;
    let answer = scaled.expect(200);
    assert_eq!(scaled.header("marathon-deployment-id"), answer["deploymentId"].as_str().unwrap());
    let single = marathon.show("/v2/apps/web").await["app"].clone();
    assert_eq!((&single["instances"], &single["version"]), (&json!(3), &answer["version"]));
    assert_eq!(single["versionInfo"]["lastConfigChangeAt"], shown["version"]);
    assert_eq!(single["versionInfo"]["lastScalingAt"], answer["version"]);

    let versions = marathon.show("/v2/apps/web/versions").await;
    assert_eq!(versions, json!({"versions": [answer["version"], shown["version"]]}));
    let first = marathon.show(&format!("/v2/apps/web/versions/{}", shown["version"].as_str().unwrap())).await;
    assert_eq!((&first["instances"], &first["id"]), (&json!(2), &json!("/web")));

    let back = marathon.ask("PUT", "/v2/apps/web?force=true", json!({"version": shown["version"]})).await;
    back.expect(200);
    assert_eq!(marathon.show("/v2/apps/web").await["app"]["instances"], 2);

    marathon.ask("POST", "/v2/apps/web/restart?force=true", "").await.expect(200);
    let gone = marathon.ask("DELETE", "/v2/apps/web", "").await;
    assert!(gone.expect(200)["deploymentId"].is_string());
    marathon.get("/v2/apps/web").await.expect(404);
    marathon.stop().await;
}

#[tokio::test]
async fn refusals_have_marathons_shape() {
    let marathon = Marathon::start().await;
    marathon.ask("POST", "/v2/apps", app("/a")).await.expect(201);
    for (method, path, body, status, message) in [
        ("GET", "/v2/apps/none", "", 404, "App '/none' does not exist"),
        ("GET", "/v2/apps/none/tasks", "", 404, "App '/none' does not exist"),
        ("GET", "/v2/apps/none/versions", "", 404, "App '/none' does not exist"),
        (
            "GET",
            "/v2/apps/a/versions/2015-09-30T09:09:17.614Z",
            "",
            404,
            "App '/a' does not exist in version 2015-09-30T09:09:17.614Z",
        ),
        ("GET", "/v2/apps/a/versions/x", "", 404, "App '/a' does not exist in version 'x'"),
        (
            "PUT",
            "/v2/apps/a",
            r#"{"version":"2015-09-30T09:09:17.614Z"}"#,
            404,
            "App '/a' does not exist in version 2015-09-30T09:09:17.614Z",
        ),
        ("PATCH", "/v2/apps/none", r#"{"cmd":"sleep 1"}"#, 404, "App '/none' does not exist"),
        ("PATCH", "/v2/apps", r#"[{"id":"/none","cmd":"sleep 1"}]"#, 404, "App '/none' does not exist"),
        ("DELETE", "/v2/apps/none", "", 404, "App '/none' does not exist"),
        ("POST", "/v2/apps/none/restart", "", 404, "App '/none' does not exist"),
        ("DELETE", "/v2/apps/none/tasks", "", 404, "App '/none' does not exist"),
        ("DELETE", "/v2/apps/a/tasks/x", "", 404, "Task 'x' does not exist"),
        (
            "DELETE",
            "/v2/apps/a/tasks?scale=true&wipe=true",
            "",
            400,
            "You cannot use scale and wipe at the same time.",
        ),
        ("POST", "/v2/tasks/delete", r#"{"ids":["x"]}"#, 400, "Invalid task id 'x'"),
        ("POST", "/v2/apps", r#"{"id":"/a","cmd":"sleep 1"}"#, 409, "An app with id [/a] already exists."),
        ("POST", "/v2/apps", "{", 400, "Invalid JSON"),
        ("POST", "/v2/apps", "", 400, "Invalid JSON"),
        ("POST", "/v2/apps", r#"{"id":1}"#, 422, "Invalid JSON"),
        ("POST", "/v2/apps", r#"{"id":"/b"}"#, 422, "Object is not valid"),
        (
            "POST",
            "/v2/apps?force=maybe",
            r#"{"id":"/b","cmd":"sleep 1"}"#,
            400,
            "force must be true or false, not 'maybe'",
        ),
        ("GET", "/v2/apps?label=a=b", "", 422, "Can not parse label selector 'a=b' at character 1"),
        ("GET", "/v2/tasks?status=lost", "", 400, "status must be running or staging, not 'lost'"),
        ("DELETE", "/v2/deployments/none", "", 404, "DeploymentPlan none does not exist"),
        ("DELETE", "/v2/queue//none/delay", "", 404, "Application /none not found in tasks queue."),
        ("GET", "/v2/groups/none", "", 404, "Group '/none' does not exist"),
        ("POST", "/v2/groups", "{}", 409, "Group / is already created. Use PUT to change this group."),
        ("POST", "/v2/pods", "{}", 501, "pods is not supported by this version of Hansa"),
        ("GET", "/v2/eventSubscriptions", "", 404, "URI not found"),
        ("PUT", "/v2/queue", "", 405, "HTTP 405 Method Not Allowed"),
        ("GET", "/v2/events", "", 405, "events are given only to GET with Accept: text/event-stream"),
    ] {
        let answer = marathon.ask(method, path, body).await;
        assert_eq!((answer.status, &answer.json()["message"]), (status, &json!(message)), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let large = format!(r#"{{"id":"/b","cmd":"{}"}}"#, "x".repeat(1024 * 1024));
    marathon.ask("POST", "/v2/apps", large).await.expect(413);
    let deep = "[".repeat(100_000);
    marathon.ask("POST", "/v2/apps", deep).await.expect(400);
    marathon.stop().await;
}

#[tokio::test]
async fn a_locked_app_says_by_what() {
    let marathon = Marathon::start().await;
    let created = marathon.ask("POST", "/v2/apps", app("/a")).await.expect(201);
    let mut events = marathon.events("?event_type=group_change_failed").await;
    let refused = marathon.ask("PUT", "/v2/apps/a", json!({"instances": 5})).await.expect(409);
    assert_eq!(refused["deployments"], created["deployments"]);
    assert!(refused["message"].as_str().unwrap().starts_with("App is locked by one or more deployments."));
    let failed = events.find("group_change_failed").await;
    assert_eq!((&failed["groupId"], &failed["reason"]), (&json!("/"), &refused["message"]));
    drop(events);
    marathon.ask("PUT", "/v2/apps/a?force=true", json!({"instances": 5})).await.expect(200);
    marathon.stop().await;
}

#[tokio::test]
async fn deployments_are_listed_and_cancelled() {
    let marathon = Marathon::start().await;
    let created = marathon.ask("POST", "/v2/apps", app("/a")).await.expect(201);
    let id = created["deployments"][0]["id"].as_str().unwrap().to_owned();
    let running = marathon.show("/v2/deployments").await;
    let one = &running[0];
    assert_eq!((one["id"].as_str(), &one["affectedApps"]), (Some(id.as_str()), &json!(["/a"])));
    assert_eq!(one["version"], created["version"]);
    assert!(
        one["totalSteps"].as_u64() >= one["currentStep"].as_u64() && one["currentStep"].as_u64() >= Some(1)
    );

    let dropped = marathon.ask("DELETE", &format!("/v2/deployments/{id}?force=true"), "").await;
    assert_eq!((dropped.status, dropped.text.as_str()), (202, ""));
    assert_eq!(marathon.show("/v2/deployments").await, json!([]));
    assert_eq!(marathon.show("/v2/apps/a").await["app"]["instances"], 2, "what was begun stays");

    let scaled = marathon.ask("PUT", "/v2/apps/a", json!({"instances": 7})).await.expect(200);
    let id = scaled["deploymentId"].as_str().unwrap();
    let back = marathon.ask("DELETE", &format!("/v2/deployments/{id}"), "").await.expect(200);
    assert_ne!(back["deploymentId"], scaled["deploymentId"]);
    assert_eq!(marathon.show("/v2/apps/a").await["app"]["instances"], 2, "it went back");
    marathon.stop().await;
}

#[tokio::test]
async fn what_waits_says_why() {
    let marathon = Marathon::start().await;
    marathon.ask("POST", "/v2/apps", app("/a")).await.expect(201);
    let queue = marathon.show("/v2/queue?embed=lastUnusedOffers").await;
    let item = &queue["queue"][0];
    assert_eq!((&item["app"]["id"], &item["count"]), (&json!("/a"), &json!(2)));
    assert_eq!(item["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    let summary = &item["processedOffersSummary"];
    assert_eq!(summary["processedOffersCount"], 0);
    assert_eq!(summary["rejectSummaryLastOffers"].as_array().unwrap().len(), 10);
    assert_eq!(item["lastUnusedOffers"], json!([]));
    let reset = marathon.ask("DELETE", "/v2/queue//a/delay", "").await;
    assert_eq!((reset.status, reset.text.as_str()), (204, ""));
    marathon.stop().await;
}

#[tokio::test]
async fn many_apps_change_at_once() {
    let marathon = Marathon::start().await;
    let both = json!([app("/shop/web"), {"id": "shop/db", "cmd": "sleep 9", "labels": {"tier": "db"}}]);
    let begun = marathon.ask("PUT", "/v2/apps", both).await.expect(200);
    assert_eq!(marathon.show("/v2/deployments").await.as_array().unwrap().len(), 1);
    let listed = marathon.show("/v2/apps?label=tier==db").await;
    assert_eq!(listed["apps"][0]["id"], "/shop/db");
    let ids = |shown: &Value, name: &str| {
        shown[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|app| app["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&marathon.show("/v2/apps/shop/*").await, "*"), ["/shop/db", "/shop/web"]);
    assert_eq!(ids(&marathon.show("/v2/apps?id=WEB").await, "apps"), ["/shop/web"]);
    assert_eq!(ids(&marathon.show("/v2/apps?cmd=sleep+9").await, "apps"), ["/shop/db"]);
    assert_eq!(marathon.show("/v2/apps/shop/*/tasks").await, json!({"tasks": []}));
    let tree = marathon.show("/v2/groups").await;
    assert_eq!((&tree["id"], &tree["groups"][0]["id"]), (&json!("/"), &json!("/shop")));
    assert_eq!(ids(&tree["groups"][0], "apps"), ["/shop/db", "/shop/web"]);
    assert_eq!(marathon.show("/v2/groups/shop?embed=group.groups").await["apps"], json!([]));

    let patch = json!([{"id": "/shop/web", "instances": 4}, {"id": "/shop/db", "instances": 0}]);
    let again = marathon.ask("PATCH", "/v2/apps?force=true", patch).await.expect(200);
    assert_ne!(again["deploymentId"], begun["deploymentId"]);
    assert_eq!(marathon.show("/v2/apps/shop/web").await["app"]["instances"], 4);
    let twice = json!([{"id": "/x", "cmd": "sleep 1"}, {"id": "/x", "cmd": "sleep 1"}]);
    marathon.ask("PUT", "/v2/apps", twice).await.expect(422);
    marathon.stop().await;
}

#[tokio::test]
async fn a_put_creates_replaces_and_merges() {
    let marathon = Marathon::start().await;
    let created = marathon.ask("PUT", "/v2/apps/a", json!({"cmd": "sleep 1", "env": {"A": "1"}})).await;
    created.expect(201);
    assert_eq!(created.header("location"), "/a");
    marathon.ask("PUT", "/v2/apps/a?force=true", json!({"instances": 0})).await.expect(200);
    assert_eq!(marathon.show("/v2/apps/a").await["app"]["env"], json!({"A": "1"}));
    marathon
        .ask("PUT", "/v2/apps/a?force=true&partialUpdate=false", json!({"cmd": "sleep 2"}))
        .await
        .expect(200);
    let app = marathon.show("/v2/apps/a").await["app"].clone();
    assert_eq!((app.get("env"), &app["instances"]), (None, &json!(1)));
    // What is shown can be sent back.
    let mut whole = app.as_object().unwrap().clone();
    whole.remove("version");
    marathon.ask("PUT", "/v2/apps/a?force=true", Value::Object(whole)).await.expect(200);
    marathon.stop().await;
}

#[tokio::test]
async fn updates_of_many_clients_are_not_lost() {
    let marathon = Marathon::start().await;
    marathon.ask("POST", "/v2/apps", json!({"id": "/a", "cmd": "sleep 1", "instances": 0})).await.expect(201);
    // Each sets a field of its own; a merge with an outdated picture would undo another's.
    let fields = [
        json!({"cpus": 0.25}),
        json!({"mem": 17}),
        json!({"labels": {"x": "y"}}),
        json!({"env": {"A": "1"}}),
        json!({"killSelection": "OLDEST_FIRST"}),
        json!({"backoffSeconds": 7}),
        json!({"taskKillGracePeriodSeconds": 9}),
        json!({"maxLaunchDelaySeconds": 77}),
    ];
    let updates = fields.iter().map(|field| marathon.ask("PUT", "/v2/apps/a?force=true", field));
    for answer in futures_util::future::join_all(updates).await {
        answer.expect(200);
    }
    let app = marathon.show("/v2/apps/a").await["app"].clone();
    for field in &fields {
        for (name, value) in field.as_object().unwrap() {
            assert_eq!(&app[name], value, "{name}");
        }
    }
    assert_eq!(marathon.show("/v2/apps/a/versions").await["versions"].as_array().unwrap().len(), 9);
    marathon.stop().await;
}

#[tokio::test]
async fn containers_are_kept_and_shown() {
    let marathon = Marathon::start().await;
    let app = json!({
        "id": "/web", "cpus": 0.1,
        "container": {
            "docker": {
                "image": "nginx:1", "network": "BRIDGE",
                "portMappings": [{"containerPort": 80, "hostPort": 0}, {"containerPort": 81, "servicePort": 12345}],
            },
            "volumes": [{"containerPath": "/data", "hostPath": "/srv", "mode": "RO"}],
        },
        "secrets": {"token": {"source": "/team/token"}}, "env": {"TOKEN": {"secret": "token"}},
        "uris": ["http://example.com/a.tgz"],
        "readinessChecks": [{"portName": "default"}],
    });
    // The check's port has no name; then it is refused, and the refusal names the path.
    let refused = marathon.ask("POST", "/v2/apps", app.clone()).await.expect(422);
    assert_eq!(refused["details"][0]["path"], "/readinessChecks(0)/portName");
    let mut named = app;
    named["container"]["docker"]["portMappings"][0]["name"] = json!("default");
    let created = marathon.ask("POST", "/v2/apps", named).await.expect(201);
    let shown = marathon.show("/v2/apps/web").await["app"].clone();
    let mappings = shown["container"]["portMappings"].as_array().unwrap();
    let services: Vec<u64> = mappings.iter().map(|port| port["servicePort"].as_u64().unwrap()).collect();
    assert!((10_000..=20_000).contains(&services[0]) && services[1] == 12345, "service ports: {services:?}");
    assert_eq!(created["container"], shown["container"]);
    assert_eq!(shown["networks"], json!([{"mode": "container/bridge"}]));
    assert_eq!(
        (&shown["env"], &shown["secrets"]),
        (&json!({"TOKEN": {"secret": "token"}}), &json!({"token": {"source": "/team/token"}}))
    );
    assert_eq!(shown["fetch"][0]["uri"], "http://example.com/a.tgz");
    assert_eq!((shown.get("uris"), shown.get("portDefinitions")), (None, None));

    // An update keeps the number that the app was given, and merges with what is there.
    let image = json!({"container": {"docker": {"image": "nginx:2"}, "portMappings": [{"containerPort": 80, "name": "default"}]}});
    marathon.ask("PUT", "/v2/apps/web?force=true", image).await.expect(200);
    let after = marathon.show("/v2/apps/web").await["app"].clone();
    assert_eq!(after["container"]["docker"]["image"], "nginx:2");
    assert_eq!(after["container"]["portMappings"][0]["servicePort"], json!(services[0]));
    assert_eq!((&after["networks"], &after["secrets"]), (&shown["networks"], &shown["secrets"]));
    let refused = marathon
        .ask("PUT", "/v2/apps/web?force=true", json!({"networks": [{"name": "dcos"}]}))
        .await
        .expect(422);
    assert!(refused["details"][0]["errors"][0].as_str().unwrap().contains("named container networks"));
    marathon.stop().await;
}

#[tokio::test]
async fn who_abdicates_ends_the_streams() {
    let marathon = Marathon::start().await;
    let mut events = marathon.events("").await;
    let answer = marathon.ask("DELETE", "/v2/leader", "").await.expect(200);
    assert_eq!(answer, json!({"message": "Leadership abdicated"}));
    while events.next().await.is_some() {}
    assert_eq!(marathon.show("/v2/leader").await, json!({"leader": "localhost:8080"}));
    marathon.ask("DELETE", "/v2/leader?backup=file:///x", "").await.expect(501);
    marathon.stop().await;
}

#[tokio::test]
async fn the_server_tells_about_itself() {
    let marathon = Marathon::start().await;
    let answer = marathon.get("/v2/info").await;
    assert_eq!(answer.expect(200)["leader"], "localhost:8080");
    assert_eq!(answer.header("x-marathon-leader"), "http://localhost:8080");
    assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate");
    assert_eq!((answer.header("pragma"), answer.header("expires")), ("no-cache", "0"));
    assert_eq!(answer.header("x-frame-options"), "DENY");
    for prefix in ["", "/marathon", "/service/marathon"] {
        assert_eq!(marathon.show(&format!("{prefix}/v2/leader")).await, json!({"leader": "localhost:8080"}));
        assert_eq!(marathon.show(&format!("{prefix}/v2/plugins")).await, json!({"plugins": []}));
        assert_eq!(marathon.show(&format!("{prefix}/v2/apps/")).await, json!({"apps": []}));
    }
    assert_eq!(marathon.get("/service/marathon/ping").await.text, "pong");
    for path in ["/marathon/metrics", "/service/marathon/metrics/prometheus"] {
        assert!(marathon.get(path).await.text.contains("hansa_services"), "{path}");
    }
    assert_eq!(marathon.ask("HEAD", "/v2/apps", "").await.status, 200);
    assert_eq!(marathon.show("/v2/pods").await, json!([]));
    assert_eq!(marathon.show("/v2/tasks?status[]=running").await, json!({"tasks": []}));
    marathon.stop().await;
}
