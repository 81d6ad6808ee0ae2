//! A cluster of processes, as users start it: `hansa dev` on a free port, in a folder of its own.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the cluster may take to come and to go.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running cluster; ends with this value, at the latest.
pub struct Dev {
    child: Child,
    /// Where its master listens.
    pub address: SocketAddr,
    /// Its folder; the cluster's data are in `data`.
    pub folder: PathBuf,
}

impl Dev {
    /// Starts the program that cargo built into `target`, and waits until all of its agents are there. `name` tells its
    /// folder from those of other steps.
    pub fn start(target: &Path, name: &str, agents: usize) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = std::env::temp_dir().join(format!("hansa-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let log = std::fs::File::create(folder.join("dev.log"))?;
        let child = Command::new(target.join("debug/hansa"))
            .args(["dev", "--agents", &agents.to_string(), "--listen", &address.to_string(), "--data-dir"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start hansa dev")?;
        let mut dev = Self { child, address, folder };
        let until = Instant::now() + PATIENCE;
        loop {
            let nodes = dev.get("/hansa/v1/nodes").ok().and_then(|body| serde_json::from_str(&body).ok());
            let nodes = nodes.map(|body: Value| body["nodes"].as_array().map_or(0, Vec::len));
            if nodes == Some(agents) {
                return Ok(dev);
            }
            let waits = dev.child.try_wait()?.is_none() && Instant::now() < until;
            ensure!(waits, "the cluster does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The process of `hansa dev`.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The body of a GET's answer.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        Ok(body.to_owned())
    }

    /// Ends the cluster and removes its folder; in words, what came of it.
    pub fn stop(&mut self) -> Result<String> {
        let _ = Command::new("kill").args(["-INT", &self.id().to_string()]).status();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.folder.join("dev.log")).unwrap_or_default();
                ensure!(status.success(), "hansa dev ended with {status}: {}", log.trim());
                std::fs::remove_dir_all(&self.folder)?;
                return Ok("nothing is left of the cluster".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("the cluster does not end")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
