//! A.4, A.5: what an agent's `--resources` sets apart: resources that are kept for roles, and disks of their own. Each has a
//! cluster of its own, so these are for ours only.

use crate::World;
use crate::cases;
use crate::operator::{operate, read};
use crate::scheduler::{Scheduler, amount, info_with, launch, scalar, task};
use crate::support::{Cluster, until};
use crate::wire::Request;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

cases! {
    offered: "A.4 what an agent keeps for a role is offered to it and those below it alone, as STATIC",
    shown: "A.4 what an agent keeps for a role is shown as its",
    for_good: "A.4 nobody takes back what an agent keeps, and what is reserved on top of it can be",
    sources: "A.5 PATH and MOUNT disks are offered with their sources",
    whole: "A.5 a MOUNT disk is taken whole or not at all",
    volumes: "A.5 volumes on disks of their own lie there, outlive agents, and go with DESTROY",
}

const REFINED: &[&str] = &["MULTI_ROLE", "RESERVATION_REFINEMENT"];

/// Takes away what was mounted for a case.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let path = std::ffi::CString::new(self.0.to_str().expect("text")).expect("no zeros");
        // SAFETY: the path is a C string.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

/// A file system of its own; None: that is not for everybody to make.
fn mounted(path: &Path) -> Option<Mounted> {
    std::fs::create_dir_all(path).expect("a directory");
    let target = std::ffi::CString::new(path.to_str()?).ok()?;
    // SAFETY: all of them are C strings.
    let done = unsafe {
        libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=16m".as_ptr().cast())
    };
    if done != 0 {
        println!("  nothing can be mounted here: MOUNT disks are not tested");
    }
    (done == 0).then(|| Mounted(path.to_owned()))
}

/// A cluster of an agent with these resources, and what cases are given of it; None: the master is not ours.
async fn own(world: &World, resources: &str) -> Option<(World, Cluster)> {
    world.cluster.as_ref()?;
    let cluster = Cluster::start_with(1, &["--resources", resources]).await;
    Some((World { master: cluster.http.base.replace("http://", ""), cluster: None }, cluster))
}

const KEPT: &str =
    "cpus:2;mem:1024;disk:1000;ports:[31000-31010];cpus(db):1;mem(db):512;ports(db):[31100-31105]";

fn list(resources: &Value) -> Vec<Value> {
    resources.as_array().expect("resources").clone()
}

async fn offered(world: &World) {
    let Some((world, _cluster)) = own(world, KEPT).await else { return };
    let stack = json!([{"type": "STATIC", "role": "db"}]);
    for (role, most) in [("*", 2.0), ("other", 2.0), ("db", 3.0), ("db/a", 3.0)] {
        let mut framework = Scheduler::subscribe(&world, &info_with("configured", role, REFINED)).await;
        let offer = framework.offer().await;
        assert_eq!(amount(&offer["resources"], "cpus"), most, "{role}: {offer}");
        let kept = list(&offer["resources"]).into_iter().filter(|one| one["reservations"] == stack);
        assert_eq!(kept.count(), if most > 2.0 { 3 } else { 0 }, "{role}: {offer}");
        framework.teardown().await;
    }
    // Who does not read stacks of reservations sees the role, and no reservation of anybody's.
    let mut framework = Scheduler::subscribe(&world, &info_with("configured", "db", &["MULTI_ROLE"])).await;
    let offer = framework.offer().await;
    let kept: Vec<_> = list(&offer["resources"]).into_iter().filter(|one| one["role"] == "db").collect();
    assert!(kept.len() == 3 && kept.iter().all(|one| one.get("reservation").is_none()), "{offer}");
    let mut uses = task("uses", &offer, "echo $PORTS $PORT0");
    let mem = kept.iter().find(|one| one["name"] == "mem").expect("memory").clone();
    uses["resources"] =
        json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}, "role": "db"}, mem]);
    framework.accept(&offer, &[launch(&[uses])]).await;
    framework.until("uses", "TASK_FINISHED").await;
    framework.teardown().await;
}

