//! C.2: what is understood though it is not written as it should be.

use crate::World;
use crate::cases;
use crate::scheduler::{PATH, Scheduler, info, launch, subscribe_call, task};
use crate::wire::Request;
use serde_json::{Value, json};

cases! {
    unknown_fields: "fields that nobody knows are passed over, at every depth",
    nulls: "null is as good as nothing",
    texts: "numbers and switches may be texts",
    single: "one element may stand where a list is expected",
    enums: "an enum is a name: an unknown one is nothing, a number is a mistake",
    base64: "base64 without padding and with blanks",
    large: "a call of a megabyte",
    chunked: "a call that comes in chunks",
}

async fn subscribes(world: &World, change: impl FnOnce(&mut Value)) {
    let mut call = subscribe_call(&info("lenient"));
    change(&mut call);
    Scheduler::with(world, &call).await.teardown().await;
}

async fn unknown_fields(world: &World) {
    subscribes(world, |call| {
        call["nobody"] = json!({"knows": [1, {"this": null}]});
        call["subscribe"]["credentials"] = json!([{"principal": "a", "secret": "b"}]);
        call["subscribe"]["framework_info"]["maybe"] = json!("later");
    })
    .await;
    let mut framework = Scheduler::subscribe(world, &info("lenient")).await;
    let offer = framework.offer().await;
    let mut task = task("extra", &offer, "exit 0");
    task["slave_id"] = offer["agent_id"].clone();
    task["command"]["uris"] = json!([]);
    task["command"]["outputfile"] = json!("x");
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until("extra", "TASK_FINISHED").await;
    framework.teardown().await;
}

async fn nulls(world: &World) {
    subscribes(world, |call| {
        call["framework_id"] = Value::Null;
        let info = &mut call["subscribe"]["framework_info"];
        for key in ["id", "role", "roles", "webui_url", "principal", "labels", "capabilities", "checkpoint"] {
            info[key] = Value::Null;
        }
    })
    .await;
}

async fn texts(world: &World) {
    subscribes(world, |call| {
        call["subscribe"]["framework_info"]["failover_timeout"] = json!("10.5");
        call["subscribe"]["framework_info"]["checkpoint"] = json!("true");
    })
    .await;
    let mut framework = Scheduler::subscribe(world, &info("lenient")).await;
    let offer = framework.offer().await;
    let mut task = task("texts", &offer, "exit 0");
    task["resources"][0]["scalar"]["value"] = json!("0.1");
    task["limits"] = json!({"cpus": {"value": "Infinity"}});
    framework.accept(&offer, &[launch(&[task])]).await;
    framework.until("texts", "TASK_FINISHED").await;
    framework.teardown().await;
}

async fn single(world: &World) {
    subscribes(world, |call| {
        let info = &mut call["subscribe"]["framework_info"];
        info["roles"] = json!("lenient");
        info["capabilities"] = json!({"type": "MULTI_ROLE"});
    })
    .await;
}

async fn enums(world: &World) {
    subscribes(world, |call| {
        call["subscribe"]["framework_info"]["capabilities"] = json!([{"type": "NOT_INVENTED_YET"}]);
    })
    .await;
    for (kind, status) in [(json!(1), 400), (json!("subscribe"), 400), (json!("SUBSCRIBE"), 200)] {
        let mut call = subscribe_call(&info("lenient"));
        call["type"] = kind.clone();
        let stream = Request::json(PATH, &call).open(&world.master).await;
        assert_eq!(stream.head.status, status, "{kind}");
    }
}

async fn base64(world: &World) {
    let framework = Scheduler::subscribe(world, &info("lenient")).await;
    for uuid in ["AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODw", "AAEC AwQF BgcI\nCQoL DA0ODw=="] {
        framework
            .call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
                "agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": uuid
            }}))
            .await;
    }
    framework.teardown().await;
}

async fn large(world: &World) {
    subscribes(world, |call| {
        call["subscribe"]["framework_info"]["labels"] =
            json!({"labels": [{"key": "large", "value": "x".repeat(1 << 20)}]});
    })
    .await;
}

async fn chunked(world: &World) {
    let call = subscribe_call(&info("lenient")).to_string();
    let (first, second) = call.split_at(10);
    let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let mut stream = Request::new("POST", PATH)
        .header("Content-Type", "application/json")
        .header("Transfer-Encoding", "chunked")
        .unmeasured(body)
        .open(&world.master)
        .await;
    assert_eq!(stream.json().await.expect("an event")["type"], "SUBSCRIBED");
}
