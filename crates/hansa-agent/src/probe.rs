//! Runs one probe of a check. When to run it and what its outcome means is the core's.

mod tls;

use crate::shim::Client;
use hansa_model::task::{CheckResponse, CheckResult, Exit};
use hansa_node::{ProbeOutcome, ProbeTarget};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Bytes of an answer that are kept of a readiness check.
const KEPT: usize = 4_096;

/// Runs a probe. A command runs in `container` with `env`; None: the container is gone.
pub async fn run(
    target: ProbeTarget,
    timeout_ms: u64,
    container: Option<Client>,
    env: BTreeMap<String, String>,
) -> ProbeOutcome {
    let timeout = Duration::from_millis(timeout_ms.max(1));
    let result = match target {
        ProbeTarget::Http { host, port, path, ignore_1xx, tls } => {
            within(timeout, http(&host, port, &path, ignore_1xx, tls)).await
        }
        ProbeTarget::Ready { host, port, path, tls, codes, keep } => {
            within(timeout, ready(&host, port, &path, tls, &codes, keep)).await
        }
        ProbeTarget::Tcp { host, port } => within(timeout, tcp(&host, port)).await,
        ProbeTarget::Command { command } => command_in(container, command, env, timeout).await,
        ProbeTarget::Status { host, port, path, tls } => {
            within(timeout, status(&host, port, &path, tls)).await
        }
        ProbeTarget::Accepts { host, port } => within(timeout, accepts(&host, port)).await,
        ProbeTarget::ExitCode { argv } => exit_code(container, argv, env, timeout).await,
    };
    result.unwrap_or_else(|cause| ProbeOutcome::Unhealthy { cause })
}

async fn within(
    timeout: Duration,
    probe: impl Future<Output = Result<ProbeOutcome, String>>,
) -> Result<ProbeOutcome, String> {
    match tokio::time::timeout(timeout, probe).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port)).await.map_err(|error| format!("{host}:{port}: {error}"))
}

async fn tcp(host: &str, port: u16) -> Result<ProbeOutcome, String> {
    connect(host, port).await.map(|_| ProbeOutcome::Healthy)
}

async fn accepts(host: &str, port: u16) -> Result<ProbeOutcome, String> {
    Ok(ProbeOutcome::Said(CheckResult::Connected(connect(host, port).await.is_ok())))
}

async fn status(host: &str, port: u16, path: &str, tls: bool) -> Result<ProbeOutcome, String> {
    let answer = get(host, port, path, tls, 0).await?;
    Ok(ProbeOutcome::Said(CheckResult::HttpStatus(answer.status)))
}

async fn http(
    host: &str,
    port: u16,
    path: &str,
    ignore_1xx: bool,
    tls: bool,
) -> Result<ProbeOutcome, String> {
    let answer = get(host, port, path, tls, 0).await?;
    Ok(match answer.status {
        200..=399 => ProbeOutcome::Healthy,
        100..=199 if ignore_1xx => ProbeOutcome::Ignored,
        code => ProbeOutcome::Unhealthy { cause: format!("HTTP status {code}") },
    })
}

async fn ready(
    host: &str,
    port: u16,
    path: &str,
    tls: bool,
    codes: &[u16],
    keep: bool,
) -> Result<ProbeOutcome, String> {
    let answer = get(host, port, path, tls, if keep { KEPT } else { 0 }).await?;
    Ok(ProbeOutcome::Answered { ready: codes.contains(&answer.status), response: keep.then_some(answer) })
}

/// What comes back for a GET, with up to `most` bytes of its body.
async fn get(host: &str, port: u16, path: &str, tls: bool, most: usize) -> Result<CheckResponse, String> {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request = http::Request::get(path)
        .header(http::header::HOST, &authority)
        .header(http::header::USER_AGENT, "hansa-health-check")
        .header(http::header::ACCEPT, "*/*")
        .header(http::header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| format!("the path {path:?} cannot be asked for: {error}"))?;
    let stream = connect(host, port).await?;
    let asked = if tls {
        match tls::over(stream, host).await {
            Ok(stream) => ask(stream, request, most).await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("TLS: {error}")),
        }
    } else {
        ask(stream, request, most).await.map_err(|error| error.to_string())
    };
    asked.map_err(|error| format!("{authority}{path}: {error}"))
}

