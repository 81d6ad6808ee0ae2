//! The same tests on cgroup v2, which this machine's own kernel may not offer: in a guest that QEMU emulates in software,
//! with a distribution's kernel, this binary, the libraries it needs and busybox as its whole world.
//!
//! Looked for: `qemu-system-x86_64`, a kernel (`$HANSA_GUEST_KERNEL`, or what apt gives as `linux-image-cloud-amd64`) and
//! `busybox` that is static (or apt's `busybox-static`). Without them the test is skipped, and says so. What does not
//! depend on cgroups is left out there, as are roots of images where the kernel's package has no module for overlays;
//! `$HANSA_GUEST_TESTS` names other tests to run.

use crate::Test;
use crate::fixture::{Fixture, exe};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KERNEL: &str = "linux-image-cloud-amd64";

/// Set where tests run inside the guest, some fifteen times slower.
pub const INSIDE: &str = "HANSA_GUEST";

/// However slow the machine is.
const LIMIT: Duration = Duration::from_secs(900);

pub fn tests() -> Vec<Test> {
    vec![Test { name: "all of this on cgroup v2, in a guest", needs_root: true, run, plain: false }]
}

fn run() {
    let parts = match Parts::find() {
        Ok(parts) => parts,
        Err(missing) => return println!("  SKIPPED: {missing}"),
    };
    let fixture = Fixture::new();
    let image = fixture.path().join("initramfs");
    write_image(&image, &parts);
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1024",
        "-no-reboot",
        "-nic",
        "none",
    ])
    .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
    .args(["-append", "console=ttyS0 panic=-1 quiet cgroup_no_v1=all no_timer_check"])
    .arg("-kernel")
    .arg(&parts.kernel)
    .arg("-initrd")
    .arg(&image)
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::inherit());
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        qemu.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            Ok(())
        });
    }
    let begin = Instant::now();
    let mut guest = qemu.spawn().expect("qemu starts");
    let output = BufReader::new(guest.stdout.take().unwrap());
    let (ended, watch) = std::sync::mpsc::channel::<()>();
    let pid = guest.id();
    let watchdog = std::thread::spawn(move || {
        if watch.recv_timeout(LIMIT).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout) {
            // SAFETY: no memory is passed; the guest has not been waited for, so that the pid is its.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
    });
    let mut code = None;
    for line in output.lines().map_while(Result::ok) {
        let line = line.trim_end();
        match line.strip_prefix("guest: ") {
            Some(text) => code = text.parse::<i32>().ok(),
            None => println!("  | {line}"),
        }
    }
    drop(ended);
    watchdog.join().unwrap();
    guest.wait().unwrap();
    println!("  the guest took {} s", begin.elapsed().as_secs());
    assert_eq!(code, Some(0), "tests failed in the guest, or it did not come to their end");
}

/// What has to be there.
struct Parts {
    kernel: PathBuf,
    busybox: PathBuf,
    /// The kernel's module for overlays, where it is known.
    overlay: Option<PathBuf>,
}

