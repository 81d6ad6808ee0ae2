//! Containers with a root file system of their own.

use crate::Test;
use crate::fences::{Findings, proved};
use crate::fixture::Fixture;
use crate::image::{Image, device, write};
use hansa_agent::shim::{LaunchErrorKind, ShimSpec};
use hansa_model::task::Exit;
use std::os::unix::fs::{MetadataExt, symlink};

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("an image is the root, its layers are shared and never written", layers),
        test("users of an image are its own", users),
        test("an image's links lead nowhere outside", hostile),
        test("an image's root can be read-only", read_only),
        test("an image's container has Docker's capabilities and every fence", fences),
        test("privileged takes the fences down, a capability only its own", privileged),
        test("programs of an image may give rights, unless forbidden", setuid),
    ]
}

/// Runs it; gives its output. Everything it says on stderr fails the test.
pub fn output(fixture: &Fixture, spec: &ShimSpec) -> String {
    let record = fixture.run(spec);
    let errors = fixture.file(&spec.container, "stderr");
    assert_eq!((record.exit, errors.as_str()), (Some(Exit::Code(0)), ""), "{}", spec.container);
    fixture.stdout(&spec.container)
}

fn layers() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let script = "pwd; cat /etc/upper; ls /etc; ls /; echo mine > /etc/mine; rm /etc/upper; echo $HOME; \
                  touch here; readlink /proc/1/root; ls /mnt/mesos/sandbox";
    let expected = "/mnt/mesos/sandbox\nupper\ngroup\nhostname\nhosts\npasswd\nresolv.conf\nupper\n";
    for container in ["one", "two"] {
        let text = output(&fixture, &image.shell(&fixture, container, script));
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("/root\nhere\nstderr\nstdout\n"), "{text}");
        for machine in ["\nroot\n", "\nhome\n", "\nwork\n", "\nusr/bin\n"] {
            assert!(!text.contains(machine), "{text}");
        }
        assert!(fixture.sandbox(container).join("here").exists());
        assert!(fixture.runtime_dir(container).join("scratch/upper/etc/mine").exists());
    }
    assert!(image.layers[0].join("etc/upper").exists() && !image.layers[1].join("etc/mine").exists());
    // Two at once do not see each other.
    let wait = "echo $0 > /tmp/name; while ! test -e go; do sleep 0.05; done; cat /tmp/name; ls /tmp";
    let clients =
        ["a", "b"].map(|name| fixture.spawn(&image.spec(&fixture, name, &["/bin/sh", "-c", wait, name])));
    for (name, client) in ["a", "b"].into_iter().zip(&clients) {
        write(&fixture.sandbox(name).join("go"), "");
        fixture.wait(client);
        assert_eq!(fixture.stdout(name), format!("{name}\nname\n"));
    }
    let mut nothing = image.shell(&fixture, "nothing", "true");
    nothing.root.as_mut().unwrap().layers.clear();
    assert!(fixture.try_spawn(&nothing).unwrap_err().message.contains("no layers"));
    let mut gone = image.shell(&fixture, "gone", "true");
    gone.root.as_mut().unwrap().layers[0] = fixture.path().join("no/such");
    assert!(fixture.try_spawn(&gone).unwrap_err().message.contains("a layer of the image is gone"));
    fixture.assert_nothing_left();
}

fn users() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let run = |container: &str, user: &str, groups: &[&str]| {
        let mut spec = image.shell(
            &fixture,
            container,
            "id -u; id -G; echo $HOME; touch file; stat -c %u /mnt/mesos/sandbox/file",
        );
        spec.user = Some(user.to_owned());
        spec.groups = groups.iter().map(|name| name.to_string()).collect();
        output(&fixture, &spec)
    };
    assert_eq!(run("name", "web", &[]), "1234\n1235 44\n/srv\n1234\n");
    assert_eq!(run("number", "4711", &["video", "9"]), "4711\n0 9 44\n/\n4711\n");
    assert_eq!(run("group", "web:video", &[]), "1234\n44\n/srv\n1234\n");
    let owner = std::fs::metadata(fixture.sandbox("name").join("stdout")).unwrap().uid();
    assert_eq!(owner, 1234);
    let mut unknown = image.shell(&fixture, "unknown", "true");
    // The machine's own users mean nothing here.
    unknown.user = Some("daemon".into());
    let error = fixture.try_spawn(&unknown).unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::Spec);
    assert!(error.message.contains("the image has no user \"daemon\""), "{error}");
    fixture.assert_nothing_left();
}

