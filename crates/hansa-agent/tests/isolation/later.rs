//! Volumes and devices that come to containers which run already, and go again.

use crate::Test;
use crate::fixture::Fixture;
use crate::image::{Image, write};
use hansa_agent::launcher;
use hansa_agent::shim::{Change, Client, ClientError, MountKind, MountSpec, SANDBOX_IN_IMAGE, ShimSpec};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("a volume comes to a container that runs, and goes again", life),
        test("no link that a container made leads a later volume away", attacks),
        test("a volume that was there from the start goes, wherever it was moved", moved),
        test("a volume is not put over something else, nor taken for it", others),
        test("a device comes to a container that runs, and goes again", devices),
    ]
}

/// What ordinary users can have, too.
pub fn ordinary() -> Vec<Test> {
    vec![Test {
        name: "a volume comes to an ordinary user's container that runs",
        needs_root: false,
        run: as_allowed,
        plain: false,
    }]
}

/// A container that waits, on an image or the machine's own root, and where it sees its sandbox.
fn waiting(fixture: &Fixture, name: &str, image: Option<&Image>) -> (ShimSpec, PathBuf) {
    let script = "echo ready; sleep 1000";
    match image {
        Some(image) => (image.shell(fixture, name, script), SANDBOX_IN_IMAGE.into()),
        None => {
            let mut spec = fixture.shell(name, script);
            spec.hidden_paths = vec![fixture.path().to_owned()];
            (spec, fixture.sandbox(name))
        }
    }
}

fn begin(fixture: &Fixture, spec: &ShimSpec) -> Client {
    let client = fixture.spawn(spec);
    fixture.until("ready", || fixture.stdout(&spec.container).contains("ready"));
    client
}

fn end(fixture: &Fixture, client: &Client) {
    fixture.within(client.kill()).unwrap();
    fixture.wait(client);
}

/// What a script says inside.
fn say(fixture: &Fixture, client: &Client, script: &str) -> String {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    fixture.within(client.exec(argv, BTreeMap::new(), Duration::from_secs(20))).unwrap().output
}

/// The volume `id`, seen there.
fn volume(fixture: &Fixture, id: &str, target: impl Into<PathBuf>) -> MountSpec {
    let root = fixture.path().join("volumes");
    std::fs::create_dir_all(&root).unwrap();
    MountSpec { source: id.into(), target: target.into(), read_only: false, kind: MountKind::Within { root } }
}

fn put(fixture: &Fixture, client: &Client, mount: &MountSpec) -> Result<(), String> {
    change(fixture, client, Change::Mount(mount.clone()))
}

fn take(fixture: &Fixture, client: &Client, mount: &MountSpec) {
    change(fixture, client, Change::Unmount(mount.clone())).unwrap();
}

fn change(fixture: &Fixture, client: &Client, change: Change) -> Result<(), String> {
    fixture.within(client.change(change)).map_err(|error| match error {
        ClientError::Refused(why) => why,
        ClientError::Gone => panic!("the shim is gone"),
    })
}

/// How many mounts a container has there or below.
fn mounts(client: &Client, place: &Path) -> usize {
    let list = std::fs::read_to_string(format!("/proc/{}/mountinfo", client.started().init.pid)).unwrap();
    let points = list.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| Path::new(point).starts_with(place)).count()
}

fn life() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    for (name, on) in [("image", Some(&image)), ("plain", None)] {
        let (mut spec, sandbox) = waiting(&fixture, name, on);
        spec.user = Some("4711:4712".into());
        let client = begin(&fixture, &spec);
        let before = mounts(&client, Path::new("/"));
        let mount = volume(&fixture, name, sandbox.join("deep/data"));
        // Made now, and the user's, as at a container's start.
        put(&fixture, &client, &mount).unwrap();
        let kept = fixture.path().join("volumes").join(name);
        let owner = std::fs::metadata(&kept).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (4711, 4712));
        write(&kept.join("old"), "from before\n");
        let said = say(&fixture, &client, "cat deep/data/old; echo new > deep/data/new; cat deep/data/new");
        assert_eq!(said, "from before\nnew\n", "{name}");
        assert_eq!(std::fs::read_to_string(kept.join("new")).unwrap(), "new\n");
        // Once more changes nothing.
        put(&fixture, &client, &mount).unwrap();
        assert_eq!(mounts(&client, Path::new("/")), before + 1, "{name}");
        // It is seen in the container alone, and one that cannot be written stays so.
        assert!(!fixture.sandbox(name).join("deep/data/old").exists());
        let mut read_only = volume(&fixture, name, sandbox.join("read"));
        read_only.read_only = true;
        put(&fixture, &client, &read_only).unwrap();
        let said = say(&fixture, &client, "cat read/new; touch read/x 2>&- || echo protected");
        assert_eq!(said, "new\nprotected\n", "{name}");
        // Nobody has to let go of it first.
        let script = "cd deep/data && (sleep 1000 > open &) ; until [ -e open ]; do :; done";
        say(&fixture, &client, script);
        take(&fixture, &client, &mount);
        take(&fixture, &client, &mount);
        assert_eq!(mounts(&client, Path::new("/")), before, "{name}");
        let script = "ls deep; ls -d read 2>&- || echo gone; (echo x > deep/data/late) 2>&- || echo gone";
        let said = say(&fixture, &client, script);
        assert_eq!(said, "gone\ngone\n", "{name}");
        assert!(kept.join("new").exists() && !kept.join("late").exists());
        // And it may come again.
        put(&fixture, &client, &mount).unwrap();
        assert_eq!(say(&fixture, &client, "cat deep/data/new"), "new\n");
        end(&fixture, &client);
    }
    fixture.assert_nothing_left();
}

