//! A machine for one test: a process in network and mount namespaces of its own, in which the test then runs.
//!
//! What it does to links, routes and nf_tables is gone with it, whatever becomes of the test.

use crate::Test;
use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode, Stdio};

/// Why there can be no such machine; None: there can.
pub fn missing() -> Option<&'static str> {
    // SAFETY: no memory is passed.
    if unsafe { libc::geteuid() } != 0 {
        return Some("network namespaces need root");
    }
    let works = |program: &str| {
        Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    (!works("ip")).then_some("there is no program ip (Debian: iproute2)")
}

/// Runs a test on a machine of its own.
pub fn run(test: &Test) {
    let status =
        Command::new(std::env::current_exe().unwrap()).arg("machine").arg(test.name).status().unwrap();
    assert!(status.success(), "it failed on its machine");
}

/// `machine <test>`: becomes the machine and runs the test.
pub fn main(args: &[OsString], tests: &[Test]) -> ExitCode {
    let test = tests.iter().find(|test| args == [test.name]).expect("a test");
    // SAFETY: no memory is passed; there is one thread.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) });
    // In a chroot the root is no mount; that on which the new one lies is enough.
    let private = |target| mounted("none", target, "", libc::MS_REC | libc::MS_PRIVATE).is_ok();
    if !private("/") && !private("/run") {
        println!("  SKIPPED: this is a chroot in which nothing is mounted on /run");
        return ExitCode::SUCCESS;
    }
    mounted("tmpfs", "/run", "tmpfs", 0).unwrap();
    ip("link set lo up");
    (test.run)();
    ExitCode::SUCCESS
}

/// Whether `ip` can work in other network namespaces than its own: to that end it says something about the root's mounts.
pub fn has_elsewhere() -> bool {
    hansa_agent::launcher::root_is_a_mount()
}

/// This program's path, as whoever started it said it. Not what the kernel says: in a chroot, once the mounts are our own, that
/// is the way from the real root.
pub fn program() -> String {
    std::env::args().next().expect("a program is started by its path")
}

fn mounted(source: &str, target: &str, kind: &str, flags: libc::c_ulong) -> io::Result<()> {
    let [source, target, kind] = [source, target, kind].map(|text| std::ffi::CString::new(text).unwrap());
    // SAFETY: all are C strings that outlive the call.
    match unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn check(done: libc::c_int) {
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

/// Runs `ip` with these words; gives what it says.
pub fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the machine's links that begin so.
pub fn links(prefix: &str) -> Vec<String> {
    let names = ip("-br link");
    let names = names.lines().filter_map(|line| line.split([' ', '@']).next());
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}