/// Images that try to make the launcher write or mount outside of them.
fn hostile() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let victim = fixture.path().join("victim");
    write(&victim.join("precious"), "precious");
    let deep = format!("/../../../../../../../../..{}", victim.display());
    for (name, link) in [("dev", "/dev"), ("sys", "/sys"), ("proc", "/proc")] {
        let bad = image.with(&fixture, name, |layer| symlink(&deep, layer.join(&link[1..])).unwrap());
        let error = fixture.try_spawn(&bad.shell(&fixture, &format!("link-{name}"), "true")).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::Spec);
        assert!(error.message.contains(&format!("something else than a directory at {link}")), "{error}");
    }
    // Links on the way to what is mounted lead to places inside.
    let bad = image.with(&fixture, "links", |layer| {
        std::fs::create_dir_all(layer.join("etc")).unwrap();
        symlink(format!("{deep}/resolv.conf"), layer.join("etc/resolv.conf")).unwrap();
        symlink("/proc/self/cwd/../../hosts", layer.join("etc/hosts")).unwrap();
        symlink(&deep, layer.join("mnt")).unwrap();
        symlink("/proc/self/fd/5", layer.join("work")).unwrap();
        symlink("/dev/full", layer.join("etc/passwd")).unwrap();
    });
    let mut spec = bad.shell(&fixture, "links", "pwd; test -s /etc/resolv.conf && echo there");
    spec.working_dir = Some("/data/made".into());
    assert_eq!(output(&fixture, &spec), "/data/made\nthere\n");
    let upper = fixture.runtime_dir("links").join("scratch/upper");
    assert!(upper.join(victim.strip_prefix("/").unwrap()).join("resolv.conf").exists());
    // A working directory that is a link to one of our open files.
    let mut spec = bad.shell(&fixture, "magic", "pwd; ls");
    spec.working_dir = Some("/work".into());
    let error = fixture.try_spawn(&spec).unwrap_err();
    assert!(error.message.contains("cannot enter the working directory /work"), "{error}");
    // Device nodes of a layer cannot be opened, and a pipe for a user file blocks nobody.
    let bad = image.with(&fixture, "devices", |layer| {
        device(&layer.join("zero"), 1, 5);
        std::fs::create_dir_all(layer.join("etc")).unwrap();
        let fifo = std::ffi::CString::new(layer.join("etc/group").to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o666) }, 0);
    });
    let record = fixture.run(&bad.shell(&fixture, "devices", "head -c 1 /zero"));
    assert_eq!(record.exit, Some(Exit::Code(1)));
    assert!(fixture.file("devices", "stderr").contains("ermission denied"));
    let left: Vec<_> = std::fs::read_dir(&victim).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["precious"]);
    fixture.assert_nothing_left();
}

fn read_only() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let mut spec = image.shell(
        &fixture,
        "c",
        "for path in /x /etc/x /data/x; do touch $path 2>&- || echo $path; done; touch /tmp/x here /dev/shm/x; ls",
    );
    spec.root.as_mut().unwrap().read_only = true;
    spec.mounts = vec![hansa_agent::shim::MountSpec {
        target: "/tmp".into(),
        kind: hansa_agent::shim::MountKind::Anonymous,
        ..Default::default()
    }];
    assert_eq!(output(&fixture, &spec), "/x\n/etc/x\n/data/x\nhere\nstderr\nstdout\n");
    fixture.assert_nothing_left();
}

