//! The workload that tries what a container must not do, and says how each attempt went: `<kind> <what>: <result>`.

use hansa_agent::launcher::seccomp;
use std::ffi::CString;
use std::io;
use std::path::Path;

pub fn run() {
    system_calls();
    namespaces();
    odd_interfaces();
    paths();
    status();
}

fn say(kind: &str, what: &str, result: &str) {
    println!("{kind} {what}: {result}");
}

/// The name of the error that a call gave, or `done`.
fn result(code: i64) -> String {
    if code >= 0 {
        return "done".into();
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM".into(),
        Some(libc::ENOSYS) => "ENOSYS".into(),
        Some(libc::EACCES) => "EACCES".into(),
        Some(libc::EROFS) => "EROFS".into(),
        Some(libc::ENOENT) => "ENOENT".into(),
        _ => format!("{error}"),
    }
}

/// Every denied call with arguments that are all zero, so that it does no harm where it is not denied.
fn system_calls() {
    for (name, number) in seccomp::DENIED {
        // SAFETY: null pointers and zeros; whatever these calls make of them, they touch none of our memory.
        let code = unsafe { libc::syscall(*number, 0, 0, 0, 0, 0, 0) };
        say("call", name, &result(code));
    }
}

fn namespaces() {
    for (name, flag) in seccomp::DENIED_CLONE_FLAGS {
        // SAFETY: without a stack of its own the child runs on a copy of ours; it leaves at once.
        let code = unsafe {
            let code = libc::syscall(libc::SYS_clone, *flag | libc::SIGCHLD as u64, 0, 0, 0, 0);
            if code == 0 {
                libc::_exit(0);
            }
            code
        };
        say("clone", name, &result(code));
    }
}

fn odd_interfaces() {
    // SAFETY: no memory of ours is passed to any of these.
    unsafe {
        say("odd", "clone3", &result(libc::syscall(435, 0, 0)));
        say("odd", "a call nobody knows", &result(libc::syscall(i64::from(seccomp::LAST_KNOWN) + 1, 0)));
        say("odd", "x32 getpid", &result(libc::syscall(0x4000_0000 | libc::SYS_getpid)));
        say("odd", "personality without randomisation", &result(i64::from(libc::personality(0x4_0000))));
        say("odd", "personality asked", &result(i64::from(libc::personality(0xffff_ffff))));
        say(
            "odd",
            "socket to the hypervisor",
            &result(i64::from(libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0))),
        );
        let raw = libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP);
        say("odd", "raw socket", &result(i64::from(raw)));
        let packet = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        say("odd", "packet socket", &result(i64::from(packet)));
        let device = libc::mknod(c"device".as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(254, 0));
        say("odd", "making a device", &result(i64::from(device)));
        say("odd", "32 bit getpid", &compatibility_call());
    }
}

/// A child makes a system call as 32-bit programs do.
#[cfg(target_arch = "x86_64")]
fn compatibility_call() -> String {
    // SAFETY: the child does one call that passes no memory, and leaves.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let mut answer: i64 = 20;
            std::arch::asm!("int 0x80", inout("rax") answer);
            libc::_exit(i32::from(answer <= 0));
        }
        let mut status = 0;
        libc::waitpid(child, &mut status, 0);
        match libc::WIFSIGNALED(status) {
            true => format!("signal {}", libc::WTERMSIG(status)),
            false => "done".into(),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn compatibility_call() -> String {
    "signal 31".into()
}

fn open(path: &str, flags: libc::c_int) -> String {
    let c = CString::new(path).unwrap();
    // SAFETY: the path is a C string.
    let fd = unsafe { libc::open(c.as_ptr(), flags | libc::O_CLOEXEC | libc::O_NONBLOCK) };
    let said = result(i64::from(fd));
    if fd >= 0 {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(fd) };
    }
    said
}

fn paths() {
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/profiling",
        "/sys/kernel/uevent_helper",
        "/sys/module/kernel/parameters/panic",
    ] {
        say("write", path, &open(path, libc::O_WRONLY));
    }
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kmsg", "/proc/interrupts"] {
        let text = std::fs::read(path).map(|text| text.len());
        say(
            "read",
            path,
            &text.map_or_else(|error| error.kind().to_string(), |length| format!("{length} bytes")),
        );
    }
    for dir in ["/proc/acpi", "/proc/scsi", "/sys/firmware"] {
        let count = std::fs::read_dir(dir).map(Iterator::count);
        say(
            "list",
            dir,
            &count.map_or_else(|error| error.kind().to_string(), |count| format!("{count} entries")),
        );
    }
    for file in ["root", "cwd", "exe", "fd/0", "environ"] {
        let path = format!("/proc/1/{file}");
        let flags = if file == "environ" { libc::O_RDONLY } else { libc::O_PATH };
        say("init", &path, &open(&path, flags));
    }
    for entry in std::fs::read_dir("/dev").unwrap().flatten() {
        say("device", &entry.path().display().to_string(), "there");
    }
    cgroup_files(Path::new("/sys/fs/cgroup"), 0);
}

/// Tries to write to everything below, without writing.
fn cgroup_files(dir: &Path, depth: u32) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && depth < 3 {
            say("cgroup", &path.display().to_string(), &made(&path.join("escape")));
            cgroup_files(&path, depth + 1);
        } else if let Ok(data) = entry.metadata()
            && !data.permissions().readonly()
        {
            say("cgroup", &path.display().to_string(), &open(&path.display().to_string(), libc::O_WRONLY));
        }
    }
}

fn made(path: &Path) -> String {
    match std::fs::create_dir(path) {
        Ok(()) => "done".into(),
        Err(error) => result(-1).replace("done", &error.to_string()),
    }
}

fn status() {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"]
    {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        say("status", name, line.unwrap_or("absent").trim());
    }
    say("status", "pid", &std::process::id().to_string());
    let numbers =
        |entry: std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(numbers).count();
    say("status", "processes", &processes.to_string());
    for name in ["pid", "mnt", "ipc", "uts", "cgroup", "net"] {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        say("namespace", name, &link.display().to_string());
    }
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    say("status", "hostname", hostname.trim());
    say("status", "oom_score_adj", std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim());
    let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    for line in cgroups.lines() {
        let (controllers, path) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')).unwrap();
        say("in-cgroup", controllers, path);
    }
}
