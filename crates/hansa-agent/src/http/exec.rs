//! `/hansa/v1/tasks/{id}/exec`: a command in a task's container, for somebody who talks to it.
//!
//! An upgraded connection carries frames ([`hansa_api::exec`]). The command's streams are pipes or a terminal whose other
//! ends this process holds; when the connection ends, so do they, and a command that minds ends too.

use super::{Context, error};
use crate::launcher::{resize, set_nonblocking};
use crate::shim::Client;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hansa_api::exec::{End, Frame, MOST, PROTOCOL, Size, Start};
use hansa_model::TaskId;
use hyper_util::rt::TokioIo;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long output is still passed on after the command's end, should something it left behind hold on to it.
const LINGER: Duration = Duration::from_millis(200);

pub(super) async fn exec(
    State(context): State<Context>,
    Path(task): Path<String>,
    request: Request,
) -> Response {
    let refuse = |status, code, message: &str| error(status, code, message);
    if !context.allow_exec {
        return refuse(
            StatusCode::FORBIDDEN,
            "forbidden",
            "this agent runs no commands in containers: start it with --allow-exec (whoever reaches its port may then use it)",
        );
    }
    let asked = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    if asked != Some(PROTOCOL) {
        return refuse(StatusCode::UPGRADE_REQUIRED, "invalid", "say `Upgrade: hansa-exec-1`");
    }
    let id = TaskId::from(task);
    let wanted = id.clone();
    let found = context.ask(move |shell| {
        let group = shell.node.group_of(&wanted)?;
        shell.containers.client(&group.launch.instance).cloned()
    });
    let container = match found.await {
        Ok(Some(container)) => container,
        Ok(None) => {
            let message = format!("task {id} does not run on this agent");
            return refuse(StatusCode::NOT_FOUND, "not-found", &message);
        }
        Err(response) => return response,
    };
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            serve(TokioIo::new(stream), container).await;
        }
    });
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + 'static, container: Client) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let end = match tokio::time::timeout(PATIENCE, Frame::read(&mut reader)).await {
        Ok(Ok(Some(Frame::Start(start)))) => session(&mut reader, &mut writer, container, start).await,
        Ok(Ok(_)) => Err("the first word is not what to run".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("nothing was said".into()),
    };
    let end = end.unwrap_or_else(|error| End { exit: None, error: Some(error) });
    let _ = Frame::End(end).write(&mut writer).await;
    let _ = writer.shutdown().await;
}

/// Our ends of a command's streams.
struct Ends {
    input: AsyncFd<OwnedFd>,
    output: AsyncFd<OwnedFd>,
    errors: Option<AsyncFd<OwnedFd>>,
}

/// Makes the streams; gives ours and the command's.
fn streams(container: &Client, size: Option<Size>) -> io::Result<(Ends, [OwnedFd; 3])> {
    let own = |fd: OwnedFd| {
        set_nonblocking(fd.as_raw_fd())?;
        // SAFETY: the descriptor is owned by what is registered and closed with it.
        unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
    };
    if let Some(size) = size {
        let (shown, used) = container.open_terminal()?;
        // Nobody minds if it is not a size that makes sense.
        let _ = resize(shown.as_raw_fd(), size.rows, size.columns);
        let ends = Ends { input: own(shown.try_clone()?)?, output: own(shown)?, errors: None };
        return Ok((ends, [used.try_clone()?, used.try_clone()?, used]));
    }
    let (stdin, input) = crate::launcher::pipe()?;
    let (output, stdout) = crate::launcher::pipe()?;
    let (errors, stderr) = crate::launcher::pipe()?;
    let ends = Ends { input: own(input)?, output: own(output)?, errors: Some(own(errors)?) };
    Ok((ends, [stdin, stdout, stderr]))
}

async fn session(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    container: Client,
    start: Start,
) -> Result<End, String> {
    let terminal = start.terminal.is_some();
    let (ends, theirs) = streams(&container, start.terminal)
        .map_err(|error| format!("the command's streams cannot be made: {error}"))?;
    let Ends { input, output, errors } = ends;
    let running = container.session(start.argv, start.env, theirs, terminal);
    let (sender, mut frames) = mpsc::channel::<Frame>(8);
    let copies = async {
        let stderr = async {
            if let Some(errors) = &errors {
                copy(errors, &sender, Frame::Stderr).await;
            }
        };
        tokio::join!(copy(&output, &sender, Frame::Stdout), stderr);
    };
    let (mut running, mut copies) = (std::pin::pin!(running), std::pin::pin!(copies));
    let mut feed = std::pin::pin!(feed(reader, input));
    let (mut copied, mut fed) = (false, false);
    let result = loop {
        tokio::select! {
            biased;
            Some(frame) = frames.recv() => frame.write(writer).await.map_err(|error| error.to_string())?,
            () = copies.as_mut(), if !copied => copied = true,
            gone = feed.as_mut(), if !fed => {
                fed = true;
                if gone {
                    // Nobody is there any more. Dropping our ends tells the command.
                    return Err("the client has gone".into());
                }
            }
            result = running.as_mut() => break result,
        }
    };
    // What it wrote before its end is still on the way.
    let rest = async {
        loop {
            tokio::select! {
                biased;
                Some(frame) = frames.recv() => {
                    if frame.write(writer).await.is_err() {
                        break;
                    }
                }
                () = copies.as_mut(), if !copied => copied = true,
                else => break,
            }
            if copied && frames.is_empty() {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
    match result {
        Ok(result) => {
            Ok(End { exit: Some(result.exit), error: Some(result.output).filter(|text| !text.is_empty()) })
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Passes input on; ends when the client is gone (true) or nothing more can be passed on (false).
async fn feed(reader: &mut (impl AsyncRead + Unpin), input: AsyncFd<OwnedFd>) -> bool {
    let mut input = Some(input);
    loop {
        match Frame::read(reader).await {
            Ok(Some(Frame::Stdin(bytes))) if bytes.is_empty() => drop(input.take()),
            Ok(Some(Frame::Stdin(bytes))) => {
                let Some(open) = &input else { continue };
                // A command that reads no more makes no error of what was meant for it.
                if write_all(open, &bytes).await.is_err() {
                    input = None;
                }
            }
            Ok(Some(Frame::Resize(size))) => {
                if let Some(open) = &input {
                    let _ = resize(open.get_ref().as_raw_fd(), size.rows, size.columns);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return true,
        }
    }
}

async fn copy(from: &AsyncFd<OwnedFd>, to: &mpsc::Sender<Frame>, frame: fn(Vec<u8>) -> Frame) {
    loop {
        let mut buffer = vec![0; 16 << 10];
        let read = from.async_io(tokio::io::Interest::READABLE, |fd| read(fd, &mut buffer)).await;
        match read {
            // A terminal that nobody uses any more gives an error, not an end.
            Ok(0) | Err(_) => return,
            Ok(length) => {
                buffer.truncate(length.min(MOST));
                if to.send(frame(buffer)).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn read(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is ours and as long as said.
    let length = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

async fn write_all(fd: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let write = |fd: &OwnedFd| {
            // SAFETY: the buffer is ours and as long as said.
            let length = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
            usize::try_from(length).map_err(|_| io::Error::last_os_error())
        };
        let length = fd.async_io(tokio::io::Interest::WRITABLE, write).await?;
        bytes = &bytes[length..];
    }
    Ok(())
}
