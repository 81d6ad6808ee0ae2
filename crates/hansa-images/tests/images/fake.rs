//! A registry of a few lines that serves images from memory, and lies, breaks off and refuses as told.

use crate::support::image::{MANIFEST, TestImage, digest};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request's line and headers, names in lower case.
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// How often this path was asked for before.
    pub before: usize,
}

/// An answer; what is not said is well-behaved.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Break off after so many bytes of the body.
    pub cut: Option<usize>,
    /// Never answer.
    pub hang: bool,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, hang: false }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Sees a request and the honest answer, and may give another.
pub type Rule = Box<dyn Fn(&Asked, &Reply) -> Option<Reply> + Send + Sync>;

/// It ends with this value.
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Serves these images by `repository:tag`. The rule sees each request and the honest answer, and may give another.
    pub async fn start(
        images: &[(&str, &TestImage)],
        rule: impl Fn(&Asked, &Reply) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let mut content = BTreeMap::new();
        for (name, image) in images {
            let (repository, tag) = name.split_once(':').unwrap();
            let manifest = Reply::new(200, image.manifest.clone()).header("content-type", MANIFEST);
            for version in [tag.to_owned(), digest(&image.manifest)] {
                content.insert(format!("/v2/{repository}/manifests/{version}"), manifest.clone());
            }
            for (digest, blob) in image.blobs() {
                content.insert(format!("/v2/{repository}/blobs/{digest}"), Reply::new(200, blob.clone()));
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, rule): (_, Rule) = (asked.clone(), Box::new(rule));
        let shared = Arc::new((content, rule));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone(), log.clone()));
            }
        });
        Self { address, asked, task }
    }

    /// Does what a registry should.
    pub async fn honest(images: &[(&str, &TestImage)]) -> Self {
        Self::start(images, |_, _| None).await
    }

    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// How often paths with this in them were asked for.
    pub fn count(&self, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.contains(part)).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    shared: Arc<(BTreeMap<String, Reply>, Rule)>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let before = {
        let mut log = log.lock().unwrap();
        log.push(path.clone());
        log.iter().filter(|seen| **seen == path).count() - 1
    };
    let asked = Asked { method, path, headers, body: String::from_utf8(body).unwrap(), before };
    let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let honest = shared.0.get(&asked.path).cloned().unwrap_or_else(|| Reply::new(404, unknown));
    let reply = (shared.1)(&asked, &honest).unwrap_or(honest);
    if reply.hang {
        std::future::pending::<()>().await;
    }
    let mut text = format!(
        "HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.write_all(body).await;
}
