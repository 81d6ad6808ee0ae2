//! `/files/*` of the master: there is one file, `/master/log`, if this process writes its log into one.

use super::answers::{self, Query, Refused};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use axum::response::Response;
use serde_json::{Value, json};
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

/// The name that clients know it by.
const LOG: &str = "/master/log";

/// Bytes of one answer at most.
const MOST: u64 = 16 * 4096;

/// Bytes of a log that is given out as a whole.
const WHOLE: u64 = 256 * 1024 * 1024;

/// A part of a file.
pub(super) struct Part {
    /// Its bytes.
    pub(super) data: Vec<u8>,
    /// Where they begin.
    pub(super) offset: u64,
    /// How long the file is.
    pub(super) size: u64,
}

/// Where this process' errors and log go, if that is a file.
fn log() -> Option<(PathBuf, Metadata)> {
    let path = std::fs::read_link("/proc/self/fd/2").ok()?;
    let metadata = std::fs::metadata(&path).ok()?;
    (metadata.is_file() && !metadata.file_type().is_char_device()).then_some((path, metadata))
}

fn absent() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "No such file or directory.\n")
}

fn is_log(path: &str) -> bool {
    path.trim_end_matches('/') == LOG
}

/// What lies at a path.
pub(super) fn list(path: Option<&str>) -> Result<Vec<(String, Metadata)>, Refused> {
    let path = path.ok_or_else(|| Refused::bad("Expecting 'path=value' in query.\n"))?;
    if !is_log(path) && path.trim_end_matches('/') != "/master" {
        return Err(absent());
    }
    let (_, metadata) = log().ok_or_else(absent)?;
    Ok(vec![(LOG.to_owned(), metadata)])
}

/// `/files/browse`
pub(super) fn browse(query: &Query) -> Result<Response, Refused> {
    let files = list(query.get("path"))?;
    let shown: Vec<Value> = files.iter().map(|(path, metadata)| shown(path, metadata)).collect();
    Ok(answers::json(&shown))
}

fn shown(path: &str, metadata: &Metadata) -> Value {
    json!({
        "gid": metadata.gid().to_string(),
        "mode": mode(metadata),
        "mtime": metadata.mtime(),
        "nlink": metadata.nlink(),
        "path": path,
        "size": metadata.len(),
        "uid": metadata.uid().to_string(),
    })
}

/// As `ls -l` writes it.
fn mode(metadata: &Metadata) -> String {
    let bits = metadata.permissions().mode();
    let kind = if metadata.is_dir() { 'd' } else { '-' };
    let letters = "rwxrwxrwx".chars().enumerate();
    let letters = letters.map(|(at, letter)| if bits & (0o400 >> at) == 0 { '-' } else { letter });
    std::iter::once(kind).chain(letters).collect()
}

/// Reads a part. Without a length: as much as one answer holds; without an offset, or with -1: nothing but the size.
pub(super) fn part(path: &str, offset: Option<i64>, length: Option<u64>) -> Result<Part, Refused> {
    if !is_log(path) {
        return Err(absent());
    }
    let (path, metadata) = log().ok_or_else(absent)?;
    let size = metadata.len();
    let Some(offset) = offset.and_then(|offset| u64::try_from(offset).ok()) else {
        return Ok(Part { data: Vec::new(), offset: size, size });
    };
    let length = length.unwrap_or(MOST).min(MOST).min(size.saturating_sub(offset));
    let mut data = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.take(length).read_to_end(&mut data)
    });
    read.map_err(|_| absent())?;
    Ok(Part { data, offset, size })
}

/// `/files/read`
pub(super) fn read(query: &Query) -> Result<Response, Refused> {
    let path = query.get("path").ok_or_else(|| Refused::bad("Expecting 'path=value' in query.\n"))?;
    let number = |name: &str| match query.get(name) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse::<i64>()
            .map(Some)
            .map_err(|_| Refused::bad(format!("Failed to parse {name}: '{text}' is no whole number.\n"))),
    };
    let (offset, length) = (number("offset")?, number("length")?);
    if offset.is_some_and(|offset| offset < -1) || length.is_some_and(|length| length < -1) {
        return Err(Refused::bad("Negative offset or length provided.\n"));
    }
    let part = part(path, offset, length.and_then(|length| u64::try_from(length).ok()))?;
    Ok(answers::json(&json!({"data": String::from_utf8_lossy(&part.data), "offset": part.offset})))
}

/// `/files/download`
pub(super) fn download(query: &Query) -> Result<Response, Refused> {
    let path = query.get("path").ok_or_else(|| Refused::bad("Expecting 'path=value' in query.\n"))?;
    if !is_log(path) {
        return Err(absent());
    }
    let (path, _) = log().ok_or_else(absent)?;
    let mut data = Vec::new();
    File::open(path).and_then(|file| file.take(WHOLE).read_to_end(&mut data)).map_err(|_| absent())?;
    let mut answer = answers::whole(StatusCode::OK, "application/octet-stream", data);
    let name = HeaderValue::from_static("attachment; filename=log");
    answer.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(answer)
}

/// `/files/debug`: which virtual path is which real one.
pub(super) fn debug() -> Response {
    let log = log().map(|(path, _)| (LOG.to_owned(), Value::from(path.display().to_string())));
    answers::json(&log.into_iter().collect::<serde_json::Map<_, _>>())
}