fn attacks() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let outside = fixture.path().join("outside");
    std::fs::create_dir_all(outside.join("below")).unwrap();
    for (name, on) in [("image", Some(&image)), ("plain", None)] {
        let (spec, sandbox) = waiting(&fixture, name, on);
        let client = begin(&fixture, &spec);
        let before = mounts(&client, Path::new("/"));
        // What a program inside can do, and what the agent's own files would allow.
        say(
            &fixture,
            &client,
            "ln -s /etc absolute; ln -s ../../../../../../etc up; ln -s . here; ln -s /nowhere dangling",
        );
        symlink(&outside, fixture.sandbox(name).join("out")).unwrap();
        for target in ["absolute", "up", "here/x", "dangling", "out", "out/below", "out/new"] {
            let why = put(&fixture, &client, &volume(&fixture, "v", sandbox.join(target))).unwrap_err();
            assert!(why.contains("a link on the way") && why.contains(target), "{name} {target}: {why}");
        }
        assert_eq!(mounts(&client, Path::new("/")), before, "{name}");
        assert!(!outside.join("new").exists() && !fixture.sandbox(name).join("x").exists());
        assert!(say(&fixture, &client, "cat /etc/passwd").contains("root:"), "{name}");
        // What is in the way is no link, but no directory.
        say(&fixture, &client, "echo > file");
        assert!(put(&fixture, &client, &volume(&fixture, "v", sandbox.join("file"))).is_err());
        for target in ["/proc/x", "/", "/a/../b", "/sys/fs"] {
            let why = put(&fixture, &client, &volume(&fixture, "v", target)).unwrap_err();
            assert!(why.contains("cannot mount at"), "{name} {target}: {why}");
        }
        end(&fixture, &client);
    }
    // A root in an image may move what his sandbox lies in; then it is found, or nothing is done.
    let (spec, sandbox) = waiting(&fixture, "root", Some(&image));
    let client = begin(&fixture, &spec);
    say(&fixture, &client, "mv /mnt /old; mkdir -p /mnt/mesos; ln -s /etc /mnt/mesos/sandbox");
    let why = put(&fixture, &client, &volume(&fixture, "v", sandbox.join("data"))).unwrap_err();
    assert!(why.contains("a link on the way"), "{why}");
    say(&fixture, &client, "rm /mnt/mesos/sandbox; mkdir /mnt/mesos/sandbox");
    let why = put(&fixture, &client, &volume(&fixture, "v", sandbox.join("data"))).unwrap_err();
    assert!(why.contains("something else is where its sandbox was"), "{why}");
    end(&fixture, &client);
    fixture.assert_nothing_left();
}

fn moved() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    for (name, on) in [("image", Some(&image)), ("plain", None)] {
        let (mut spec, sandbox) = waiting(&fixture, name, on);
        let first = volume(&fixture, "first", sandbox.join("a/data"));
        let second = volume(&fixture, "second", sandbox.join("b/data"));
        spec.mounts = vec![first.clone(), second.clone()];
        let client = begin(&fixture, &spec);
        let before = mounts(&client, Path::new("/"));
        let said = say(&fixture, &client, "echo 1 > a/data/file; mv a elsewhere; cat elsewhere/data/file");
        assert_eq!(said, "1\n", "{name}");
        take(&fixture, &client, &first);
        assert_eq!(mounts(&client, Path::new("/")), before - 1, "{name}");
        let said = say(&fixture, &client, "ls elsewhere; echo 2 > b/data/file; cat b/data/file");
        assert_eq!(said, "2\n", "nothing of the first, and the second is untouched: {name}");
        end(&fixture, &client);
    }
    fixture.assert_nothing_left();
}

