//! The fences again for an agent in a chroot, whose root directory is not a mount.

use crate::Test;
use crate::fixture::{Fixture, exe};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Set for the tests inside.
pub const INSIDE: &str = "HANSA_CHROOTED";

pub fn tests() -> Vec<Test> {
    vec![Test { name: "an agent in a chroot fences in as well", needs_root: true, run, plain: false }]
}

fn run() {
    if !hansa_agent::launcher::root_is_a_mount() {
        return println!("  SKIPPED: this is a chroot already, so all tests here show it");
    }
    let fixture = Fixture::new();
    let root = fixture.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let mut binds = Vec::new();
    for entry in std::fs::read_dir("/").unwrap() {
        let source = entry.unwrap().path();
        let inside = root.join(source.strip_prefix("/").unwrap());
        if source.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&source).unwrap(), &inside).unwrap();
        } else if source.is_dir() {
            std::fs::create_dir(&inside).unwrap();
            binds.push((c(&source), c(&inside)));
        }
    }
    let root = c(&root);
    let mut command = Command::new(exe());
    command.args(["paths are", "namespaces are", "files are hidden", "capabilities are", "devices are"]);
    command.env(INSIDE, "1").current_dir("/");
    // SAFETY: only system calls, on C strings made before.
    unsafe {
        command.pre_exec(move || {
            let check = |result: libc::c_int| match result {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            };
            let none = std::ptr::null();
            check(libc::unshare(libc::CLONE_NEWNS))?;
            let private = libc::MS_REC | libc::MS_PRIVATE;
            check(libc::mount(none, c"/".as_ptr(), none, private, none.cast()))?;
            for (source, inside) in &binds {
                let bind = libc::MS_BIND | libc::MS_REC;
                check(libc::mount(source.as_ptr(), inside.as_ptr(), none, bind, none.cast()))?;
            }
            // So that it would show if anything spread.
            check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_SHARED, none.cast()))?;
            check(libc::chroot(root.as_ptr()))?;
            check(libc::chdir(c"/".as_ptr()))
        });
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().rfind(|line| line.starts_with("test result: ")).unwrap();
    assert!(last.contains(" 5 passed"), "{text}");
    println!("  in a chroot, {last}");
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}
