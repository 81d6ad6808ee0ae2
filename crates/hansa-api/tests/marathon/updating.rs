//! Partial updates, replacements, going back, and many at once.

use hansa_api::marathon::update::{Update, merge, read_many};
use hansa_api::marathon::{Defaults, parse_app};
use hansa_model::AppId;
use hansa_model::app::{AppSpec, NetworkMode, ResourceLimit};
use hansa_model::spec::Command;
use serde_json::{Value, json};

fn app() -> AppSpec {
    let json = json!({
        "id": "/a", "cmd": "sleep 1", "instances": 3, "env": {"A": "1"}, "portDefinitions": [{"port": 80, "name": "x"}],
    });
    parse_app(&json, &Defaults::default()).unwrap()
}

fn merged(patch: Value) -> AppSpec {
    merge(&app(), &patch, &Defaults::default()).unwrap()
}

#[test]
fn only_given_fields_change() {
    assert_eq!(merged(json!({"instances": 5})), AppSpec { instances: 5, ..app() });
    assert_eq!(
        merged(json!({"env": {"B": "2"}})).env.keys().collect::<Vec<_>>(),
        ["B"],
        "a map is replaced as a whole"
    );
    assert_eq!(merged(json!({"id": "/other", "unheard": 1})), app(), "the URL names the app");
    assert_eq!(merged(json!({"cmd": null, "env": {}})), AppSpec { env: [].into(), ..app() });
    assert_eq!(merged(json!({"ports": [81]})).ports[0].port, 81);
    assert_eq!(merged(json!({"portDefinitions": []})).ports, []);
}

#[test]
fn an_update_is_held_to_the_rules() {
    let words =
        |patch: Value| merge(&app(), &patch, &Defaults::default()).unwrap_err().body["details"].to_string();
    assert!(words(json!({"args": ["x"]})).contains("must either contain one of 'cmd' or 'args'"));
    assert!(words(json!({"instances": "5"})).contains("error.expected.jsnumber"));
    assert!(words(json!({"healthChecks": [{"portIndex": 1}]})).contains("Health check port indices"));
    assert!(words(json!({"container": {"docker": {}}})).contains("error.path.missing"));
    assert!(words(json!([])).contains("error.expected.jsobject"));
}

#[test]
fn old_spellings_take_the_place_of_new_ones() {
    let with = |current: &AppSpec, patch: Value| merge(current, &patch, &Defaults::default()).unwrap();
    let bridged = with(
        &app(),
        json!({"container": {"docker": {"image": "nginx", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}}}),
    );
    assert_eq!(bridged.networks[0].mode, NetworkMode::Bridge);
    let mapping = bridged.ports[0].mapping.clone().unwrap();
    assert_eq!((bridged.ports.len(), mapping.container_port, mapping.host_port), (1, 80, Some(0)));
    assert_eq!(with(&bridged, json!({"instances": 4})), AppSpec { instances: 4, ..bridged.clone() });
    let more = with(&bridged, json!({"ports": [0, 0]}));
    assert_eq!(more.ports.len(), 2, "as many mappings as ports: {:?}", more.ports);
    let host = with(&bridged, json!({"networks": [{"mode": "host"}]}));
    assert_eq!((host.networks.len(), &host.ports[0].mapping), (0, &None));
    let again = with(&bridged, json!({"container": {"docker": {"image": "nginx", "network": "HOST"}}}));
    assert_eq!(again.networks, []);
    let addressed = with(&app(), json!({"ipAddress": {"networkName": "mesos-bridge"}, "ports": null}));
    assert_eq!(addressed.networks[0].mode, NetworkMode::Bridge);

    let fetching = with(&app(), json!({"fetch": [{"uri": "http://x/a"}]}));
    assert_eq!(with(&fetching, json!({"uris": []})), fetching);
    let newer = with(&fetching, json!({"uris": ["http://x/b.tgz"]}));
    assert_eq!(
        newer.fetch.iter().map(|one| (one.uri.as_str(), one.extract)).collect::<Vec<_>>(),
        [("http://x/b.tgz", true)]
    );
}

#[test]
fn a_limit_goes_along_with_its_request() {
    let limited = merged(json!({"resourceLimits": {"cpus": 1, "mem": 128}}));
    assert!(limited.cpu_quota);
    let patch = json!({"cpus": 2, "instances": 1});
    let larger = merge(&limited, &patch, &Defaults::default()).unwrap();
    assert_eq!(larger.limits.cpus_milli, Some(ResourceLimit::Amount(2_000)));
    assert_eq!(larger.limits.mem, limited.limits.mem);
}

#[test]
fn a_replacement_forgets_what_it_does_not_say() {
    let whole = Update::read(json!({"args": ["sleep", "2"]}), false).unwrap();
    let spec = whole.apply(&AppId::from("/a"), Some(&app()), &Defaults::default()).unwrap();
    assert_eq!(spec.command, Command::Argv(vec!["sleep".into(), "2".into()]));
    assert_eq!((spec.instances, spec.env.len(), spec.ports[0].port), (1, 0, 0));
}

#[test]
fn an_update_of_nothing_is_a_definition() {
    let update = Update::read(json!({"cmd": "sleep 9"}), true).unwrap();
    let spec = update.apply(&AppId::from("/new"), None, &Defaults::default()).unwrap();
    assert_eq!((spec.id.as_str(), spec.instances), ("/new", 1));
}

#[test]
fn a_version_stands_alone() {
    let time = "2015-09-30T09:09:17.614Z";
    let update = Update::read(json!({"id": "/a", "version": time}), true).unwrap();
    assert_eq!(update, Update::Version(time.parse().unwrap()));
    let both = Update::read(json!({"version": time, "instances": 2}), true).unwrap_err();
    assert_eq!(both.status, 422);
    assert_eq!(
        both.body["details"],
        json!([{"path": "/", "errors": ["The 'version' field may only be combined with the 'id' field."]}])
    );
    assert_eq!(Update::read(json!({"version": "yesterday"}), true).unwrap_err().status, 422);
    assert!(matches!(Update::read(json!({"version": time, "cmd": "xx"}), false), Ok(Update::Whole(_))));
}

#[test]
fn many_are_read_together() {
    let updates =
        read_many(json!([{"id": "a", "instances": 1}, {"id": "/b", "cmd": "sleep 1"}]), true).unwrap();
    assert_eq!(updates.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    let fault = |json: Value| read_many(json, true).unwrap_err().body["details"].to_string();
    assert_eq!(fault(json!({})), r#"[{"errors":["error.expected.jsarray"],"path":"/"}]"#);
    assert_eq!(fault(json!([{"id": "/a"}, {}])), r#"[{"errors":["error.path.missing"],"path":"(1)/id"}]"#);
    assert!(fault(json!([{"id": "/a"}, {"id": "a"}])).contains("more than once"));
    let bad = read_many(json!([{"id": "/a", "cpus": "x"}]), true).unwrap();
    let problem = bad[0].apply(None, &Defaults::default()).unwrap_err();
    assert_eq!(problem.body["details"][0]["path"], "(0)/cpus");
}
