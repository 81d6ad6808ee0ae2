//! Groups come, change as one deployment, go back and go; every refusal in Marathon's shape.

use crate::support::Marathon;
use serde_json::{Value, json};

/// An app without instances: its deployments are done at once.
fn app(id: &str) -> Value {
    json!({"id": id, "cmd": "sleep 100", "instances": 0, "cpus": 0.1, "mem": 16, "portDefinitions": []})
}

fn ids(group: &Value, what: &str) -> Vec<String> {
    let list = group[what].as_array().unwrap();
    list.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn shop() -> Value {
    json!({
        "id": "/shop",
        "groups": [
            {"id": "front", "apps": [app("web")], "dependencies": ["back"]},
            {"id": "/shop/back", "apps": [app("/shop/back/db"), app("cache")]},
            {"id": "empty"},
        ],
    })
}

#[tokio::test]
async fn a_group_lives() {
    let marathon = Marathon::start().await;
    let created = marathon.ask("POST", "/v2/groups", shop()).await;
    let first = created.expect(201);
    assert_eq!(created.header("location"), "/shop");
    assert_eq!(created.header("marathon-deployment-id"), first["deploymentId"].as_str().unwrap());
    let shown = marathon.show("/v2/groups/shop").await;
    assert_eq!(ids(&shown, "groups"), ["/shop/back", "/shop/empty", "/shop/front"]);
    assert_eq!(ids(&shown["groups"][0], "apps"), ["/shop/back/cache", "/shop/back/db"]);
    assert_eq!(shown["groups"][2]["dependencies"], json!(["/shop/back"]));
    assert_eq!((&shown["version"], shown.get("enforceRole")), (&first["version"], None));
    assert_eq!(ids(&marathon.show("/v2/groups").await, "groups"), ["/shop"]);
    assert_eq!(marathon.show("/v2/groups/shop/apps").await.as_array().unwrap().len(), 3);

    // What is named is replaced as a whole; what is not, stays.
    let change = json!({"groups": [{"id": "back", "apps": [app("db")]}, {"id": "front"}]});
    let second = marathon.ask("PUT", "/v2/groups/shop", change).await.expect(200);
    let shown = marathon.show("/v2/groups/shop").await;
    assert_eq!(ids(&shown, "groups"), ["/shop/back", "/shop/front"]);
    assert_eq!(ids(&shown["groups"][0], "apps"), ["/shop/back/db"]);
    assert_eq!(ids(&shown["groups"][1], "apps"), ["/shop/front/web"]);
    assert_eq!(shown["groups"][1]["dependencies"], json!(["/shop/back"]));
    assert_eq!(shown["version"], second["version"], "a removal is a version of the group");

    let versions = marathon.show("/v2/groups/shop/versions").await;
    assert_eq!(versions, json!([second["version"], first["version"]]));
    let path = format!("/v2/groups/shop/versions/{}", first["version"].as_str().unwrap());
    let was = marathon.show(&path).await;
    assert_eq!(ids(&was, "groups"), ["/shop/back", "/shop/empty", "/shop/front"]);
    assert_eq!(ids(&was["groups"][0], "apps"), ["/shop/back/cache", "/shop/back/db"]);

    let back = json!({"version": first["version"]});
    let third = marathon.ask("PUT", "/v2/groups/shop", back).await.expect(200);
    let shown = marathon.show("/v2/groups/shop").await;
    assert_eq!(ids(&shown, "groups"), ["/shop/back", "/shop/empty", "/shop/front"]);
    assert_eq!(ids(&shown["groups"][0], "apps"), ["/shop/back/cache", "/shop/back/db"]);
    let versions = marathon.show("/v2/groups/shop/versions").await;
    assert_eq!(versions, json!([third["version"], second["version"], first["version"]]));

    marathon.ask("DELETE", "/v2/groups/shop", "").await.expect(200);
    marathon.get("/v2/groups/shop").await.expect(404);
    assert_eq!(marathon.show("/v2/apps").await, json!({"apps": []}));
    assert_eq!(marathon.show("/v2/groups").await["groups"], json!([]));
    // The root remembers it.
    let back = json!({"version": third["version"]});
    marathon.ask("PUT", "/v2/groups", back).await.expect(200);
    assert_eq!(marathon.show("/v2/apps").await["apps"].as_array().unwrap().len(), 3);
    marathon.ask("DELETE", "/v2/groups", "").await.expect(200);
    assert_eq!(marathon.show("/v2/groups").await["groups"], json!([]));
    marathon.stop().await;
}

#[tokio::test]
async fn plans_are_shown_and_groups_scaled() {
    let marathon = Marathon::start().await;
    let mut two = app("web");
    two["instances"] = json!(2);
    let group = json!({"id": "/shop", "apps": [two, app("none")]});
    let plan = marathon.ask("PUT", "/v2/groups?dryRun=true", group.clone()).await.expect(200);
    let actions = |apps: &[(&str, &str)]| -> Value {
        let one = |(action, app): &(&str, &str)| json!({"action": action, "app": app});
        json!({"actions": apps.iter().map(one).collect::<Vec<_>>()})
    };
    let steps = json!([
        actions(&[("StartApplication", "/shop/none"), ("StartApplication", "/shop/web")]),
        actions(&[("ScaleApplication", "/shop/web")]),
    ]);
    assert_eq!(plan, json!({"steps": steps}));
    assert_eq!(marathon.show("/v2/apps").await, json!({"apps": []}), "nothing happened");

    marathon.ask("PUT", "/v2/groups/shop", group).await.expect(200);
    let locked = marathon.ask("PUT", "/v2/groups/shop", json!({"scaleBy": 1.2})).await.expect(409);
    assert!(locked["message"].as_str().unwrap().starts_with("App is locked"), "{locked}");
    marathon.ask("PUT", "/v2/groups/shop?force=true", json!({"scaleBy": 1.2})).await.expect(200);
    let instances = |app: &Value| app["app"]["instances"].clone();
    assert_eq!(instances(&marathon.show("/v2/apps/shop/web").await), 3, "rounded up");
    assert_eq!(instances(&marathon.show("/v2/apps/shop/none").await), 0);
    marathon.stop().await;
}

#[tokio::test]
async fn roles_are_enforced_where_a_group_says_so() {
    let marathon = Marathon::start().await;
    marathon.ask("POST", "/v2/groups", json!({"id": "/dev", "apps": [app("a")]})).await.expect(201);
    assert_eq!(marathon.show("/v2/apps/dev/a").await["app"]["role"], "*");
    let patched = marathon.ask("PATCH", "/v2/groups/dev", json!({"enforceRole": true})).await;
    assert_eq!((patched.status, patched.text.as_str()), (200, ""));
    assert_eq!(marathon.show("/v2/groups/dev").await["enforceRole"], true);
    marathon.ask("POST", "/v2/apps", app("/dev/b")).await.expect(201);
    assert_eq!(marathon.show("/v2/apps/dev/b").await["app"]["role"], "dev");
    let mut other = app("/dev/c");
    other["role"] = json!("prod");
    let refused = marathon.ask("POST", "/v2/apps", &other).await.expect(422);
    let words = "got prod, expected one of: [dev]";
    assert_eq!(refused["details"], json!([{"path": "/role", "errors": [words]}]));
    let refused = marathon.ask("PUT", "/v2/groups/dev", json!({"apps": [other]})).await.expect(422);
    assert_eq!(refused["details"], json!([{"path": "/apps(0)/role", "errors": [words]}]));
    marathon.stop().await;
}

#[tokio::test]
async fn refusals_have_marathons_shape() {
    let marathon = Marathon::start().await;
    marathon.ask("POST", "/v2/groups", shop()).await.expect(201);
    marathon.ask("POST", "/v2/apps", app("/web")).await.expect(201);
    for (method, path, body, status, message) in [
        (
            "POST",
            "/v2/groups",
            json!({"id": "/shop"}),
            409,
            "Group /shop is already created. Use PUT to change this group.",
        ),
        ("POST", "/v2/groups", json!({"id": "/web"}), 409, "An app with the path /web already exists."),
        ("PUT", "/v2/groups/none", json!({"scaleBy": 2}), 404, "Group '/none' does not exist"),
        ("DELETE", "/v2/groups/none", json!({}), 404, "Group '/none' does not exist"),
        ("PATCH", "/v2/groups/none", json!({"enforceRole": true}), 404, "Group '/none' does not exist"),
        (
            "PUT",
            "/v2/groups/shop",
            json!({"version": "2015-01-01T00:00:00.000Z"}),
            404,
            "Group '/shop' does not exist in version 2015-01-01T00:00:00.000Z",
        ),
        ("GET", "/v2/groups/shop/versions/x", json!({}), 404, "Group '/shop' does not exist in version x"),
    ] {
        let answer = marathon.ask(method, path, body).await.expect(status);
        assert_eq!(answer["message"], message, "{method} {path}");
    }
    for (path, body, at, words) in [
        (
            "/v2/groups/shop",
            json!({"apps": [app("/else/web")]}),
            "/apps(0)/id",
            "App has to be child of group with parent id /shop",
        ),
        (
            "/v2/groups/shop",
            json!({"groups": [{"id": "/else"}]}),
            "/groups(0)/id",
            "Group has to be child of groups with parent id /shop",
        ),
        (
            "/v2/groups",
            json!({"groups": [{"id": "a", "apps": [{"cmd": "xx"}]}]}),
            "/groups(0)/apps(0)/id",
            "error.path.missing",
        ),
        (
            "/v2/groups",
            json!({"groups": [{"id": "web"}]}),
            "/",
            "Groups and Applications may not have the same identifier.",
        ),
        (
            "/v2/groups/x",
            json!({"dependencies": ["/y"], "apps": [app("a")], "groups": [{"id": "y", "dependencies": ["/x"], "apps": [app("a")]}]}),
            "/",
            "Dependency graph has cyclic dependencies.",
        ),
        (
            "/v2/groups/shop",
            json!({"scaleBy": 2, "apps": []}),
            "/",
            "The 'scaleBy' field may only be combined with the 'id' field.",
        ),
        ("/v2/groups/shop", json!({"apps": 3}), "/apps", "error.expected.jsarray"),
        (
            "/v2/groups/shop/front",
            json!({"enforceRole": true}),
            "/enforceRole",
            "enforceRole can only be set on top-level groups, directly below the root",
        ),
    ] {
        let answer = marathon.ask("PUT", path, &body).await.expect(422);
        let details = answer["details"].as_array().unwrap();
        let found = details.iter().any(|detail| detail["path"] == at && detail["errors"][0] == words);
        assert!(found, "{path} {body}: {answer}");
    }
    marathon.stop().await;
}
