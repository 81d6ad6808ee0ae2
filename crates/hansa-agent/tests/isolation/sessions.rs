//! Commands in containers for somebody who talks to them, with and without a terminal; and containers with one.

use crate::Test;
use crate::fixture::Fixture;
use crate::image::Image;
use hansa_agent::shim::{Client, ExecResult};
use hansa_model::task::Exit;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("a session has its own streams, end of input and exit code", piped),
        test("a session on a terminal has its keys, and its name", terminal),
        test("a container on a terminal", own_terminal),
    ]
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the pointer is to two descriptors' room; both are new and nobody else's.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

fn words(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

/// Runs a script on three pipes with this input; gives the result and both outputs.
fn run(fixture: &Fixture, client: &Client, script: &str, input: &str) -> (ExecResult, String, String) {
    let ((stdin, mut ours), (output, stdout), (errors, stderr)) = {
        let (input, output, errors) = (pipe(), pipe(), pipe());
        ((input.0, File::from(input.1)), output, errors)
    };
    ours.write_all(input.as_bytes()).unwrap();
    drop(ours);
    let session = client.session(words(script), BTreeMap::new(), [stdin, stdout, stderr], false);
    let result = fixture.within(session).unwrap();
    let read = |fd: OwnedFd| std::io::read_to_string(File::from(fd)).unwrap();
    (result, read(output), read(errors))
}

fn piped() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let mut spec = image.shell(&fixture, "image", "sleep 1000");
    spec.user = Some("web".into());
    for (client, uid) in
        [(fixture.spawn(&spec), "1234"), (fixture.spawn(&fixture.shell("plain", "sleep 1000")), "0")]
    {
        let (result, output, errors) = run(&fixture, &client, "id -u; cat; echo bad >&2; exit 5", "typed\n");
        assert_eq!((result.exit, output, errors), (Exit::Code(5), format!("{uid}\ntyped\n"), "bad\n".into()));
        let (result, ..) = run(&fixture, &client, "kill -9 $$", "");
        assert_eq!(result.exit, Exit::Signal(9));
        let ((stdin, _a), (_b, stdout), (_c, stderr)) = (pipe(), pipe(), pipe());
        let nothing =
            client.session(vec!["no-such-program".into()], BTreeMap::new(), [stdin, stdout, stderr], false);
        let result = fixture.within(nothing).unwrap();
        assert!(result.exit == Exit::Code(127) && result.output.contains("no such program"), "{result:?}");
        fixture.within(client.kill()).unwrap();
        fixture.wait(&client);
    }
    fixture.assert_nothing_left();
}

/// Everything that a terminal shows until nobody uses it.
fn shown(terminal: OwnedFd) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    let mut file = File::from(terminal);
    while let Ok(length @ 1..) = file.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

fn terminal() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let mut spec = image.shell(&fixture, "c", "sleep 1000");
    spec.user = Some("web".into());
    let client = fixture.spawn(&spec);
    let (ours, theirs) = client.open_terminal().unwrap();
    let streams = [theirs.try_clone().unwrap(), theirs.try_clone().unwrap(), theirs];
    // Ctrl-C, typed while it waits for a line, ends the inner shell and not the outer one.
    let script = "tty; stat -c %u $(tty); stty -echo; trap 'echo caught; exit 3' INT; echo ready; while :; do read x; echo got $x; done";
    let session = client.session(words(script), BTreeMap::new(), streams, true);
    let mut typing = File::from(ours.try_clone().unwrap());
    let typed = std::thread::spawn(move || {
        let (mut text, mut buffer) = (String::new(), [0; 256]);
        while !text.contains("ready") {
            let length = typing.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        typing.write_all(b"line\n").unwrap();
        while !text.contains("got line") {
            let length = typing.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        typing.write_all(&[3]).unwrap();
        text
    });
    let result = fixture.within(session).unwrap();
    let text = typed.join().unwrap() + &shown(ours);
    assert_eq!(result.exit, Exit::Code(3), "{text:?}");
    assert!(text.starts_with("/dev/pts/0\r\n1234\r\nready\r\n") && text.ends_with("caught\r\n"), "{text:?}");
    fixture.within(client.kill()).unwrap();
    fixture.wait(&client);
    fixture.assert_nothing_left();
}

fn own_terminal() {
    let fixture = Fixture::new();
    let image = Image::new(&fixture);
    let script = "test -t 0 && test -t 1 && test -t 2 && tty; echo error >&2";
    for (mut spec, name) in
        [(image.shell(&fixture, "image", script), "image"), (fixture.shell("plain", script), "plain")]
    {
        spec.tty = true;
        let record = fixture.run(&spec);
        let text = fixture.stdout(name);
        assert_eq!((record.exit, text.as_str()), (Some(Exit::Code(0)), "/dev/pts/0\r\nerror\r\n"), "{name}");
        assert_eq!(fixture.file(name, "stderr"), "");
    }
    fixture.assert_nothing_left();
}
