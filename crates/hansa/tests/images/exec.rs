//! `hansa exec`, from the terminal of the person who types it to a container and back.

use crate::support::{Cluster, hansa, so, until};
use crate::{apps::app, on_runtime};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

pub fn commands() {
    on_runtime(async {
        let cluster = Cluster::start_with(1, &["--allow-exec"]).await;
        let mut definition = app("/box", "busybox:1", 80);
        definition["args"] = json!(["sleep", "100000"]);
        let _: Value = cluster.http.post("/v2/apps", &definition).await.unwrap();
        let task = cluster.http.settled("/box", 1).await.remove(0);

        let output =
            cluster.cli(&["exec", "box", "--", "sh", "-c", "cat /etc/passwd | wc -l; echo bad >&2; exit 7"]);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), &*out, &*err), (Some(7), "2\n", "bad\n"), "the image's files");
        let output = cluster.cli(&["exec", task.id.as_str(), "--", "sh", "-c", "kill -9 $$"]);
        assert_eq!(output.status.code(), Some(128 + 9), "by the task's id, ended by a signal");
        let output = cluster.cli(&["exec", "box", "--", "no-such-program"]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(127), "{err}");
        assert!(err.contains("no-such-program"), "{err}");

        let mut piped = hansa();
        piped.args([
            "--master",
            &cluster.http.base,
            "exec",
            "-i",
            "box",
            "--",
            "sh",
            "-c",
            "busybox tty; cat; exit 3",
        ]);
        let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        piped.stdin.take().unwrap().write_all(b"typed\n").unwrap();
        let output = piped.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), &*out), (Some(3), "not a tty\ntyped\n"), "input, and its end");

        on_a_terminal(&cluster).await;
    });
}

/// Someone at a terminal, who makes its window larger while the command runs.
async fn on_a_terminal(cluster: &Cluster) {
    let script = "busybox tty; busybox stty size; until [ \"$(busybox stty size)\" = \"50 140\" ]; do sleep 0.05; done; \
                  echo larger; read line; echo \"said $line\"; exit 7";
    let terminal = Terminal::open(41, 133);
    let mut command = hansa();
    command.args(["--master", &cluster.http.base, "exec", "--tty", "box", "--", "sh", "-c", script]);
    let end = || Stdio::from(terminal.theirs.try_clone().unwrap());
    command.stdin(end()).stdout(end()).stderr(end());
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    let Terminal { ours, theirs } = terminal;
    // Then the terminal ends with the program.
    drop((theirs, command));
    let (seen, mut screen) = (Arc::new(Mutex::new(String::new())), ours.try_clone().unwrap());
    let reader = {
        let seen = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            // It fails once nobody has the other end.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        })
    };
    let shows = async |text: &str| {
        until(&format!("the terminal shows {text:?}"), async || {
            let seen = seen.lock().unwrap();
            so(seen.contains(text), &*seen)
        })
        .await;
    };
    shows("/dev/pts/").await;
    shows("41 133").await;
    resize(&ours, 50, 140);
    shows("larger").await;
    (&ours).write_all(b"hello\r").unwrap();
    shows("said hello").await;
    assert_eq!(crate::support::ended(&mut child).await.code(), Some(7));
    drop(ours);
    let _ = reader.join();
}

/// A terminal with both its ends.
struct Terminal {
    ours: File,
    theirs: OwnedFd,
}

impl Terminal {
    fn open(rows: u16, columns: u16) -> Self {
        let (mut ours, mut theirs) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: the pointers are to two descriptors' room; both are new and nobody else's.
        let terminal = unsafe {
            assert_eq!(libc::openpty(&mut ours, &mut theirs, null, null.cast(), null.cast()), 0);
            libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(theirs, libc::F_SETFD, libc::FD_CLOEXEC);
            Self { ours: File::from_raw_fd(ours), theirs: OwnedFd::from_raw_fd(theirs) }
        };
        resize(&terminal.ours, rows, columns);
        terminal
    }
}

fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a size that outlives the call.
    assert_eq!(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) }, 0);
}
