//! How containers end: by themselves, told to, killed, out of time, without their shim or their agent.

use crate::Test;
use crate::fixture::Fixture;
use hansa_agent::shim::{Cause, LaunchErrorKind};
use hansa_model::task::Exit;

pub fn tests() -> Vec<Test> {
    vec![
        Test { name: "exit codes and output are kept", needs_root: false, run: exit_code },
        Test {
            name: "what cannot be executed fails the launch in words",
            needs_root: false,
            run: launch_errors,
        },
    ]
}

fn exit_code() {
    let fixture = Fixture::new();
    let record = fixture.run(&fixture.shell("c", "echo out; echo err >&2; exit 7"));
    assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Code(7))));
    assert_eq!(fixture.stdout("c"), "out\n");
    assert_eq!(fixture.file("c", "stderr"), "err\n");
    let record = fixture.run(&fixture.shell("d", "kill -USR1 $$"));
    assert_eq!((record.cause, record.exit), (Cause::Exited, Some(Exit::Signal(libc::SIGUSR1))));
    fixture.assert_nothing_left();
}

fn launch_errors() {
    let fixture = Fixture::new();
    let check = |name: &str, argv: &[&str], expected: &str| {
        let error = fixture.try_spawn(&fixture.spec(name, argv)).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::Spec, "{error}");
        assert!(error.message.contains(expected), "{error}");
    };
    check("a", &["no-such-program"], "no such program in PATH /usr/bin:/bin");
    check("b", &["/no/such/program"], "no such file");
    check("c", &["/etc/passwd"], "not executable");
    check("d", &[], "no command");
    fixture.assert_nothing_left();
}
