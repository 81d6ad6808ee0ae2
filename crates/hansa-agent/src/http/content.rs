//! `/hansa/v1/tasks/{id}/files`: what lies in a task's sandbox, while it is kept; also after the task's end.
//!
//! How a sandbox is read without leaving it is the business of [`crate::sandbox`]. Reading happens on threads that may
//! block: a disk that hangs holds up this answer, and nothing else.

use super::files::mode_text;
use super::{Context, error};
use crate::sandbox::{Entry, Sandbox};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hansa_api::files::{BINARY_HEADER, File, Files, Kind, OFFSET_HEADER, SIZE_HEADER};
use hansa_model::{TaskId, Timestamp};
use serde::Deserialize;
use std::io::{self, Read, Seek, SeekFrom};

/// Entries in a page unless the client says otherwise, and at most.
const USUAL: usize = 1_000;
const MOST: usize = 10_000;

/// Bytes of content unless the client says otherwise.
const USUAL_CONTENT: u64 = 1 << 20;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Bytes at the beginning that decide whether a file is text.
const LOOKED_AT: usize = 8 << 10;

/// Which part of which directory.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    path: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// Which part of which file.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    path: String,
    /// Negative: from the end.
    #[serde(default)]
    offset: i64,
    limit: Option<u64>,
    #[serde(default)]
    download: bool,
}

/// `GET /hansa/v1/tasks/{id}/files?path=&after=&limit=`
pub(super) async fn list(
    State(context): State<Context>,
    Path(task): Path<String>,
    Query(page): Query<Page>,
) -> Response {
    let limit = page.limit.unwrap_or(USUAL).clamp(1, MOST);
    let (sandbox, below) = match sandbox(&context, &task).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let path = page.path.trim_matches('/').to_owned();
    let (inside, after) = (format!("{below}/{path}"), page.after);
    let looked = blocking(move || sandbox.page(&inside, after.as_deref(), limit)).await;
    match looked {
        Ok((entries, more)) => {
            let next = entries.last().filter(|_| more).map(|entry| entry.name.clone());
            Json(Files { entries: entries.iter().map(shown).collect(), path, next }).into_response()
        }
        Err(fault) => unreadable(&fault, &task, &path, "directory"),
    }
}

/// `GET /hansa/v1/tasks/{id}/files/content?path=&offset=&limit=&download=`
pub(super) async fn show(
    State(context): State<Context>,
    Path(task): Path<String>,
    Query(part): Query<Part>,
) -> Response {
    let (sandbox, below) = match sandbox(&context, &task).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let path = part.path.trim_matches('/').to_owned();
    let (inside, offset) = (format!("{below}/{path}"), part.offset);
    let opened = match blocking(move || Opened::open(&sandbox, &inside, offset)).await {
        Ok(opened) => opened,
        Err(fault) => return unreadable(&fault, &task, &path, "file"),
    };
    let limit = part.limit.unwrap_or(if part.download { u64::MAX } else { USUAL_CONTENT });
    let kind = if opened.binary { "application/octet-stream" } else { "text/plain; charset=utf-8" };
    let (size, begins, binary) = (opened.size, opened.offset, opened.binary);
    let mut response = Body::from_stream(chunks(opened.file, limit)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a task writes is not a page, whatever it looks like.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static(SIZE_HEADER), size.into());
    headers.insert(HeaderName::from_static(OFFSET_HEADER), begins.into());
    let words = if binary { "true" } else { "false" };
    headers.insert(HeaderName::from_static(BINARY_HEADER), HeaderValue::from_static(words));
    if part.download
        && let Ok(value) = HeaderValue::try_from(disposition(&path))
    {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// A file with its reader where it is to begin.
struct Opened {
    file: std::fs::File,
    size: u64,
    offset: u64,
    binary: bool,
}

impl Opened {
    fn open(sandbox: &Sandbox, path: &str, offset: i64) -> io::Result<Self> {
        let mut file = match sandbox.open(path) {
            Err(_) if sandbox.page(path, None, 1).is_ok() => return Err(io::ErrorKind::IsADirectory.into()),
            opened => opened?,
        };
        let size = file.metadata()?.len();
        let mut beginning = Vec::new();
        Read::by_ref(&mut file).take(LOOKED_AT as u64).read_to_end(&mut beginning)?;
        let offset = match u64::try_from(offset) {
            Ok(offset) => offset.min(size),
            Err(_) => size.saturating_sub(offset.unsigned_abs()),
        };
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, size, offset, binary: is_binary(&beginning) })
    }
}

