//! The same tests as an ordinary user, who has no cgroups and makes namespaces only inside user namespaces.

use crate::Test;
use crate::fixture::{Fixture, exe};
use hansa_agent::launcher;
use std::os::unix::process::CommandExt;
use std::process::Command;

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![test("an ordinary user's containers end as root's do", as_nobody)]
}

fn as_nobody() {
    const NOBODY: u32 = 65534;
    let fixture = Fixture::new();
    // Where this binary lies, others may not look.
    let copy = fixture.path().join("isolation");
    std::fs::copy(exe(), &copy).unwrap();
    let temporary = fixture.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::os::unix::fs::chown(&temporary, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(&copy);
    command.arg("-q").env("TMPDIR", &temporary).current_dir("/").uid(NOBODY).gid(NOBODY);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().rfind(|line| line.starts_with("test result: ")).unwrap();
    println!("  as nobody, {last}");
    let missing = Command::new(&copy).args(["workload", "missing"]).uid(NOBODY).gid(NOBODY).output().unwrap();
    let missing = String::from_utf8_lossy(&missing.stdout).into_owned();
    assert!(missing.contains("run the agent as root"), "{missing}");
    assert_eq!(launcher::missing_isolation(), Vec::<String>::new());
}
