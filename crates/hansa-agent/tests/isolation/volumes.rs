//! Volumes and secrets, in images and on the machine's own root.

use crate::Test;
use crate::fixture::Fixture;
use crate::image::{Image, write};
use crate::roots::output;
use hansa_agent::shim::{LaunchErrorKind, MountKind, MountSpec, ShimSpec};
use hansa_model::task::Exit;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("volumes are where they are asked for and as writable", volumes),
        test("volumes lead neither to the agent's files nor out of a sandbox", bounds),
        test("volumes of plain processes change nothing of the machine", plain),
        test("secrets are files in memory and variables, and nowhere else", secrets),
        test("a command in a container has its environment and root", exec),
        test("a host name of its own, memory for it, resource limits and the signal to stop", settings),
    ]
}

fn mount(source: impl Into<PathBuf>, target: &str, kind: MountKind) -> MountSpec {
    MountSpec { source: source.into(), target: target.into(), read_only: false, kind }
}

fn volumes() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let host = fixture.path().join("host");
    write(&host.join("dir/file"), "seen\n");
    write(&host.join("single"), "one file\n");
    symlink("/srv", fixture.path().join("layers/top/link")).unwrap();
    let script = "cat /vol/file /etc/single /read/file; echo new > /vol/new; touch /read/x 2>&- || echo protected; \
                  echo x > /made/by-us; echo x > kept/by-us; ls /srv/linked; echo -n ....... > /mem/x; df -k /mem | grep -c 1024; \
                  stat -c %a /mem; ls /data; echo mine > /data/mine; mknod /vol/zero c 1 5; head -c 1 /vol/zero 2>&- || echo no device";
    let mut spec = image.shell(&fixture, "c", script);
    spec.user = None;
    let read_only = MountSpec { read_only: true, ..mount(host.join("dir"), "/read", MountKind::Bind) };
    let memory = MountKind::Tmpfs { bytes: Some(1 << 20), mode: Some(0o750) };
    spec.mounts = vec![
        mount(host.join("dir"), "/vol", MountKind::Bind),
        mount(host.join("single"), "/etc/single", MountKind::Bind),
        read_only,
        mount(host.join("made/deep"), "/made", MountKind::BindMade),
        mount("kept", "/mnt/mesos/sandbox/kept", MountKind::Sandbox),
        mount(host.join("dir"), "/link/linked", MountKind::Bind),
        mount("", "/mem", memory),
        mount("", "/data", MountKind::Anonymous),
    ];
    spec.hidden_paths.clear();
    let expected = "seen\none file\nseen\nprotected\nfile\nnew\n1\n750\ncontent\nno device\n";
    assert_eq!(output(&fixture, &spec), expected);
    assert!(host.join("dir/new").exists() && host.join("made/deep/by-us").exists());
    assert!(fixture.sandbox("c").join("kept/by-us").exists());
    let mut missing = image.shell(&fixture, "missing", "true");
    missing.mounts = vec![mount("/no/such/file", "/x", MountKind::Bind)];
    let error = fixture.try_spawn(&missing).unwrap_err();
    assert!(error.kind == LaunchErrorKind::Spec && error.message.contains("/no/such/file"), "{error}");
    fixture.assert_nothing_left();
}

fn refused(fixture: &Fixture, spec: &ShimSpec, word: &str) {
    let error = fixture.try_spawn(spec).unwrap_err();
    assert!(error.message.contains(word), "{error}");
}

fn bounds() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let hidden = fixture.path().join("agent");
    write(&hidden.join("key"), "key");
    let elsewhere = fixture.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&hidden, elsewhere.join("link")).unwrap();
    let spec = |name: &str, mount: MountSpec| {
        let mut spec = image.shell(&fixture, name, "find /vol | sort");
        spec.hidden_paths = vec![hidden.clone()];
        spec.mounts = vec![mount];
        spec
    };
    refused(&fixture, &spec("a", mount(&hidden, "/vol", MountKind::Bind)), "belongs to the agent");
    refused(
        &fixture,
        &spec("b", mount(elsewhere.join("link"), "/vol", MountKind::Bind)),
        "belongs to the agent",
    );
    refused(&fixture, &spec("c", mount("relative", "/vol", MountKind::Bind)), "not an absolute path");
    for (name, target) in
        [("d", "/proc/x"), ("e", "/"), ("f", "/a/../b"), ("g", "vol"), ("h", "/dev"), ("i", "/sys/x")]
    {
        refused(&fixture, &spec(name, mount(&elsewhere, target, MountKind::Bind)), "cannot mount at");
    }
    // Above the agent's directory: everything is seen but that.
    let above = fixture.path().join("above");
    std::fs::create_dir(&above).unwrap();
    std::fs::rename(&hidden, above.join("agent")).unwrap();
    write(&above.join("other"), "");
    let mut spec_above = spec("above", mount(&above, "/vol", MountKind::Bind));
    spec_above.hidden_paths = vec![above.join("agent")];
    assert_eq!(output(&fixture, &spec_above), "/vol\n/vol/agent\n/vol/other\n");
    // A path of the sandbox that something fetched made a link.
    std::fs::create_dir_all(fixture.sandbox("link")).unwrap();
    symlink(&elsewhere, fixture.sandbox("link").join("out")).unwrap();
    write(&elsewhere.join("file"), "");
    output(&fixture, &spec("link", mount("out/more", "/vol", MountKind::Sandbox)));
    assert!(!elsewhere.join("more").exists() && elsewhere.join("file").exists());
    let inside = fixture.sandbox("link").join(elsewhere.strip_prefix("/").unwrap()).join("more");
    assert!(inside.is_dir());
    fixture.assert_nothing_left();
}

