//! `mesos-master` and `mesos-agent` as unit files and test benches start them: by name, with Mesos' flags and variables.

mod support;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{HANSA, Http, ended, free_port, hansa, signal, so, until};

/// A link to the program under another name.
fn link(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    if !path.exists() {
        symlink(HANSA, &path).expect("a link");
    }
    path.display().to_string()
}

/// The program under another name, with an environment of the test's own.
fn daemon(folder: &Path, name: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = hansa();
    command.arg0(link(folder, name)).env_remove("MESOS_MASTER");
    command
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn words_and_exit_codes_are_those_of_mesos() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |name: &str, words: &[&str]| {
        said(&daemon(folder.path(), name).args(words).env("MESOS_LOG_DIR", "/l").output().expect("it starts"))
    };
    assert_eq!(run("mesos-master", &["--version"]), (Some(0), "mesos 1.11.0\n".into(), String::new()));
    let (code, out, _) = run("mesos-agent", &["--help"]);
    assert!(
        code == Some(0) && out.starts_with("Usage: mesos-agent [options]") && out.contains("--[no-]strict")
    );
    for (name, words, told) in [
        ("mesos-master", ["--nonsense=1"], "Failed to load unknown flag 'nonsense'"),
        ("mesos-master", ["--port=many"], "Failed to load flag 'port': Failed to load value 'many'"),
        ("mesos-master", ["--ip=127.0.0.1"], "--work_dir needed for replicated log based registry"),
        ("mesos-agent", ["--work_dir=/w"], "Missing required option `--master`"),
        ("mesos-slave", ["--master=zk://h/mesos"], "'work_dir' is required"),
    ] {
        let (code, out, err) = run(name, &words);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{name} {words:?}: {err}");
        assert!(err.contains(told), "{name} {words:?}: {err}");
    }
    // Under its own name with the daemon's as the first word, and with an option of its own before it.
    for words in [&["mesos-master", "--version"][..], &["-o", "json", "mesos-agent", "--version"]] {
        assert_eq!(said(&hansa().args(words).output().expect("it starts")).1, "mesos 1.11.0\n", "{words:?}");
    }
}

#[tokio::test]
async fn a_cluster_of_them_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, agent_port) = (free_port(), free_port());
    let mut master = daemon(folder.path(), "mesos-master")
        .args(["--ip=127.0.0.1", "--registry=in_memory", "--quorum=1", "--hostname=localhost"])
        .env("MESOS_PORT", port.to_string())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the master");
    let http = Http::new(port);
    until("the master answers", async || http.nodes().await).await;
    let mut agent = daemon(folder.path(), "mesos-agent")
        .args(["--ip=127.0.0.1", "--hostname=node1", "--no-systemd_enable_support", "--launcher=posix"])
        .arg(format!("--master=127.0.0.1:{port}"))
        .arg(format!("--work_dir={}", folder.path().join("agent").display()))
        .arg("--resources=[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.5}}]")
        .args(["--attributes=rack:r1", "--domain", "--port"])
        .env("MESOS_PORT", "1")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the agent");
    // `--port` without a value is a mistake, whatever the environment says.
    assert_eq!(ended(&mut agent).await.code(), Some(1));

    let mut agent = daemon(folder.path(), "mesos-agent")
        .args(["--ip=127.0.0.1", "--hostname=node1", "--no-systemd_enable_support", "--launcher=posix"])
        .arg(format!("--master=127.0.0.1:{port}"))
        .arg(format!("--port={agent_port}"))
        .arg(format!("--work_dir={}", folder.path().join("agent").display()))
        .arg("--resources=[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.5}}]")
        .env("MESOS_ATTRIBUTES", "rack:r1")
        .env("MESOS_PORT", "1")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the agent");
    let node = until("the agent joins", async || {
        let node = http.nodes().await?.pop().ok_or("no agent")?;
        so(node.state == hansa_model::event::AgentState::Active, &node)?;
        Ok(node)
    })
    .await;
    assert_eq!((node.hostname.as_str(), node.total.cpus_milli), ("node1", 1500));
    assert!(node.total.mem > 0, "what was not named is the machine's");
    assert_eq!(node.address, format!("127.0.0.1:{agent_port}"));
    assert_eq!(node.attributes["rack"], "r1");
    for (child, warned) in [(&mut agent, "--launcher has no effect"), (&mut master, "--quorum has no effect")]
    {
        signal(child.id(), libc::SIGTERM);
        assert_eq!(ended(child).await.code(), Some(0));
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut said).expect("text");
        assert!(said.contains(warned), "{said}");
    }
}
