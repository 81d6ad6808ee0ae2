//! The fuzzer over Marathon's surface against a running master, over real connections.
//!
//!     fuzz HOST:PORT SECONDS [SEED]
//!
//! The requests are those of the crate's own test. Whatever they create is removed every few seconds, so that the master's
//! memory can be judged. Prints every fault, and at the end one line that begins with `fuzz:`. Fails if there was a fault.

#[path = "fuzz/requests.rs"]
mod requests;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use proptest::prelude::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use requests::Asked;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Longer than the master lets a request wait.
const PATIENCE: Duration = Duration::from_secs(45);

/// How often everything is removed.
const CLEAN: Duration = Duration::from_secs(5);

/// Bytes of an answer.
const MOST: usize = 256 << 20;

/// Faults that are printed; with more the run ends.
const FAULTS: usize = 20;

/// One connection, made anew when it ends.
struct Client {
    to: SocketAddr,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// Status, media type and body of an answer; None for a stream, which has no end.
type Answer = (u16, String, Option<Bytes>);

impl Client {
    async fn ask(&mut self, asked: &Asked) -> Result<Option<Answer>> {
        let request = http::Request::builder()
            .method(asked.method)
            .uri(&asked.target)
            .header("host", self.to.to_string())
            .header("accept", asked.accept)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(asked.body.clone())));
        // What is no URL for the client's library either.
        let Ok(request) = request else { return Ok(None) };
        let mut sender = self.connection().await?;
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request))
            .await
            .context("no answer in time")?;
        let (head, body) = answer.context("no answer")?.into_parts();
        let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let status = head.status.as_u16();
        if kind == "text/event-stream" {
            return Ok(Some((status, kind.to_owned(), None)));
        }
        let body = tokio::time::timeout(PATIENCE, Limited::new(body, MOST).collect()).await;
        let body = match body.context("no end of the answer in time")? {
            Ok(body) => body.to_bytes(),
            Err(error) => bail!("the answer broke off: {error}"),
        };
        self.open = Some(sender);
        Ok(Some((status, kind.to_owned(), Some(body))))
    }

    async fn connection(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.open.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TcpStream::connect(self.to).await.context("the master does not listen")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// The same request with commands that are known and addresses that lead nowhere: an agent does what apps say.
fn tamed(mut asked: Asked) -> Asked {
    if let Ok(mut body) = serde_json::from_slice(&asked.body) {
        tame(&mut body);
        asked.body = body.to_string().into_bytes();
    }
    asked
}

fn tame(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tame),
        Value::Object(fields) => {
            for (name, value) in fields {
                let choices = match name.as_str() {
                    "cmd" | "value" => ["true", "exit 1", "sleep 1000"],
                    "image" => ["", "127.0.0.1:1/a", "127.0.0.1:1/a:1"],
                    "uri" => ["", "http://127.0.0.1:1/a", "file:///nonexistent/a.tgz"],
                    _ => [""; 3],
                };
                match value {
                    Value::String(text) if !choices[1].is_empty() => {
                        *text = choices[text.len() % choices.len()].to_owned();
                    }
                    Value::Array(words) if matches!(name.as_str(), "args" | "argv" | "uris") => {
                        for word in words.iter_mut().filter(|word| word.is_string()) {
                            *word = Value::from("/bin/true");
                        }
                    }
                    other => tame(other),
                }
            }
        }
        _ => {}
    }
}

async fn clean(client: &mut Client) -> Result<()> {
    let asked = Asked {
        method: "DELETE",
        target: "/v2/groups?force=true".into(),
        accept: "*/*",
        body: Vec::new(),
        described: None,
    };
    let answer = client.ask(&asked).await?;
    ensure!(answer.as_ref().is_some_and(|(status, ..)| *status == 200), "cannot clean up: {answer:?}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (to, seconds, seed) = match &words[..] {
        [to, seconds] => (to, seconds, u64::from(std::process::id())),
        [to, seconds, seed] => (to, seconds, seed.parse()?),
        _ => bail!("usage: fuzz HOST:PORT SECONDS [SEED]"),
    };
    let (to, limit) = (to.parse()?, Duration::from_secs(seconds.parse()?));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let requests = requests::requests(false);

    let mut client = Client { to, open: None };
    let (begun, mut cleaned) = (Instant::now(), Instant::now());
    let (mut cases, mut faults) = (0_u64, 0);
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    while begun.elapsed() < limit && faults < FAULTS {
        if cleaned.elapsed() >= CLEAN {
            clean(&mut client).await?;
            cleaned = Instant::now();
        }
        let tree =
            requests.new_tree(&mut runner).map_err(|reason| anyhow::anyhow!("no request: {reason}"))?;
        let asked = tamed(tree.current());
        let fault = match client.ask(&asked).await {
            Ok(None) => continue,
            Ok(Some((status, kind, body))) => {
                *statuses.entry(status).or_default() += 1;
                body.and_then(|body| requests::fault(&asked, status, &kind, &body))
            }
            Err(error) => Some(format!("{error:#}")),
        };
        cases += 1;
        if let Some(fault) = fault {
            faults += 1;
            let body: String = String::from_utf8_lossy(&asked.body).chars().take(2_000).collect();
            println!("fault: {} {} {body}\n  {fault}", asked.method, asked.target);
        }
    }
    clean(&mut client).await?;
    let broken: u64 =
        statuses.iter().filter(|(status, _)| **status >= 500 && **status != 501).map(|(_, n)| n).sum();
    println!(
        "fuzz: seed {seed}, {} s, {cases} cases, {broken} 5xx ({} times 501), {faults} faults; {statuses:?}",
        begun.elapsed().as_secs(),
        statuses.get(&501).unwrap_or(&0)
    );
    ensure!(faults == 0, "{faults} faults");
    Ok(())
}
