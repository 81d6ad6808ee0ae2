//! The client commands against a real cluster: what they do, print and return.

mod support;

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Output, Stdio};
use support::{Cluster, app, hansa, so, until};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed and returns what it printed.
fn done(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {}{}", out(&output), err(&output));
    out(&output)
}

/// Runs a command that must fail with this code and returns what it said.
fn fails(cluster: &Cluster, code: i32, arguments: &[&str]) -> String {
    let output = cluster.cli(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", out(&output), err(&output));
    assert!(output.stdout.is_empty(), "errors do not go to stdout: {}", out(&output));
    err(&output)
}

/// Runs `hansa app run -` with a definition on stdin.
fn run_stdin(cluster: &Cluster, definition: &Value, more: &[&str]) -> Output {
    let mut command = hansa();
    command.args(["--master", &cluster.http.base, "app", "run", "-"]).args(more);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(definition.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn a_service_lives_its_whole_life() {
    let cluster = Cluster::start(2).await;
    let definition = app("shop/web", "echo hello from $GREETING; exec sleep 100000", 2);
    let output = run_stdin(&cluster, &definition, &[]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("/shop/web deployed"), "{}", out(&output));

    let list = done(&cluster, &["app", "list"]);
    assert!(list.starts_with("ID ") && list.contains("/shop/web") && list.contains("2/2"), "{list}");
    let list = cluster.cli_json(&["app", "list"]);
    assert_eq!(
        (list["services"][0]["id"].as_str(), list["services"][0]["running"].as_u64()),
        (Some("/shop/web"), Some(2))
    );

    // Following is over when it is done: no waiting here.
    done(&cluster, &["app", "scale", "shop/web", "3"]);
    assert_eq!(cluster.http.running("/shop/web").await.unwrap().len(), 3);
    done(&cluster, &["app", "update", "/shop/web", "env.GREETING=marmot", "mem=40"]);
    let shown = cluster.cli_json(&["app", "show", "shop/web"]);
    assert_eq!(shown["definition"]["env"], json!({"GREETING": "marmot"}), "{shown}");
    assert_eq!(shown["definition"]["mem"], 40, "{shown}");
    assert_eq!(shown["tasks"].as_array().unwrap().len(), 3);
    until("the new instances have said hello", async || {
        let logs = done(&cluster, &["app", "logs", "shop/web", "--stdout"]);
        so(logs.matches("hello from marmot").count() == 3, logs)
    })
    .await;

    done(&cluster, &["app", "rollback", "shop/web"]);
    let shown = cluster.cli_json(&["app", "show", "shop/web"]);
    assert_eq!(
        (&shown["definition"]["env"]["GREETING"], &shown["definition"]["mem"]),
        (&Value::Null, &json!(32)),
        "{shown}"
    );
    assert!(done(&cluster, &["app", "rollback", "shop/web", "--list"]).lines().count() >= 3);

    let before = cluster.http.running("/shop/web").await.unwrap();
    done(&cluster, &["app", "restart", "shop/web"]);
    let after = cluster.http.running("/shop/web").await.unwrap();
    assert!(after.iter().all(|task| !before.iter().any(|old| old.id == task.id)), "all replaced");

    let explained = done(&cluster, &["app", "explain", "shop/web"]);
    assert!(
        explained.contains("one more instance of /shop/web asks for 0.01 cpus, 32M memory"),
        "{explained}"
    );
    assert!(explained.contains("fits on 2 of 2 machines"), "{explained}");

    let text = done(&cluster, &["app", "show", "shop/web"]);
    assert!(text.contains("service      /shop/web") && text.contains("running"), "{text}");
    assert!(done(&cluster, &["app", "remove", "shop/web"]).contains("/shop/web removed"));
    assert_eq!(done(&cluster, &["app", "list"]), "no services\n");
    until("no process is left", async || so(cluster.processes().is_empty(), cluster.processes())).await;
}

#[tokio::test]
async fn tasks_and_nodes_are_shown_and_steered() {
    let cluster = Cluster::start(2).await;
    let definition = app("/steer", "echo to stdout; echo to stderr >&2; exec sleep 100000", 4);
    assert!(run_stdin(&cluster, &definition, &[]).status.success());
    let tasks = cluster.cli_json(&["task", "list", "--app", "steer"]);
    let ids: Vec<&str> =
        tasks["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);

    // A piece of the id is enough.
    let instance = ids[0].split("._app").next().unwrap();
    let piece = &instance[instance.len() - 12..];
    let shown = done(&cluster, &["task", "show", piece]);
    assert!(shown.contains(ids[0]) && shown.contains("service   /steer"), "{shown}");
    until("the output is there", async || {
        let (stdout, stderr) =
            (done(&cluster, &["task", "logs", piece]), done(&cluster, &["task", "logs", "--stderr", piece]));
        so(stdout == "to stdout\n" && stderr == "to stderr\n", (stdout, stderr))
    })
    .await;

    let nodes = done(&cluster, &["node", "list"]);
    assert!(nodes.contains("node1") && nodes.contains("node2") && nodes.contains("active"), "{nodes}");
    assert!(done(&cluster, &["node", "drain", "node1"]).contains("node1 is empty"));
    let running = cluster.http.settled("/steer", 4).await;
    assert!(running.iter().all(|task| task.hostname == "node2"), "{running:?}");
    let shown = done(&cluster, &["node", "show", "node1"]);
    assert!(shown.contains("state         dr") || shown.contains("state         deactivated"), "{shown}");
    done(&cluster, &["node", "reactivate", "node1"]);
    assert_eq!(cluster.cli_json(&["node", "show", "node1"])["node"]["state"], "active");

    let victim = running[0].id.to_string();
    done(&cluster, &["task", "kill", &victim]);
    until("it is replaced", async || {
        let running = cluster.http.running("/steer").await?;
        so(running.len() == 4 && running.iter().all(|task| task.id.as_str() != victim), running)
    })
    .await;
    let victim = cluster.http.running("/steer").await.unwrap()[0].id.to_string();
    done(&cluster, &["task", "kill", "--scale", &victim]);
    assert_eq!(cluster.http.settled("/steer", 3).await.len(), 3);
}

#[tokio::test]
async fn mistakes_are_explained() {
    let cluster = Cluster::start(1).await;
    let apps = json!([app("/shop/web", "exec sleep 100000", 1), app("/shop/cart", "exec sleep 100000", 1)]);
    let output = run_stdin(&cluster, &apps, &["--output", "json"]);
    assert!(output.status.success(), "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        (&report["state"], &report["apps"]),
        (&json!("succeeded"), &json!(["/shop/web", "/shop/cart"]))
    );

    let said = fails(&cluster, 3, &["app", "show", "shop/wbe"]);
    assert!(said.contains("no service '/shop/wbe'") && said.contains("did you mean '/shop/web'?"), "{said}");
    let said = fails(&cluster, 3, &["app", "scale", "shop/crat", "3"]);
    assert!(said.contains("did you mean '/shop/cart'?"), "{said}");
    let said = fails(&cluster, 3, &["node", "show", "nod1"]);
    assert!(said.contains("did you mean 'node1'?"), "{said}");
    fails(&cluster, 3, &["deployment", "cancel", "nothing"]);
    fails(&cluster, 3, &["task", "logs", "nothing"]);
    let said = fails(&cluster, 2, &["app", "run", "/nonexistent.json"]);
    assert!(said.contains("where: /nonexistent.json"), "{said}");
    let wrong = run_stdin(&cluster, &json!({"id": "/bad", "cmd": "x", "cpus": "many"}), &[]);
    assert_eq!(wrong.status.code(), Some(2), "{}", err(&wrong));
    assert!(err(&wrong).contains("/cpus"), "{}", err(&wrong));
    let exists = run_stdin(&cluster, &app("/shop/web", "true", 1), &["--create"]);
    assert_eq!(exists.status.code(), Some(4), "{}", err(&exists));

    // Nothing has so much room: waiting is said, ends with its own code, and is locked against others.
    let said = fails(&cluster, 6, &["app", "update", "shop/web", "cpus=1000", "--timeout", "1s"]);
    assert!(said.contains("is not done after"), "{said}");
    let explained = done(&cluster, &["app", "explain", "shop/web"]);
    assert!(
        explained.contains("cpus short") && explained.contains("fits on none of 1 machine"),
        "{explained}"
    );
    let said = fails(&cluster, 4, &["app", "scale", "shop/web", "2"]);
    assert!(said.contains("locked") && said.contains("hansa deployment cancel"), "{said}");
    let deployments = cluster.cli_json(&["deployment", "list"]);
    let id = deployments["deployments"][0]["id"].as_str().unwrap();
    done(&cluster, &["deployment", "cancel", id]);
    assert_eq!(done(&cluster, &["deployment", "list"]), "no deployment is under way\n");
    assert_eq!(cluster.cli_json(&["app", "show", "shop/web"])["definition"]["cpus"], 0.01);

    let nobody = hansa().args(["--master", "http://127.0.0.1:1", "app", "list"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(5));
    assert!(err(&nobody).contains("hansa dev"), "{}", err(&nobody));
}

#[tokio::test]
async fn events_and_logs_are_followed() {
    let cluster = Cluster::start(1).await;
    let file = |name: &str| cluster.directory.join(name);
    let follow = |arguments: &[&str], name: &str| {
        let mut command = hansa();
        command.args(["--master", &cluster.http.base]).args(arguments);
        command.stdout(std::fs::File::create(file(name)).unwrap()).spawn().unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let mut events = follow(&["events", "--output", "json"], "events");
    until("the stream begins", async || so(read("events").contains("resync"), ())).await;

    let command = format!(
        "echo first; while ! [ -e {} ]; do sleep 0.05; done; echo second; exec sleep 100000",
        file("go").display()
    );
    assert!(run_stdin(&cluster, &app("/talk", &command, 1), &[]).status.success());
    let mut logs = follow(&["app", "logs", "--follow", "talk"], "logs");
    until("what was written before is shown", async || so(read("logs").contains("first"), read("logs")))
        .await;
    std::fs::write(file("go"), "").unwrap();
    until("what is written now is shown", async || so(read("logs").contains("second"), read("logs"))).await;
    assert_eq!(read("logs").matches("first").count(), 1, "nothing twice: {}", read("logs"));

    until("the deployment's end is told", async || {
        let lines: Vec<Value> =
            read("events").lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let done = |event: &Value| event["event"] == "deployment" && event["data"]["state"] == "succeeded";
        so(lines.iter().any(done) && lines.iter().any(|event| event["event"] == "task"), &lines)
    })
    .await;
    for child in [&mut events, &mut logs] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Writes files below the cluster's directory and returns the path of their own.
fn files(cluster: &Cluster, name: &str, all: &[(&str, String)]) -> String {
    let directory = cluster.directory.join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for (name, text) in all {
        std::fs::write(directory.join(name), text).unwrap();
    }
    directory.display().to_string()
}

#[tokio::test]
async fn files_are_compared_and_applied() {
    let cluster = Cluster::start(1).await;
    let yaml = |cpus: &str| {
        format!(
            "id: /shop\napps:\n- id: web\n  cmd: exec sleep 100000\n  cpus: {cpus}\n  mem: 32\n\
             - id: db\n  cmd: exec sleep 100000\n  cpus: 0.01\n  mem: 32\n"
        )
    };
    let other = app("/other/one", "exec sleep 100000", 1).to_string();
    let directory = files(&cluster, "wanted", &[("shop.yaml", yaml("0.01")), ("other.json", other)]);

    let differs = cluster.cli(&["diff", &directory]);
    assert_eq!(differs.status.code(), Some(1), "{}", err(&differs));
    assert!(out(&differs).contains("+ /shop/web new") && err(&differs).is_empty(), "{}", out(&differs));
    let dry = done(&cluster, &["apply", "-f", &directory, "--dry-run"]);
    assert!(dry.ends_with("nothing was changed; without --dry-run: 3 created\n"), "{dry}");
    assert_eq!(done(&cluster, &["app", "list"]), "no services\n");

    let applied = done(&cluster, &["apply", "-f", &directory]);
    assert!(applied.ends_with("\n3 created\n"), "{applied}");
    assert_eq!(cluster.http.running("/shop/web").await.unwrap().len(), 1);
    let same = done(&cluster, &["diff", &directory]);
    assert_eq!(same, "no difference: 3 services are as defined\n");
    let again = cluster.cli_json(&["apply", "-f", &directory]);
    assert_eq!(again["deployments"], json!([]), "the second time nothing happens: {again}");

    // One field is changed, one service leaves the files: only those are touched.
    let before = cluster.http.running("/shop/db").await.unwrap();
    let only_web = yaml("0.02").split("- id: db").next().unwrap().to_owned();
    files(&cluster, "wanted", &[("shop.yaml", only_web)]);
    let differs = cluster.cli(&["diff", &format!("{directory}/shop.yaml")]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(out(&differs).contains("~ /shop/web differs") && out(&differs).contains("~ cpus  0.01 → 0.02"));
    let applied = done(&cluster, &["apply", "-f", &directory, "--wait"]);
    assert!(applied.ends_with("\n1 changed\n"), "{applied}");
    assert_eq!(cluster.http.running("/shop/db").await.unwrap(), before, "what is not named stays");
    let pruned = cluster.cli_json(&["apply", "-f", &directory, "--prune", "shop"]);
    let action = |id: &str| {
        let steps = pruned["steps"].as_array().unwrap();
        steps.iter().find(|step| step["id"] == id).map(|step| step["action"].clone())
    };
    assert_eq!(action("/shop/db"), Some(json!("remove")), "{pruned}");
    assert_eq!(action("/other/one"), Some(json!("keep")), "{pruned}");
    assert_eq!(cluster.cli_json(&["app", "list"])["services"].as_array().unwrap().len(), 2);

    // What is ambiguous or wrong is refused with its place, before anything is changed.
    let twice = files(
        &cluster,
        "twice",
        &[("a.json", app("/x", "true", 1).to_string()), ("b.yaml", "- {id: /x, cmd: exec sleep 1}\n".into())],
    );
    let said = fails(&cluster, 2, &["apply", "-f", &twice]);
    assert!(said.contains("'/x' is defined twice") && said.contains("b.yaml, [0]"), "{said}");
    let wrong = files(&cluster, "wrong", &[("a.yaml", "{id: /x, cmd: x, cpus: many}".into())]);
    let said = fails(&cluster, 2, &["diff", &wrong]);
    assert!(said.contains("/cpus") && said.contains("wrong/a.yaml"), "{said}");
    let only_shop = format!("{directory}/shop.yaml");
    let said = fails(&cluster, 2, &["apply", "-f", &only_shop, "--prune", "other"]);
    assert!(said.contains("define nothing in /other"), "{said}");
}

#[tokio::test]
async fn groups_are_shown_and_changed() {
    let cluster = Cluster::start(1).await;
    let apps =
        json!([app("/shop/web", "exec sleep 100000", 1), app("/shop/back/db", "exec sleep 100000", 1)]);
    assert!(run_stdin(&cluster, &apps, &[]).status.success());
    let list = done(&cluster, &["group", "list"]);
    assert!(list.contains("/shop/back ") && list.lines().count() == 3, "{list}");
    let shown = done(&cluster, &["group", "show", "shop"]);
    assert!(shown.contains("2 asked for, 2 running") && shown.contains("/shop/back/db"), "{shown}");
    done(&cluster, &["group", "put", "dev", "--enforce-role", "true"]);
    let groups = cluster.cli_json(&["group", "list"]);
    let dev = groups["groups"].as_array().unwrap().iter().find(|group| group["id"] == "/dev").unwrap();
    assert_eq!(dev["enforceRole"], true, "{groups}");
    let said = fails(&cluster, 3, &["group", "show", "shpo"]);
    assert!(said.contains("did you mean '/shop'?"), "{said}");
    fails(&cluster, 2, &["group", "remove", "/"]);
    assert!(done(&cluster, &["group", "remove", "shop"]).contains("/shop removed"));
    assert_eq!(done(&cluster, &["app", "list"]), "no services\n");
}

#[tokio::test]
async fn whatever_an_id_names_is_explained() {
    let cluster = Cluster::start(1).await;
    assert!(run_stdin(&cluster, &app("/shop/web", "exec sleep 100000", 1), &[]).status.success());
    let said = done(&cluster, &["explain", "shop/web"]);
    assert!(said.contains("service /shop/web is healthy: 1 of 1 instance running"), "{said}");
    assert!(done(&cluster, &["explain", "node1"]).contains("node node1 is active"));
    let task = cluster.http.running("/shop/web").await.unwrap()[0].id.to_string();
    let instance = task.split("._app").next().unwrap();
    let said = done(&cluster, &["explain", &instance[instance.len() - 8..]]);
    assert!(said.contains("is running on node1") && said.contains("hansa explain /shop/web"), "{said}");
    let said = fails(&cluster, 3, &["explain", "shop/wbe"]);
    assert!(said.contains("did you mean '/shop/web'?"), "{said}");

    let failing = app("/shop/broken", "echo cannot go on >&2; exit 3", 1);
    run_stdin(&cluster, &failing, &["--no-wait"]);
    until("it is said that it fails", async || {
        let said = done(&cluster, &["explain", "shop/broken"]);
        so(said.contains("status 3") && said.contains("hansa logs /shop/broken"), said)
    })
    .await;
    let nothing_fits = json!({"id": "/shop/huge", "cmd": "true", "cpus": 1000});
    run_stdin(&cluster, &nothing_fits, &["--no-wait"]);
    until("it is said that nothing fits", async || {
        let said = done(&cluster, &["explain", "shop/huge"]);
        so(said.contains("cpus short") && said.contains("fits on none of 1 machine"), said)
    })
    .await;
}

#[tokio::test]
async fn logs_follow_instances_that_come_and_go() {
    let cluster = Cluster::start(2).await;
    let command = "echo begun; echo trouble >&2; trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done";
    assert!(run_stdin(&cluster, &app("/talk", command, 1), &[]).status.success());
    let file = |name: &str| cluster.directory.join(name);
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let mut logs = hansa();
    logs.args(["--master", &cluster.http.base, "logs", "-f", "talk"]);
    logs.stdout(std::fs::File::create(file("out")).unwrap());
    logs.stderr(std::fs::File::create(file("err")).unwrap());
    let mut logs = logs.spawn().unwrap();
    until("the first says hello", async || so(read("out").matches("| begun").count() == 1, read("out")))
        .await;
    until("stderr is marked", async || so(read("out").contains(" ! trouble"), read("out"))).await;
    done(&cluster, &["app", "scale", "talk", "2"]);
    until("the second joins", async || so(read("out").matches("| begun").count() == 2, read("out"))).await;
    until("that is told", async || so(read("err").contains("+ "), read("err"))).await;
    done(&cluster, &["app", "scale", "talk", "1"]);
    until("an end is told", async || so(read("err").contains("\n- "), read("err"))).await;
    until("its last words are shown", async || so(read("out").contains("| bye"), read("out"))).await;
    assert_eq!(read("out").matches("| begun").count(), 2, "nothing twice: {}", read("out"));
    logs.kill().unwrap();
    logs.wait().unwrap();
}

#[tokio::test]
async fn lists_are_watched_and_printed_in_every_format() {
    let cluster = Cluster::start(1).await;
    let file = cluster.directory.join("watched");
    let mut watch = hansa();
    watch.args(["--master", &cluster.http.base, "app", "list", "--watch"]);
    let mut watch = watch.stdout(std::fs::File::create(&file).unwrap()).spawn().unwrap();
    let read = || std::fs::read_to_string(&file).unwrap();
    until("it is shown", async || so(read() == "no services\n", read())).await;
    assert!(run_stdin(&cluster, &app("/web", "exec sleep 100000", 1), &[]).status.success());
    until("it is shown again", async || so(read().contains("1/1"), read())).await;
    watch.kill().unwrap();
    watch.wait().unwrap();
    fails(&cluster, 2, &["app", "remove", "web", "--watch"]);

    let yaml = done(&cluster, &["app", "list", "--output", "yaml"]);
    assert!(yaml.contains("services:\n") && yaml.contains("id: /web"), "{yaml}");
    let mut narrow = hansa();
    narrow.env("COLUMNS", "80").args(["--master", &cluster.http.base, "task", "list"]);
    let narrow = out(&narrow.output().unwrap());
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    let wide = done(&cluster, &["task", "list", "--output", "wide"]);
    assert!(wide.contains("._app.1"), "{wide}");
}