fn others() {
    let fixture = Fixture::new();
    let (spec, sandbox) = waiting(&fixture, "plain", None);
    let client = begin(&fixture, &spec);
    let [first, second] = ["first", "second"].map(|id| volume(&fixture, id, sandbox.join("data")));
    put(&fixture, &client, &first).unwrap();
    let why = put(&fixture, &client, &second).unwrap_err();
    assert!(why.contains("something else is mounted there"), "{why}");
    // What was never there does not go.
    take(&fixture, &client, &second);
    assert_eq!(say(&fixture, &client, "echo 1 > data/file; cat data/file"), "1\n");
    take(&fixture, &client, &first);
    put(&fixture, &client, &second).unwrap();
    assert_eq!(say(&fixture, &client, "ls data"), "");
    // A volume whose directory is gone can still be asked to go.
    std::fs::remove_dir_all(fixture.path().join("volumes/first")).unwrap();
    take(&fixture, &client, &first);
    end(&fixture, &client);
    fixture.assert_nothing_left();
}

fn devices() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    // Somebody may open it, and nothing comes of that.
    let Some(device) =
        ["/dev/fuse", "/dev/loop-control"].map(PathBuf::from).into_iter().find(|one| one.exists())
    else {
        return println!("  SKIPPED: this machine has neither /dev/fuse nor /dev/loop-control");
    };
    let path = device.to_str().unwrap();
    let expected = std::fs::metadata(&device).unwrap();
    for (name, on) in [("image", Some(&image)), ("plain", None), ("given", None)] {
        let (mut spec, _) = waiting(&fixture, name, on);
        let from_start = name == "given";
        if from_start {
            spec.isolation.devices = vec![device.clone()];
        }
        let client = begin(&fixture, &spec);
        let opens = format!("(exec 3< {path}) 2>&- && echo opens || echo gone");
        assert_eq!(say(&fixture, &client, &opens) == "opens\n", from_start, "{name}");
        for _ in 0..2 {
            change(&fixture, &client, Change::AddDevice(device.clone())).unwrap();
            assert_eq!(say(&fixture, &client, &opens), "opens\n", "{name}");
        }
        let said = say(&fixture, &client, &format!("stat -c '%a %u' {path}; chmod 000 {path}"));
        assert_eq!(said, format!("{:o} {}\n", expected.mode() & 0o777, expected.uid()), "{name}");
        assert_eq!(std::fs::metadata(&device).unwrap().mode(), expected.mode(), "it is a node of its own");
        // Not by another name, either.
        let hide = format!("mkdir /dev/more; mv {path} /dev/more/other; ln /dev/more/other /dev/second");
        say(&fixture, &client, &hide);
        for _ in 0..2 {
            change(&fixture, &client, Change::RemoveDevice(device.clone())).unwrap();
            let left = "find /dev -type c -o -type f | grep -c -e fuse -e loop-control -e other -e second";
            assert_eq!(say(&fixture, &client, left), "0\n", "{name}");
        }
        assert_eq!(say(&fixture, &client, "(exec 3> /dev/null) && echo others stay"), "others stay\n");
        let refused = |path: &str| change(&fixture, &client, Change::AddDevice(path.into())).unwrap_err();
        assert!(refused("/etc/passwd").contains("not a device"));
        say(&fixture, &client, &format!("ln -s /dev/null {path}"));
        assert!(refused(path).contains(path), "no link is followed");
        end(&fixture, &client);
    }
    fixture.assert_nothing_left();
}

fn as_allowed() {
    let fixture = Fixture::new();
    let (mut spec, sandbox) = waiting(&fixture, "c", None);
    let script = "echo ready; until [ -e data/file ]; do sleep 0.02; done; cat data/file; echo new > data/new; \
                  while [ -e data ]; do sleep 0.02; done; echo gone; sleep 1000";
    spec.argv[2] = script.into();
    let client = begin(&fixture, &spec);
    let mount = volume(&fixture, "v", sandbox.join("data"));
    let done = put(&fixture, &client, &mount);
    let plain = launcher::missing_isolation().iter().any(|missing| missing.starts_with("namespaces"));
    if plain {
        assert!(done.unwrap_err().contains("run it as root"), "as at a container's start");
    } else {
        done.unwrap();
        put(&fixture, &client, &mount).unwrap();
        let kept = fixture.path().join("volumes/v");
        std::fs::write(kept.join("unseen"), "seen\n").unwrap();
        std::fs::rename(kept.join("unseen"), kept.join("file")).unwrap();
        fixture.until("it writes", || kept.join("new").exists());
        assert_eq!(say(&fixture, &client, "cat data/file"), "seen\n");
        take(&fixture, &client, &mount);
        fixture.until("it misses it", || fixture.stdout("c").ends_with("gone\n"));
        assert_eq!(fixture.stdout("c"), "ready\nseen\ngone\n");
        assert!(kept.join("file").exists() && !sandbox.join("data").exists());
    }
    end(&fixture, &client);
    fixture.assert_nothing_left();
}
