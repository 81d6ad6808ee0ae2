//! Images made of Debian's packages: a program's files as its package lists them, and the libraries that the program's
//! loader names. No image tool is needed, and no other machine.

use crate::images::archive::{Archive, Entry};
use crate::images::image::{TestImage, busybox_layer};
use crate::images::registry::Registry;
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A registry on loopback, filled with what tests and benches run: `nginx:1`, `nginx:2`, `redis:7` and `busybox:1`.
pub struct Shop {
    registry: Registry,
}

impl Shop {
    /// Starts it; panics with the remedy if something is not installed.
    pub fn open() -> Self {
        let registry = Registry::start("").expect("docker-registry: apt-get install -y docker-registry");
        let nginx = layer("/usr/sbin/nginx", &["nginx-common"]);
        let redis = layer("/usr/bin/redis-server", &["redis-tools"]);
        let shop = Self { registry };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            for version in [1, 2] {
                shop.stock(&format!("nginx:{version}"), &web(version, &nginx)).await;
            }
            let command = json!({"Cmd": ["redis-server", "--save", "", "--protected-mode", "no"], "User": "web",
                                 "Env": [PATH], "WorkingDir": "/tmp", "ExposedPorts": {"6379/tcp": {}}});
            shop.stock("redis:7", &TestImage::new(command, &[busybox_layer(), redis])).await;
            let command = json!({"Cmd": ["sh"], "Env": [PATH]});
            shop.stock("busybox:1", &TestImage::busybox(command)).await;
        });
        shop
    }

    /// One image more.
    pub async fn stock(&self, name: &str, image: &TestImage) {
        self.registry.push(name, image).await;
    }

    /// `127.0.0.1:port`
    pub fn server(&self) -> String {
        self.registry.server()
    }
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A web server that says its version.
fn web(version: u32, nginx: &[u8]) -> TestImage {
    let settings = "user web web;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log stderr;\n\
                    events { worker_connections 256; }\n\
                    http { access_log off; server { listen 80; root /srv/www; } }\n";
    let content = Archive::new()
        .dir("etc/nginx", 0o755)
        .file("etc/nginx/nginx.conf", settings.as_bytes())
        .dir("run", 0o755)
        .dir("var/lib/nginx", 0o755)
        .dir("var/log/nginx", 0o755)
        .dir("srv/www", 0o755)
        .file("srv/www/index.html", format!("version {version}\n").as_bytes())
        .finish();
    // As the image of that name at the Hub: it ends gracefully at SIGQUIT.
    let config = json!({"Entrypoint": ["nginx"], "Cmd": ["-g", "daemon off;"], "Env": [PATH], "StopSignal": "SIGQUIT",
                        "ExposedPorts": {"80/tcp": {}}});
    TestImage::new(config, &[busybox_layer(), nginx.to_vec(), content])
}

/// The layer of a program: the files of its package and of others, and the libraries that all programs in them need.
fn layer(program: &str, others: &[&str]) -> Vec<u8> {
    let said = said_by("dpkg", &["-S", program]);
    let package = said.split(':').next().expect("the package's name").to_owned();
    let mut root = Root { archive: Archive::new(), there: BTreeSet::new() };
    for package in std::iter::once(package.as_str()).chain(others.iter().copied()) {
        for line in said_by("dpkg", &["-L", package]).lines() {
            let path = Path::new(line);
            if !["/usr/share", "/etc", "/lib/systemd"].iter().any(|folder| path.starts_with(folder)) {
                root.add(path);
            }
        }
    }
    root.archive.finish()
}

/// What a program of the machine says; panics if it fails.
fn said_by(program: &str, words: &[&str]) -> String {
    let output =
        Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {errors} (is the package installed?)");
    String::from_utf8(output.stdout).expect("text")
}

/// A root file system in the making.
struct Root {
    archive: Archive,
    there: BTreeSet<PathBuf>,
}

impl Root {
    /// Adds a file or a link of the machine, the directories above it, and the libraries that it needs.
    fn add(&mut self, path: &Path) {
        let Ok(about) = path.symlink_metadata() else { return };
        // Also where a link stands for a folder, as `/lib` does: the image has the folder itself.
        if path.is_dir() || !self.there.insert(path.to_owned()) {
            return;
        }
        if about.is_symlink() {
            self.add_parents(path);
            let target = std::fs::read_link(path).expect("a link");
            let archive = std::mem::take(&mut self.archive);
            self.archive = archive.symlink(inside(path), target.to_str().expect("text"));
        } else {
            self.add_content(path);
        }
    }

    fn add_content(&mut self, path: &Path) {
        self.add_parents(path);
        let content = std::fs::read(path).expect("a readable file");
        let mode = path.metadata().expect("it is there").permissions().mode() & 0o7777;
        let entry = Entry { name: inside(path).as_bytes(), mode, content: &content, ..Entry::default() };
        let archive = std::mem::take(&mut self.archive);
        self.archive = archive.entry(&entry);
        if content.starts_with(b"\x7fELF") && mode & 0o111 != 0 {
            for library in libraries(path) {
                // Under the name that the loader looks for, whatever links lead to it here.
                if self.there.insert(library.clone()) {
                    self.add_content(&library);
                }
            }
        }
    }

    fn add_parents(&mut self, path: &Path) {
        let parents: Vec<&Path> =
            path.ancestors().skip(1).filter(|parent| *parent != Path::new("/")).collect();
        for parent in parents.into_iter().rev() {
            if self.there.insert(parent.to_owned()) {
                let archive = std::mem::take(&mut self.archive);
                self.archive = archive.dir(inside(parent), 0o755);
            }
        }
    }
}

/// A path as it stands in an archive.
fn inside(path: &Path) -> &str {
    path.to_str().expect("text").trim_start_matches('/')
}

/// The libraries of a program, its loader too.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    // It fails for programs without any.
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines()
        .flat_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect()
}