/// What comes back for a request.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: http::Request<Empty<bytes::Bytes>>,
    most: usize,
) -> hyper::Result<CheckResponse> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection makes progress only while it is polled. It may end before the answer is taken from it.
    let mut asking = std::pin::pin!(async move {
        let answer = sender.send_request(request).await?;
        let content_type = answer.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let mut text = Vec::new();
        while text.len() < most
            && let Some(frame) = body.frame().await
        {
            text.extend_from_slice(frame?.data_ref().map_or(&[][..], |data| data));
        }
        text.truncate(most);
        Ok(CheckResponse { status, content_type, body: String::from_utf8_lossy(&text).into_owned() })
    });
    tokio::select! {
        answer = &mut asking => answer,
        ended = connection => {
            ended?;
            asking.await
        }
    }
}

async fn command_in(
    container: Option<Client>,
    command: String,
    env: BTreeMap<String, String>,
    timeout: Duration,
) -> Result<ProbeOutcome, String> {
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), command];
    let (code, said) = executed(container, argv, env, timeout).await?;
    match code {
        0 => Ok(ProbeOutcome::Healthy),
        code => Err(format!("the command exited with status {code}{said}")),
    }
}

async fn exit_code(
    container: Option<Client>,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    timeout: Duration,
) -> Result<ProbeOutcome, String> {
    let (code, _) = executed(container, argv, env, timeout).await?;
    Ok(ProbeOutcome::Said(CheckResult::ExitCode(code)))
}