async fn shown(world: &World) {
    let Some((world, cluster)) = own(world, KEPT).await else { return };
    let kept = json!({"cpus": 1.0, "disk": 0.0, "gpus": 0.0, "mem": 512.0, "ports": "[31100-31105]"});
    for path in ["/state", "/slaves"] {
        let agent = Request::get(path).send(&world.master).await.json()["slaves"][0].clone();
        assert_eq!(agent["reserved_resources"], json!({"db": kept}), "{path}");
        assert_eq!(agent["unreserved_resources"]["cpus"], json!(2.0), "{path}");
        assert_eq!(agent["resources"]["cpus"], json!(3.0), "{path}");
        if path == "/slaves" {
            let full = &agent["reserved_resources_full"]["db"][0];
            assert_eq!(full["reservations"], json!([{"type": "STATIC", "role": "db"}]), "{full}");
            assert_eq!((&full["role"], full.get("reservation")), (&json!("db"), None), "{full}");
        }
        let pid = agent["pid"].as_str().expect("a pid").to_owned();
        let own = Request::get("/state").send(pid.trim_start_matches("slave(1)@")).await.json();
        assert_eq!(own["reserved_resources"], json!({"db": kept}), "the agent itself");
        assert_eq!(own["unreserved_resources"]["cpus"], json!(2.0), "the agent itself");
    }
    let agents = read(&world, "GET_AGENTS").await;
    let resources = list(&agents["agents"][0]["agent_info"]["resources"]);
    let fixed =
        resources.iter().filter(|one| one["reservations"] == json!([{"type": "STATIC", "role": "db"}]));
    assert_eq!(fixed.count(), 3, "{agents}");
    let roles = Request::get("/roles").send(&world.master).await.json();
    let db = list(&roles["roles"]).into_iter().find(|role| role["name"] == "db").expect("the role");
    // All of it counts as consumed, used or not.
    assert_eq!(db["quota"]["consumed"]["cpus"], json!(1.0), "{db}");
    drop(cluster);
}

fn of(kind: &str, agent: &Value, resource: &Value) -> Value {
    let key = if kind.contains("VOLUMES") { "volumes" } else { "resources" };
    json!({"type": kind, kind.to_lowercase(): {"agent_id": agent, key: [resource]}})
}

fn with(mut resource: Value, stack: Value) -> Value {
    resource["reservations"] = stack;
    resource
}

async fn for_good(world: &World) {
    let Some((world, _cluster)) = own(world, KEPT).await else { return };
    let agent = read(&world, "GET_AGENTS").await["agents"][0]["agent_info"]["id"].clone();
    let fixed = with(scalar("cpus", 1.0), json!([{"type": "STATIC", "role": "db"}]));
    for kind in ["UNRESERVE_RESOURCES", "RESERVE_RESOURCES"] {
        let answer = operate(&world, &of(kind, &agent, &fixed)).await;
        assert_eq!(answer.status(), 400, "{kind}: {}", answer.text());
    }
    let mut framework = Scheduler::subscribe(&world, &info_with("configured", "db/a", REFINED)).await;
    let offer = framework.offer().await;
    framework.accept(&offer, &[json!({"type": "UNRESERVE", "unreserve": {"resources": [fixed]}})]).await;
    let both = json!([{"type": "STATIC", "role": "db"}, {"type": "DYNAMIC", "role": "db/a"}]);
    let top = with(scalar("cpus", 0.5), both.clone());
    let kept = |offer: &Value, stack: &Value| {
        let all = list(&offer["resources"]).into_iter().filter(|one| one["reservations"] == *stack);
        amount(&json!(all.collect::<Vec<_>>()), "cpus")
    };
    let fixed = json!([{"type": "STATIC", "role": "db"}]);
    let offer = framework.offer_where("all that is kept", |offer| kept(offer, &fixed) == 1.0).await;
    framework.accept(&offer, &[json!({"type": "RESERVE", "reserve": {"resources": [top]}})]).await;
    framework.offer_where("some on top", |offer| kept(offer, &both) == 0.5).await;
    assert_eq!(operate(&world, &of("UNRESERVE_RESOURCES", &agent, &top)).await.status(), 202);
    framework
        .offer_where("none on top", |offer| kept(offer, &both) == 0.0 && kept(offer, &fixed) > 0.0)
        .await;
    framework.teardown().await;
}

