//! Debian's `docker-registry` on a loopback port, filled by the test.

use super::image::{MANIFEST, TestImage};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A registry that ends with this value, and with the thread that started it, should that be killed.
pub struct Registry {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
    client: reqwest::Client,
}

impl Registry {
    /// Starts one; `extra` is put into its configuration. None, and a line that says so, if the machine has none.
    pub fn start(extra: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.yml");
        let root = dir.path().join("data");
        let text = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{extra}",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stderr(Stdio::piped()).stdout(Stdio::null());
        // SAFETY: between fork and exec only a system call is made.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!(
                    "not tested: docker-registry cannot be started ({error}); install the package docker-registry"
                );
                return None;
            }
        };
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "docker-registry ended: {seen}");
            seen.push_str(&line);
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest
                    .split(|c: char| c == '"' || c.is_whitespace() || c == ',')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
            }
        };
        // It would stop at a full pipe.
        std::thread::spawn(move || lines.lines().for_each(drop));
        Some(Self { child, address, _dir: dir, client: reqwest::Client::new() })
    }

    /// `127.0.0.1:port`
    pub fn server(&self) -> String {
        self.address.to_string()
    }

    /// A reference to one of its images.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.server())
    }

    /// Pushes blobs and manifest; the name is `repository:tag`.
    pub async fn push(&self, name: &str, image: &TestImage) {
        let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
        for (digest, blob) in image.blobs() {
            let started = self.post(&format!("/v2/{repository}/blobs/uploads/")).await;
            let location = started.headers()["location"].to_str().unwrap().to_owned();
            let joint = if location.contains('?') { '&' } else { '?' };
            let answer = self
                .client
                .put(format!("{location}{joint}digest={digest}"))
                .body(blob.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 201, "blob {digest}");
        }
        self.put_manifest(repository, tag, MANIFEST, image.manifest.clone()).await;
    }

    pub async fn put_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: Vec<u8>) {
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.address);
        let answer = self.client.put(url).header("content-type", kind).body(manifest).send().await.unwrap();
        assert_eq!(answer.status(), 201, "manifest {tag}: {}", answer.text().await.unwrap());
    }

    async fn post(&self, path: &str) -> reqwest::Response {
        let answer = self.client.post(format!("http://{}{path}", self.address)).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{path}");
        answer
    }

    /// Ends it before the test does.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