fn plain() {
    let fixture = Fixture::new();
    write(&fixture.path().join("host/file"), "seen\n");
    let host = fixture.path().join("host");
    let mut spec = fixture.shell("c", "cat deep/vol/file; cat /srv/file; ls -d /srv/file");
    let below = fixture.sandbox("c").join("deep/vol");
    spec.mounts =
        vec![mount(&host, below.to_str().unwrap(), MountKind::Bind), mount(&host, "/srv", MountKind::Bind)];
    assert_eq!(output(&fixture, &spec), "seen\nseen\n/srv/file\n");
    assert!(!Path::new("/srv/file").exists());
    let mut spec = fixture.shell("d", "true");
    spec.mounts = vec![mount(&host, "/no-such-directory/x", MountKind::Bind)];
    refused(&fixture, &spec, "/no-such-directory/x");
    assert!(!Path::new("/no-such-directory").exists());
    fixture.assert_nothing_left();
}

fn secrets() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let dir = fixture.path().join("secrets");
    let value = format!("hush-{}", fixture.agent);
    write(&dir.join("text"), &format!("{value}\n"));
    let script = "echo $PASSWORD | tr h H; cat SECRET | tr h H; stat -c '%a %u' SECRET; grep SECRET /proc/mounts | cut -d ' ' -f 3; sleep 1000";
    for (name, on_image) in [("image", true), ("plain", false)] {
        let at = match on_image {
            true => "/run/secrets/text".to_owned(),
            false => fixture.sandbox(name).join("secret").display().to_string(),
        };
        let script = script.replace("SECRET", &at);
        let mut spec =
            if on_image { image.shell(&fixture, name, &script) } else { fixture.shell(name, &script) };
        spec.user = Some("4711:4711".into());
        spec.secret_env.insert("PASSWORD".into(), dir.join("text"));
        spec.mounts = vec![mount(dir.join("text"), &at, MountKind::Secret)];
        spec.hidden_paths = vec![dir.clone()];
        let client = fixture.spawn(&spec);
        let shouted = value.replace('h', "H");
        let expected = format!("{shouted}\n{shouted}\n400 4711\ntmpfs\n");
        fixture.until("all is said", || fixture.stdout(name).len() >= expected.len());
        assert_eq!(fixture.stdout(name), expected);
        // Nothing of it is on the disk, but where the operator put it.
        let grep =
            std::process::Command::new("grep").args(["-rl", &value]).arg(fixture.path()).output().unwrap();
        let found = String::from_utf8(grep.stdout).unwrap();
        assert_eq!(found.trim(), dir.join("text").display().to_string());
        fixture.within(client.kill()).unwrap();
        fixture.wait(&client);
    }
    let mut spec = image.shell(&fixture, "gone", "true");
    spec.secret_env.insert("PASSWORD".into(), dir.join("gone"));
    refused(&fixture, &spec, "secrets/gone");
    fixture.assert_nothing_left();
}

fn exec() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let mut spec = image.shell(&fixture, "c", "echo ready; sleep 1000");
    spec.user = Some("web".into());
    spec.env.insert("OWN".into(), "own".into());
    spec.working_dir = Some("/data".into());
    let client = fixture.spawn(&spec);
    fixture.until("ready", || fixture.stdout("c").contains("ready"));
    let argv = ["sh", "-c", "pwd; id -u; echo $OWN $MORE $HOME; cat content; touch /x 2>&- || echo denied"];
    let argv = argv.map(str::to_owned).to_vec();
    let env = [("OWN", "theirs"), ("MORE", "more")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let limit = std::time::Duration::from_secs(20);
    let result = fixture.within(client.exec(argv, env.into(), limit)).unwrap();
    assert_eq!(result.output, "/data\n1234\nown more /srv\nfrom the image\ndenied\n");
    fixture.within(client.kill()).unwrap();
    fixture.wait(&client);
    fixture.assert_nothing_left();
}

fn settings() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let script = "trap 'echo asked; exit 7' USR1; hostname; cat /etc/hostname; df -k /dev/shm | grep -c 2048; \
                  cat /etc/hosts; while :; do sleep 0.05; done";
    let mut spec = image.shell(&fixture, "c", script);
    spec.hostname = Some("box".into());
    spec.etc.hosts = Some("127.0.0.1 localhost\n".into());
    spec.shm_bytes = Some(2 << 20);
    spec.stop_signal = Some(libc::SIGUSR1);
    let client = fixture.spawn(&spec);
    let expected = "box\nbox\n1\n127.0.0.1 localhost\n";
    fixture.until("ready", || fixture.stdout("c").contains("localhost"));
    assert_eq!(fixture.stdout("c"), expected);
    fixture.within(client.stop(Some(std::time::Duration::from_secs(20)))).unwrap();
    let record = fixture.wait(&client);
    assert_eq!((record.exit, fixture.stdout("c").ends_with("asked\n")), (Some(Exit::Code(7)), true));
    let owner = std::fs::metadata(fixture.sandbox("c")).unwrap().uid();
    assert_eq!(owner, 0);
    fixture.assert_nothing_left();
}