/// An agent with disks of its own at these directories.
fn with_disks(path: &Path, mount: &Path) -> String {
    let disk = |value: u32| json!({"name": "disk", "type": "SCALAR", "scalar": {"value": value}});
    let mut all = vec![scalar("cpus", 2.0), scalar("mem", 1024.0), disk(1000), disk(100), disk(16)];
    all[3]["disk"] = json!({"source": {"type": "PATH", "path": {"root": path}}});
    all[4]["disk"] = json!({"source": {"type": "MOUNT", "mount": {"root": mount}}});
    json!(all).to_string()
}

/// A cluster of such an agent, with its directories.
struct Disks {
    world: World,
    cluster: Cluster,
    path: PathBuf,
    mount: PathBuf,
    agent: Value,
    _mounted: Mounted,
    _directory: tempfile::TempDir,
}

async fn disks(world: &World) -> Option<Disks> {
    let directory = tempfile::Builder::new().prefix("hansa-test-disks-").tempdir().expect("a directory");
    let (path, mount) = (directory.path().join("path"), directory.path().join("mount"));
    world.cluster.as_ref()?;
    let mounted = mounted(&mount)?;
    let (world, cluster) = own(world, &with_disks(&path, &mount)).await?;
    let agent = read(&world, "GET_AGENTS").await["agents"][0]["agent_info"]["id"].clone();
    Some(Disks { world, cluster, path, mount, agent, _mounted: mounted, _directory: directory })
}

impl Disks {
    fn path(&self, value: f64) -> Value {
        let mut disk = scalar("disk", value);
        disk["disk"] = json!({"source": {"type": "PATH", "path": {"root": self.path}}});
        disk
    }

    fn mount(&self, value: f64) -> Value {
        let mut disk = scalar("disk", value);
        disk["disk"] = json!({"source": {"type": "MOUNT", "mount": {"root": self.mount}}});
        disk
    }
}

fn kept(disk: &Value) -> Value {
    with(disk.clone(), json!([{"type": "DYNAMIC", "role": "db"}]))
}

fn volume(disk: &Value, id: &str) -> Value {
    let mut volume = kept(disk);
    volume["disk"]["persistence"] = json!({"id": id});
    volume["disk"]["volume"] = json!({"mode": "RW", "container_path": id});
    volume
}

async fn sources(world: &World) {
    let Some(own) = disks(world).await else { return };
    let mut framework = Scheduler::subscribe(&own.world, &info_with("disks", "db", REFINED)).await;
    let offer = framework.offer().await;
    let disks: Vec<_> = list(&offer["resources"]).into_iter().filter(|one| one["name"] == "disk").collect();
    let seen = |disk: &Value| (disk["disk"].clone(), disk["scalar"]["value"].as_f64());
    let expected = [
        (Value::Null, Some(1000.0)),
        (own.path(0.0)["disk"].clone(), Some(100.0)),
        (own.mount(0.0)["disk"].clone(), Some(16.0)),
    ];
    for disk in &expected {
        assert!(disks.iter().map(seen).any(|seen| seen == *disk), "{disk:?} in {offer}");
    }
    assert_eq!(disks.len(), 3, "{offer}");
    // Whoever never saw a source gets the agent's own disk.
    let mut plain = task("plain", &offer, "true");
    plain["resources"].as_array_mut().expect("a list").push(scalar("disk", 900.0));
    framework.accept(&offer, &[launch(&[plain])]).await;
    framework.until("plain", "TASK_FINISHED").await;
    let offer = framework.offer().await;
    let mut much = task("much", &offer, "true");
    much["resources"].as_array_mut().expect("a list").push(scalar("disk", 1001.0));
    framework.accept(&offer, &[launch(&[much])]).await;
    framework.until("much", "TASK_ERROR").await;
    framework.teardown().await;
    let agents = Request::get("/slaves").send(&own.world.master).await.json();
    assert_eq!(agents["slaves"][0]["resources"]["disk"], json!(1116.0));
    let full = list(&agents["slaves"][0]["unreserved_resources_full"]);
    assert!(full.iter().any(|one| one["disk"]["source"]["type"] == "MOUNT"), "{full:?}");
    for kind in ["BLOCK", "RAW"] {
        let mut disk = kept(&own.mount(16.0));
        disk["disk"]["source"] = json!({"type": kind});
        let answer = operate(&own.world, &of("RESERVE_RESOURCES", &own.agent, &disk)).await;
        assert!(answer.status() == 400 && answer.text().contains(kind), "{}", answer.text());
    }
}

