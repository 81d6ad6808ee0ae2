//! What tasks wrote: their output as a stream, and Mesos' `/files` over their sandboxes.

use super::mesos::answers::{self, Query, refused};
use super::mesos::places;
use super::{Context, error};
use crate::sandbox::{Entry, Sandbox, Tail};
use axum::body::Body;
use axum::extract::{Path, Query as QueryOf, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hansa_model::TaskId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// How often a followed file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Looks at a file that no longer grows before the loop is asked whether its task still runs.
const LOOKS_PER_QUESTION: u32 = 5;

/// Mesos gives at most 16 pages a call.
const MAX_READ: u64 = 16 * 4096;

/// Where to start, how much to give, whether to stay.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    /// Negative: from the end.
    #[serde(default)]
    offset: i64,
    limit: Option<u64>,
    #[serde(default)]
    follow: bool,
}

/// `/files/{task}/{stdout or stderr}?offset=&limit=&follow=`: the bytes, over all parts that are kept. `offset` counts from
/// the oldest byte kept, from the end if negative. Following ends with the task (or at `limit` bytes).
pub(super) async fn stream(
    State(context): State<Context>,
    Path((task, stream)): Path<(String, String)>,
    QueryOf(range): QueryOf<Range>,
) -> Response {
    if stream != "stdout" && stream != "stderr" {
        return not_found("a task has stdout and stderr");
    }
    let sandbox = Sandbox::of(&context.sandboxes, &task).filter(|sandbox| sandbox.list("").is_ok());
    let Some(sandbox) = sandbox else {
        return not_found(&format!("task {task:?} has no sandbox on this agent"));
    };
    let tail = match Tail::start(sandbox, &stream, range.offset) {
        Ok(tail) => tail,
        Err(error) => return unreadable(&error),
    };
    let state = Following {
        context,
        task: TaskId::from(task),
        tail,
        left: range.limit.unwrap_or(u64::MAX),
        follow: range.follow,
        idle: 0,
    };
    let chunks = futures_util::stream::unfold(state, |mut state| async move {
        state.next().await.map(|chunk| (chunk, state))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // What a task prints is not a page, whatever it looks like.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

struct Following {
    context: Context,
    task: TaskId,
    tail: Tail,
    left: u64,
    follow: bool,
    idle: u32,
}

impl Following {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut ended = !self.follow;
        while self.left > 0 {
            let wanted = CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK));
            let mut buffer = vec![0; wanted];
            match self.tail.read(&mut buffer) {
                Ok(0) if ended => return None,
                Ok(0) => {
                    self.idle += 1;
                    if self.idle.is_multiple_of(LOOKS_PER_QUESTION) && !self.runs().await {
                        // Once more: it may have written between the look and its end.
                        ended = true;
                    } else {
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                }
                Ok(bytes) => {
                    buffer.truncate(bytes);
                    self.left -= bytes as u64;
                    self.idle = 0;
                    return Some(Ok(buffer.into()));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    async fn runs(&self) -> bool {
        let task = self.task.clone();
        let asked = self
            .context
            .ask(move |shell| shell.node.group_of(&task).is_some_and(|group| !group.is_terminal()));
        asked.await.unwrap_or(false)
    }
}

fn not_found(message: &str) -> Response {
    error(StatusCode::NOT_FOUND, "not-found", message)
}

fn unreadable(error: &io::Error) -> Response {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => not_found("there is no such file"),
        _ => super::error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &format!("cannot read: {error}")),
    }
}

/// What `/files/browse` answers for a path.
pub(super) async fn browse(context: Context, uri: Uri) -> Response {
    let query = Query::of(&uri);
    let Some(path) = query.get("path").filter(|path| !path.is_empty()) else { return no_path() };
    let Some((sandbox, inside)) = locate(&context, path).await else {
        return refused(StatusCode::NOT_FOUND, "");
    };
    match sandbox.list(&inside) {
        Ok(entries) => {
            let base = path.trim_end_matches('/');
            answers::json(&entries.iter().map(|entry| listed(base, entry)).collect())
        }
        Err(error) => lost(&error),
    }
}

async fn locate(context: &Context, path: &str) -> Option<(Sandbox, String)> {
    let path = path.to_owned();
    context.ask(move |shell| places::locate(shell, &path)).await.ok()?
}

fn no_path() -> Response {
    answers::bad("Expecting 'path=value' in query.\n")
}

/// An error as Mesos' `/files` tells it.
fn lost(error: &io::Error) -> Response {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => refused(StatusCode::NOT_FOUND, ""),
        io::ErrorKind::IsADirectory => answers::bad("Cannot read a directory.\n"),
        _ => refused(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read: {error}.\n")),
    }
}

/// An entry as Mesos lists it.
pub(super) fn listed(base: &str, entry: &Entry) -> Value {
    json!({
        "path": format!("{base}/{}", entry.name),
        "size": entry.size,
        "mode": mode_text(entry.mode),
        "mtime": entry.modified,
        "nlink": entry.links,
        // Mesos gives names; numbers are what a sandbox's files have.
        "uid": entry.uid.to_string(),
        "gid": entry.gid.to_string(),
    })
}

/// A mode as `ls` shows it.
pub(super) fn mode_text(mode: u32) -> String {
    let kind = match mode & libc::S_IFMT {
        libc::S_IFDIR => 'd',
        libc::S_IFLNK => 'l',
        libc::S_IFIFO => 'p',
        libc::S_IFSOCK => 's',
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        _ => '-',
    };
    let bits = "rwxrwxrwx".chars().enumerate();
    std::iter::once(kind)
        .chain(bits.map(|(at, letter)| if mode & (0o400 >> at) != 0 { letter } else { '-' }))
        .collect()
}

/// A number of a query; None: it is not there.
#[expect(clippy::result_large_err, reason = "the error is the answer; there is one for each request")]
fn number(query: &Query, name: &str) -> Result<Option<i64>, Response> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let number: i64 = text
        .parse()
        .map_err(|_| answers::bad(format!("Failed to parse {name}: {text:?} is no whole number.\n")))?;
    if number < -1 {
        return Err(answers::bad(format!("Negative {name} provided: {number}.\n")));
    }
    Ok(Some(number))
}

/// What `/files/read` answers: a piece of a file, or (without an offset) its size.
pub(super) async fn read(context: Context, uri: Uri) -> Response {
    let query = Query::of(&uri);
    let Some(path) = query.get("path").filter(|path| !path.is_empty()) else { return no_path() };
    let (offset, length) = match (number(&query, "offset"), number(&query, "length")) {
        (Ok(offset), Ok(length)) => (offset.unwrap_or(-1), length),
        (Err(response), _) | (_, Err(response)) => return response,
    };
    let Some((sandbox, inside)) = locate(&context, path).await else {
        return refused(StatusCode::NOT_FOUND, "");
    };
    let result = match u64::try_from(offset) {
        Ok(offset) => {
            let length = length.and_then(|length| u64::try_from(length).ok()).unwrap_or(MAX_READ);
            piece(&sandbox, &inside, offset, length).map(|(bytes, _)| (bytes, offset))
        }
        // With -1, clients learn the size.
        Err(_) => piece(&sandbox, &inside, 0, 0),
    };
    match result {
        Ok((bytes, offset)) => {
            answers::json(&json!({"data": String::from_utf8_lossy(&bytes), "offset": offset}))
        }
        Err(error) => lost(&error),
    }
}

/// At most 16 pages of a file, and its size.
///
/// # Errors
/// There is no such file there, or it is a directory.
pub(super) fn piece(sandbox: &Sandbox, inside: &str, offset: u64, length: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = match sandbox.open(inside) {
        Ok(file) => file,
        Err(_) if sandbox.list(inside).is_ok() => return Err(io::ErrorKind::IsADirectory.into()),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length.min(MAX_READ)).read_to_end(&mut bytes)?;
    Ok((bytes, size))
}

/// What `/files/debug` answers: every virtual path and what it leads to.
pub(super) async fn debug(context: Context) -> Response {
    match context.ask(places::all).await {
        Ok(all) => answers::json(&all.into_iter().map(|(path, real)| (path, Value::from(real))).collect()),
        Err(response) => response,
    }
}

/// What `/files/download` answers: a whole file.
pub(super) async fn download(context: Context, uri: Uri) -> Response {
    let query = Query::of(&uri);
    let Some(path) = query.get("path").filter(|path| !path.is_empty()) else { return no_path() };
    let Some((sandbox, inside)) = locate(&context, path).await else {
        return refused(StatusCode::NOT_FOUND, "");
    };
    let file = match sandbox.open(&inside) {
        Ok(file) => file,
        Err(_) if sandbox.list(&inside).is_ok() => return answers::bad("Cannot read a directory.\n"),
        Err(error) => return lost(&error),
    };
    let chunks = futures_util::stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut buffer = vec![0; CHUNK];
        match file.read(&mut buffer) {
            Ok(0) => None,
            Ok(bytes) => {
                buffer.truncate(bytes);
                Some((Ok(Bytes::from(buffer)), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    let name: String = inside
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_graphic() && *c != '"')
        .collect();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_ls_shows_them() {
        assert_eq!(mode_text(libc::S_IFREG | 0o644), "-rw-r--r--");
        assert_eq!(mode_text(libc::S_IFDIR | 0o755), "drwxr-xr-x");
        assert_eq!(mode_text(libc::S_IFLNK | 0o777), "lrwxrwxrwx");
    }
}