/// The exit code of a command in the container, and what it wrote, shortened, as the end of a sentence.
async fn executed(
    container: Option<Client>,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    timeout: Duration,
) -> Result<(i32, String), String> {
    let container = container.ok_or("the container is gone")?;
    let result = container.exec(argv, env, timeout).await.map_err(|error| error.to_string())?;
    if result.timed_out {
        return Err(format!("the command took longer than {} ms", timeout.as_millis()));
    }
    let said = match result.output.trim() {
        "" => String::new(),
        output => format!(": {}", output.chars().take(200).collect::<String>()),
    };
    match result.exit {
        Exit::Code(code) => Ok((code, said)),
        Exit::Signal(signal) => Err(format!("the command ended by signal {signal}{said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers one request with this text, or just closes; gives its port.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let hello = request[0] == 0x16;
            let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
            assert!(request.is_empty() || hello || request.contains("host: 127.0.0.1"), "{request}");
            if answer == "never" {
                std::future::pending::<()>().await;
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        port
    }

    async fn probe(port: u16, path: &str) -> ProbeOutcome {
        ask_over(port, path, false).await
    }

    async fn ask_over(port: u16, path: &str, tls: bool) -> ProbeOutcome {
        let (host, path) = ("127.0.0.1".to_owned(), path.to_owned());
        run(ProbeTarget::Http { host, port, path, ignore_1xx: true, tls }, 300, None, BTreeMap::new()).await
    }

    #[tokio::test]
    async fn readiness_is_told_by_the_status_and_the_answer_kept() {
        let ask = |port, keep| {
            let (host, path, codes) = ("127.0.0.1".to_owned(), "/ready".to_owned(), vec![200, 418]);
            run(
                ProbeTarget::Ready { host, port, path, tls: false, codes, keep },
                5_000,
                None,
                BTreeMap::new(),
            )
        };
        let wait = "HTTP/1.1 503 no\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nwait!";
        let kept = CheckResponse { status: 503, content_type: "text/plain".into(), body: "wait!".into() };
        let outcome = ask(server(wait).await, true).await;
        assert_eq!(outcome, ProbeOutcome::Answered { ready: false, response: Some(kept) });
        let outcome = ask(server(wait).await, false).await;
        assert_eq!(outcome, ProbeOutcome::Answered { ready: false, response: None });
        let outcome = ask(server("HTTP/1.1 418 teapot\r\ncontent-length: 0\r\n\r\n").await, false).await;
        assert_eq!(outcome, ProbeOutcome::Answered { ready: true, response: None });
        assert!(matches!(ask(server("").await, true).await, ProbeOutcome::Unhealthy { .. }));
    }

    #[tokio::test]
    async fn general_checks_say_what_came() {
        let status = |port| {
            let (host, path) = ("127.0.0.1".to_owned(), "/".to_owned());
            run(ProbeTarget::Status { host, port, path, tls: false }, 5_000, None, BTreeMap::new())
        };
        let sick = server("HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(status(sick).await, ProbeOutcome::Said(CheckResult::HttpStatus(503)));
        assert!(matches!(status(server("").await).await, ProbeOutcome::Unhealthy { .. }), "no answer");
        let accepts = |port| {
            let target = ProbeTarget::Accepts { host: "127.0.0.1".into(), port };
            run(target, 5_000, None, BTreeMap::new())
        };
        assert_eq!(accepts(server("").await).await, ProbeOutcome::Said(CheckResult::Connected(true)));
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        assert_eq!(accepts(free).await, ProbeOutcome::Said(CheckResult::Connected(false)));
        let gone = run(ProbeTarget::ExitCode { argv: vec!["true".into()] }, 100, None, BTreeMap::new());
        assert_eq!(cause(gone.await), "the container is gone");
    }

    fn cause(outcome: ProbeOutcome) -> String {
        match outcome {
            ProbeOutcome::Unhealthy { cause } => cause,
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn http_answers() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "Healthy"),
            ("HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", "Healthy"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "Healthy"),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "HTTP status 404"),
            ("HTTP/1.1 503 No\r\ncontent-length: 100\r\n\r\n", "HTTP status 503"),
            ("never", "no answer within 300 ms"),
        ];
        for (answer, expected) in cases {
            assert_eq!(cause(probe(server(answer).await, "/health?x=1").await), expected, "{answer}");
        }
        for nonsense in ["", "SSH-2.0-OpenSSH\r\n"] {
            let outcome = probe(server(nonsense).await, "/").await;
            assert!(matches!(outcome, ProbeOutcome::Unhealthy { .. }), "{nonsense:?}: {outcome:?}");
        }
        let port = server("").await;
        assert!(cause(probe(port, "/a b").await).contains("cannot be asked for"));
    }

    /// A server with a certificate that nobody has signed, for another name.
    async fn https_server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tls::test_acceptor();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not speak TLS gets no further.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /health HTTP/1.1"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        port
    }

    #[tokio::test]
    async fn https_whoever_signed_the_certificate() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(ask_over(https_server(ok).await, "/health", true).await, ProbeOutcome::Healthy);
        let sick = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(cause(ask_over(https_server(sick).await, "/health", true).await), "HTTP status 500");
        let plain = ask_over(server(ok).await, "/health", true).await;
        assert!(cause(plain.clone()).contains("TLS: "), "a server without TLS: {plain:?}");
        let unexpected = ask_over(https_server(ok).await, "/health", false).await;
        assert!(matches!(unexpected, ProbeOutcome::Unhealthy { .. }), "a client without TLS: {unexpected:?}");
    }

    #[tokio::test]
    async fn tcp_and_nobody() {
        let port = server("").await;
        let tcp = |port| ProbeTarget::Tcp { host: "127.0.0.1".into(), port };
        assert_eq!(run(tcp(port), 1_000, None, BTreeMap::new()).await, ProbeOutcome::Healthy);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let outcome = run(tcp(free), 1_000, None, BTreeMap::new()).await;
        assert!(cause(outcome).contains("refused"));
        let command = ProbeTarget::Command { command: "true".into() };
        assert_eq!(cause(run(command, 1_000, None, BTreeMap::new()).await), "the container is gone");
    }
}