async fn whole(world: &World) {
    let Some(own) = disks(world).await else { return };
    for value in [1.0, 15.0, 17.0, 32.0] {
        let answer =
            operate(&own.world, &of("RESERVE_RESOURCES", &own.agent, &kept(&own.mount(value)))).await;
        assert_eq!(answer.status(), 409, "{value}: {}", answer.text());
    }
    let say = async |kind: &str, resource: &Value| {
        operate(&own.world, &of(kind, &own.agent, resource)).await.status()
    };
    assert_eq!(say("RESERVE_RESOURCES", &kept(&own.path(30.0))).await, 202, "a part of PATH is a disk, too");
    assert_eq!(say("RESERVE_RESOURCES", &kept(&own.mount(16.0))).await, 202);
    assert_eq!(say("CREATE_VOLUMES", &volume(&own.mount(8.0), "half")).await, 409);
    assert_eq!(say("UNRESERVE_RESOURCES", &kept(&own.mount(8.0))).await, 409);
    assert_eq!(say("CREATE_VOLUMES", &volume(&own.mount(16.0), "all")).await, 202);
    assert_eq!(say("DESTROY_VOLUMES", &volume(&own.mount(16.0), "all")).await, 202);
    assert_eq!(say("UNRESERVE_RESOURCES", &kept(&own.mount(16.0))).await, 202);
}

async fn volumes(world: &World) {
    let Some(mut own) = disks(world).await else { return };
    let mut framework = Scheduler::subscribe(&own.world, &info_with("disks", "db", REFINED)).await;
    let offer = framework.offer().await;
    let (on_path, on_mount) = (volume(&own.path(40.0), "p1"), volume(&own.mount(16.0), "m1"));
    let mut writes = task("writes", &offer, "echo one > p1/file && echo two > m1/file");
    writes["resources"].as_array_mut().expect("a list").extend([on_path.clone(), on_mount.clone()]);
    let operations = [
        json!({"type": "RESERVE", "reserve": {"resources": [kept(&own.path(40.0)), kept(&own.mount(16.0))]}}),
        json!({"type": "CREATE", "create": {"volumes": [on_path, on_mount]}}),
        launch(&[writes]),
    ];
    framework.accept(&offer, &operations).await;
    framework.until("writes", "TASK_FINISHED").await;
    let directory = own.path.join("volumes/roles/db/p1");
    let read_file = |path: PathBuf| std::fs::read_to_string(path).ok();
    assert_eq!(read_file(directory.join("file")).as_deref(), Some("one\n"));
    assert_eq!(read_file(own.mount.join("file")).as_deref(), Some("two\n"));
    let both = |offer: &Value| {
        let ids =
            list(&offer["resources"]).into_iter().filter(|one| one["disk"]["persistence"]["id"].is_string());
        ids.count() == 2
    };
    // What is offered before the restart is taken back then.
    framework.offer_where("both volumes", both).await;
    own.cluster.kill_agent(0).await;
    own.cluster.start_agent(0);
    let offer = framework.offer_where("both volumes again", both).await;
    let mut reads = task("reads", &offer, "grep one p1/file && grep two m1/file");
    reads["resources"].as_array_mut().expect("a list").extend([on_path.clone(), on_mount.clone()]);
    framework.accept(&offer, &[launch(&[reads])]).await;
    framework.until("reads", "TASK_FINISHED").await;
    let offer = framework.offer_where("both volumes", both).await;
    framework
        .accept(&offer, &[json!({"type": "DESTROY", "destroy": {"volumes": [on_path, on_mount]}})])
        .await;
    until("what was in them goes, and the disk stays", async || {
        let left = std::fs::read_dir(&own.mount).map_err(|error| error.to_string())?.count();
        crate::support::so(left == 0 && !directory.exists(), left)
    })
    .await;
    framework.teardown().await;
}