/// Whether these first bytes of a file are no text. A character that they end in the middle of is text.
fn is_binary(beginning: &[u8]) -> bool {
    beginning.contains(&0) || std::str::from_utf8(beginning).is_err_and(|fault| fault.error_len().is_some())
}

/// What is left of a file, as it is when it is read: of one that is cut short meanwhile there is less, and no error.
fn chunks(file: std::fs::File, limit: u64) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    futures_util::stream::unfold(Some((file, limit)), |state| async move {
        let (mut file, left) = state.filter(|(_, left)| *left > 0)?;
        let wanted = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
        let read = blocking(move || {
            let mut buffer = vec![0; wanted];
            let bytes = file.read(&mut buffer)?;
            buffer.truncate(bytes);
            Ok((buffer, file))
        });
        match read.await {
            Ok((buffer, _)) if buffer.is_empty() => None,
            Ok((buffer, file)) => {
                let left = left - buffer.len() as u64;
                Some((Ok(Bytes::from(buffer)), Some((file, left))))
            }
            Err(fault) => Some((Err(fault), None)),
        }
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The sandbox that a task's files lie in, and the directory in it. Tasks that a framework's executor runs have theirs in
/// its sandbox.
async fn sandbox(context: &Context, task: &str) -> Result<(Sandbox, String), Response> {
    let id = TaskId::from(task);
    let within = context.ask(move |shell| {
        let group = shell.node.group_of(&id)?;
        let of = group.launch.framework.as_ref()?;
        let run = of.executor.as_ref()?;
        let index = group.launch.tasks.iter().position(|own| *own == id)?;
        Some((run.container.to_string(), format!("tasks/{}", of.tasks.get(index)?.id)))
    });
    if let Some((container, below)) = within.await? {
        let found = Sandbox::of(&context.sandboxes, &container);
        if let Some(found) = found {
            let own = found.page(&below, None, 1).is_ok();
            return Ok((found, if own { below } else { String::new() }));
        }
    }
    let found = Sandbox::of(&context.sandboxes, task).filter(|sandbox| sandbox.page("", None, 1).is_ok());
    let nothing = || {
        let words = format!(
            "task {task:?} has no sandbox on this agent: it never ran here, or its files are removed by now"
        );
        error(StatusCode::NOT_FOUND, "not-found", &words)
    };
    Ok((found.ok_or_else(nothing)?, String::new()))
}

fn unreadable(fault: &io::Error, task: &str, path: &str, what: &str) -> Response {
    match fault.kind() {
        io::ErrorKind::IsADirectory => {
            let words = format!("{path:?} is a directory: list it with /files?path=");
            error(StatusCode::BAD_REQUEST, "invalid", &words)
        }
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            let words = format!(
                "there is no {what} {path:?} in the sandbox of task {task:?}; links are not followed"
            );
            error(StatusCode::NOT_FOUND, "not-found", &words)
        }
        _ => {
            let words = format!("{path:?} cannot be read: {fault}");
            error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &words)
        }
    }
}

fn shown(entry: &Entry) -> File {
    let kind = match entry.mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    };
    let modified = u64::try_from(entry.modified).unwrap_or(0).saturating_mul(1_000);
    File {
        name: entry.name.clone(),
        kind,
        size: entry.size,
        modified: Timestamp(modified),
        mode: mode_text(entry.mode),
    }
}

/// A name that any browser takes, and the real one for those that read it.
fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_what_is_not() {
        assert!(!is_binary(b""));
        assert!(!is_binary("größer\n\t".as_bytes()));
        assert!(!is_binary(&"ß".as_bytes()[..1]), "cut in the middle of a character");
        assert!(is_binary(b"a\0b"));
        assert!(is_binary(&[b'a', 0xff, b'b']));
    }

    #[test]
    fn names_of_downloads_stay_within_their_quotes() {
        assert_eq!(disposition("a/b.txt"), "attachment; filename=\"b.txt\"; filename*=UTF-8''b.txt");
        assert_eq!(
            disposition("x/\"a\r\nb\".ü"),
            "attachment; filename=\"_a__b_._\"; filename*=UTF-8''%22a%0D%0Ab%22.%C3%BC"
        );
    }
}