impl Parts {
    fn find() -> Result<Self, String> {
        if !cfg!(target_arch = "x86_64") {
            return Err("the guest is an x86_64 machine".into());
        }
        if !Command::new("qemu-system-x86_64").arg("--version").output().is_ok_and(|o| o.status.success()) {
            return Err("there is no qemu-system-x86_64; apt-get install qemu-system-x86".into());
        }
        // <target>/debug/deps/isolation-...
        let kept =
            exe().ancestors().nth(3).map(|target| target.join("guest")).ok_or("there is no target folder")?;
        let (kernel, overlay) = match std::env::var_os("HANSA_GUEST_KERNEL") {
            Some(path) => (PathBuf::from(path), None),
            None => {
                let package = |wanted: &dyn Fn(&Path) -> bool| from_package(&kept, KERNEL, wanted);
                let kernel = package(&|path| {
                    path.parent().is_some_and(|dir| dir.ends_with("boot"))
                        && name(path).starts_with("vmlinuz-")
                })?;
                // A kernel that has it built in needs none; later packages have it compressed.
                let modules = files(&kept.join(KERNEL).join("unpacked"));
                (kernel, modules.into_iter().find(|path| name(path) == "overlay.ko"))
            }
        };
        let busybox = match Path::new("/bin/busybox") {
            path if path.exists() && is_static(path) => path.to_owned(),
            _ => from_package(&kept, "busybox-static", |path| name(path) == "busybox")?,
        };
        Ok(Self { kernel, busybox, overlay })
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn is_static(path: &Path) -> bool {
    Command::new("ldd").arg(path).output().is_ok_and(|output| !output.status.success())
}

/// A file of a Debian package (or of the one package it stands for), downloaded and unpacked, not installed.
fn from_package(kept: &Path, package: &str, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf, String> {
    let dir = kept.join(package);
    let unpacked = dir.join("unpacked");
    let look = || files(&unpacked).into_iter().find(|path| wanted(path));
    if let Some(found) = look() {
        return Ok(found);
    }
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let failed = || format!("there is no {package}: it cannot be downloaded with apt-get");
    let real = concrete(package).unwrap_or_else(|| package.to_owned());
    let run = |command: &mut Command| {
        let output = command.current_dir(&dir).output().map_err(|_| failed())?;
        output.status.success().then_some(()).ok_or_else(failed)
    };
    run(Command::new("apt-get").args(["-q", "download", &real]))?;
    let archive = files(&dir).into_iter().find(|path| name(path).ends_with(".deb")).ok_or_else(failed)?;
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
    let _ = std::fs::remove_file(archive);
    look().ok_or_else(failed)
}

/// The versioned package that a kernel's metapackage depends on.
fn concrete(package: &str) -> Option<String> {
    let output = Command::new("apt-cache").args(["depends", package]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let prefix = "linux-image-";
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(prefix))
        .map(str::to_owned)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// The kernel's first root cannot be exchanged by containers for theirs: so another becomes the root first.
const INIT: &str = "#!/bin/busybox sh
cd /bin
./busybox mkdir /new
./busybox mount -t tmpfs -o mode=755 tmpfs /new
./busybox cp -a /bin /dev /etc /lib /lib64 /modules /proc /srv /start /sys /tests /tmp /usr /new
exec ./busybox switch_root /new /start
";

const START: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
export PATH=/bin HANSA_GUEST=1
test -e /modules/overlay.ko && insmod /modules/overlay.ko
/tests/isolation TESTS
echo \"guest: $?\"
poweroff -f
";

/// Whether this kernel has overlays, without which there are no roots of images.
pub fn has_overlays() -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.ends_with("\toverlay"))
}

/// The guest's root: an uncompressed archive as the kernel unpacks it.
fn write_image(path: &Path, parts: &Parts) {
    let mut image = Archive { out: std::fs::File::create(path).unwrap(), entries: 0 };
    for dir in [
        "bin", "dev", "etc", "lib", "lib64", "modules", "proc", "srv", "sys", "tests", "tmp", "usr",
        "usr/lib",
    ] {
        image.add(dir, 0o40_755, b"");
    }
    let tests = std::env::var("HANSA_GUEST_TESTS").unwrap_or_default();
    let words: Vec<String> = tests.split_ascii_whitespace().map(|word| format!("'{word}'")).collect();
    image.add("init", 0o100_755, INIT.as_bytes());
    image.add("start", 0o100_755, START.replace("TESTS", &words.join(" ")).as_bytes());
    image.add("bin/busybox", 0o100_755, &std::fs::read(&parts.busybox).unwrap());
    if let Some(overlay) = &parts.overlay {
        image.add("modules/overlay.ko", 0o100_644, &std::fs::read(overlay).unwrap());
    }
    let users = "root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
    image.add("etc/passwd", 0o100_644, users.as_bytes());
    image.add("etc/resolv.conf", 0o100_644, b"nameserver 192.0.2.53\n");
    image.add("etc/hosts", 0o100_644, b"127.0.0.1\tlocalhost\n");
    image.add("etc/group", 0o100_644, b"root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n");
    let stripped = path.with_extension("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(exe()).status();
    let program = if strip.is_ok_and(|status| status.success()) { stripped } else { exe() };
    image.add("tests/isolation", 0o100_755, &std::fs::read(program).unwrap());
    for library in libraries() {
        let mut dir = PathBuf::new();
        let inside = library.strip_prefix("/").unwrap();
        for part in inside.parent().unwrap() {
            dir.push(part);
            image.add(dir.to_str().unwrap(), 0o40_755, b"");
        }
        image.add(inside.to_str().unwrap(), 0o100_755, &std::fs::read(&library).unwrap());
    }
    image.add("TRAILER!!!", 0, b"");
}

/// What this binary is linked with, by the paths under which the loader looks.
fn libraries() -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(exe()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// The format is called `newc`: for each file thirteen numbers of eight hexadecimal digits, its name, its contents.
struct Archive {
    out: std::fs::File,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let (length, name_length) = (contents.len() as u32, name.len() as u32 + 1);
        let mut record = b"070701".to_vec();
        for number in [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0] {
            record.extend(format!("{number:08x}").as_bytes());
        }
        record.extend(name.as_bytes());
        record.push(0);
        pad(&mut record);
        record.extend(contents);
        pad(&mut record);
        self.out.write_all(&record).unwrap();
    }
}

fn pad(record: &mut Vec<u8>) {
    record.resize(record.len().next_multiple_of(4), 0);
}