/// What the probe finds in an image: Docker's capabilities, and every fence that plain processes have.
fn fences() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let found = Findings::of(&fixture, &image.workload(&fixture, "probe", &["probe"]));
    let docker = "00000000a80425fb";
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(found.get("status", name), docker, "{name}");
    }
    assert_eq!((found.get("status", "NoNewPrivs"), found.get("status", "Seccomp_filters")), ("0", "3"));
    assert!(found.kind("call").chain(found.kind("clone")).all(|(_, result)| result == "EPERM"));
    proved("system calls denied in an image", found.kind("call").map(|(name, _)| name));
    let mut denied = Vec::new();
    for (path, result) in found.kind("write") {
        assert!(matches!(result, "EROFS" | "EACCES" | "ENOENT"), "{path}: {result}");
        denied.extend((result != "ENOENT").then_some(path));
    }
    assert!(denied.len() >= 4, "{denied:?}");
    proved("paths read-only in an image", denied);
    for (path, result) in found.kind("read").chain(found.kind("list")) {
        assert!(!result.ends_with("bytes") || result == "0 bytes", "{path}: {result}");
        assert!(!result.ends_with("entries") || result == "0 entries", "{path}: {result}");
    }
    for (path, result) in found.kind("init") {
        assert_eq!(result, "EACCES", "{path}");
    }
    for (path, result) in found.kind("cgroup") {
        assert_eq!(result, "EROFS", "{path}");
    }
    assert!(found.kind("cgroup").count() > 10);
    for (name, link) in found.kind("namespace") {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
        assert_eq!(link == ours, name == "net", "{name}");
    }
    assert_eq!((found.get("status", "pid"), found.get("status", "processes")), ("2", "2"));
    // As Docker: device nodes can be made (and, unlike there, never opened), raw sockets opened.
    assert_eq!((found.get("odd", "making a device"), found.get("odd", "raw socket")), ("done", "done"));
    let script = "for dir in / /tmp /dev /dev/shm /mnt/mesos/sandbox; do mknod $dir/z c 1 5 && head -c 1 $dir/z; done; \
                  head -c 3 /dev/zero | wc -c; echo x > /dev/null; ls -l /dev/zero";
    let record = fixture.run(&image.shell(&fixture, "nodes", script));
    let errors = fixture.file("nodes", "stderr");
    assert_eq!(errors.matches("ermission denied").count(), 5, "{errors}");
    let out = fixture.stdout("nodes");
    assert!(out.starts_with("3\ncrw-rw-rw-") && record.exit == Some(Exit::Code(0)), "{out}");
    proved("devices made in an image cannot be opened in", ["/", "/tmp", "/dev", "/dev/shm", "the sandbox"]);
    fixture.assert_nothing_left();
}

/// With `privileged` all of that is open, and with single capabilities exactly what they are for.
fn privileged() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let mut spec = image.workload(&fixture, "open", &["fences"]);
    spec.privileged = true;
    let text = output(&fixture, &spec);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let effective = u64::from_str_radix(words[0], 16).unwrap();
    assert_eq!((effective & 1 << 21, &words[2..]), (1 << 21, &["0", "0", "done"][..]));
    let script = "mount -t tmpfs none /tmp && mknod /z c 1 5 && head -c 1 /z | wc -c; \
                  echo '|/nothing' > /tmp/x; test -w /proc/sys/kernel/core_pattern && echo writable; \
                  find /dev -type c | wc -l; cat /proc/timer_list | head -n 1 | wc -l";
    let mut spec = image.shell(&fixture, "mount", script);
    spec.privileged = true;
    let text = output(&fixture, &spec);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("1", "writable", "1"), "{text}");
    assert!(lines[2].parse::<usize>().unwrap() > 8, "{text}");

    let bits = |container: &str, add: &[&str], drop: &[&str]| {
        let mut spec = image.workload(&fixture, container, &["fences"]);
        spec.cap_add = add.iter().map(|name| name.to_string()).collect();
        spec.cap_drop = drop.iter().map(|name| name.to_string()).collect();
        spec.no_new_privileges = true;
        output(&fixture, &spec)
    };
    assert_eq!(bits("none", &[], &["ALL"]), "0000000000000000 0000000000000000 1 2 EPERM\n");
    assert_eq!(bits("one", &["CAP_NET_ADMIN"], &["all"]), "0000000000001000 0000000000001000 1 2 EPERM\n");
    assert_eq!(bits("less", &[], &["net_raw"]), "00000000a80405fb 00000000a80405fb 1 2 EPERM\n");
    let mut wrong = image.shell(&fixture, "wrong", "true");
    wrong.cap_add = vec!["FLYING".into()];
    assert!(fixture.try_spawn(&wrong).unwrap_err().message.contains("no capability"));
    fixture.assert_nothing_left();
}

/// What a program may do that gives rights: as in Docker, unless told otherwise.
fn setuid() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let status = |container: &str, no_new: bool| {
        let mut spec = image.shell(&fixture, container, "grep -E '^NoNewPrivs' /proc/self/status | cut -f 2");
        spec.user = Some("web".into());
        spec.no_new_privileges = no_new;
        output(&fixture, &spec)
    };
    assert_eq!((status("may", false), status("may-not", true)), ("0\n".into(), "1\n".into()));
    fixture.assert_nothing_left();
}
