//! A small image for tests: busybox, this binary and what it is linked with, a few users. Two layers, made once a test.

use crate::fixture::{Fixture, exe};
use hansa_agent::shim::{RootSpec, ShimSpec};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The unpacked layers of an image, uppermost first.
pub struct Image {
    pub layers: Vec<PathBuf>,
}

const TOOLS: &[&str] = &[
    "cat", "chmod", "cp", "cut", "df", "echo", "env", "false", "find", "grep", "head", "hostname", "id",
    "kill", "ls", "mkdir", "mknod", "mount", "mv", "pwd", "readlink", "rm", "sh", "sleep", "sort", "stat",
    "stty", "su", "touch", "tr", "true", "tty", "umount", "wc",
];

impl Image {
    /// An image of two layers: the system, and over it a file and the removal of another.
    pub fn new(fixture: &Fixture) -> Self {
        let (bottom, top) = (fixture.path().join("layers/bottom"), fixture.path().join("layers/top"));
        for dir in ["bin", "etc", "tests", "tmp", "srv", "data"] {
            std::fs::create_dir_all(bottom.join(dir)).unwrap();
        }
        std::fs::copy("/bin/busybox", bottom.join("bin/busybox")).expect("a static busybox in /bin");
        for tool in TOOLS {
            symlink("busybox", bottom.join("bin").join(tool)).unwrap();
        }
        write(&bottom.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:1234:1235::/srv:/bin/sh\n");
        write(&bottom.join("etc/group"), "root:x:0:\nweb:x:1235:\nvideo:x:44:web\n");
        write(&bottom.join("etc/lower"), "lower\n");
        write(&bottom.join("data/content"), "from the image\n");
        let program = bottom.join("tests/isolation");
        let stripped = std::process::Command::new("strip").arg("-o").arg(&program).arg(exe()).status();
        if !stripped.is_ok_and(|status| status.success()) {
            std::fs::copy(exe(), &program).unwrap();
        }
        for library in libraries() {
            let to = bottom.join(library.strip_prefix("/").unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&library, to).unwrap();
        }
        std::fs::create_dir_all(top.join("etc")).unwrap();
        write(&top.join("etc/upper"), "upper\n");
        device(&top.join("etc/lower"), 0, 0);
        Self { layers: vec![top, bottom] }
    }

    /// The same with a further layer on top, which the closure fills.
    pub fn with(&self, fixture: &Fixture, name: &str, fill: impl FnOnce(&Path)) -> Self {
        let layer = fixture.path().join("layers").join(name);
        std::fs::create_dir_all(&layer).unwrap();
        fill(&layer);
        Self { layers: std::iter::once(layer).chain(self.layers.iter().cloned()).collect() }
    }

    /// A container of this image that runs these words.
    pub fn spec(&self, fixture: &Fixture, container: &str, argv: &[&str]) -> ShimSpec {
        let mut spec = fixture.spec(container, argv);
        spec.env.insert("PATH".into(), "/bin".into());
        let scratch = fixture.runtime_dir(container).join("scratch");
        spec.root = Some(RootSpec { layers: self.layers.clone(), scratch, read_only: false });
        spec.hidden_paths = vec![fixture.path().to_owned()];
        spec
    }

    /// A container that runs a shell script.
    pub fn shell(&self, fixture: &Fixture, container: &str, script: &str) -> ShimSpec {
        self.spec(fixture, container, &["/bin/sh", "-c", script])
    }

    /// A container that runs one of this binary's workloads.
    pub fn workload(&self, fixture: &Fixture, container: &str, words: &[&str]) -> ShimSpec {
        let argv: Vec<&str> =
            ["/tests/isolation", "workload"].into_iter().chain(words.iter().copied()).collect();
        self.spec(fixture, container, &argv)
    }
}

pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A character device; 0, 0 is overlayfs' mark for what a layer removes.
pub fn device(path: &Path, major: u32, minor: u32) {
    let c = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string.
    let made = unsafe { libc::mknod(c.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor)) };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
}

/// What this binary is mapped from besides itself, by the paths under which the loader looks.
fn libraries() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut found: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .filter(|path| path.contains(".so"))
        .map(PathBuf::from)
        .collect();
    found.sort();
    found.dedup();
    // The loader is looked for where the program says.
    found.extend(["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map(PathBuf::from));
    let mut all: Vec<PathBuf> = found.iter().filter(|path| path.exists()).cloned().collect();
    // `/lib` may be a link to `/usr/lib`: here both are directories.
    for path in found {
        if let Ok(rest) = path.strip_prefix("/usr/lib") {
            let other = Path::new("/lib").join(rest);
            all.extend(other.exists().then_some(other));
        }
    }
    all
}
