//! `ETag` and `If-None-Match`: who asks again and again is told in a few bytes that nothing has changed.
//!
//! Where an answer shows nothing but the picture, the tag is the picture's commit: nothing has to be written to know that it
//! is as before. It is read before the handler reads the picture, so the answer may be newer than its tag, never older;
//! then the client asks once too often. Everything else is hashed as it was written. All tags are weak: what is
//! sent may be compressed or not.

use crate::Master;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use std::hash::{Hash, Hasher};

/// Bytes of a hash that are kept.
const KEPT: usize = 16;

/// Bytes from which on hashing is given to a thread that may block.
const LONG: usize = 1024 * 1024;

/// Answers 304 where the client has the answer already, and gives every other one a tag.
pub(super) async fn check(State(master): State<Master>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let held: Vec<HeaderValue> = request.headers().get_all(IF_NONE_MATCH).iter().cloned().collect();
    let of_picture = shows_only_the_picture(request.uri()).then(|| of_picture(&master, request.uri()));
    if let Some(tag) = &of_picture
        && held.iter().any(|held| names(held, tag))
    {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        return unchanged(headers, tag);
    }
    let answer = next.run(request).await;
    if !can_have_a_tag(&answer) {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let (tag, body) = match of_picture {
        Some(tag) => (tag, body),
        None => {
            // It is in memory already, so reading it cannot fail.
            let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
            let tag = if bytes.len() < LONG {
                of_bytes(&bytes)
            } else {
                let hashed = bytes.clone();
                match tokio::task::spawn_blocking(move || of_bytes(&hashed)).await {
                    Ok(tag) => tag,
                    Err(_) => return Response::from_parts(head, Body::from(bytes)),
                }
            };
            (tag, Body::from(bytes))
        }
    };
    // It may be kept, and must be asked for again each time.
    head.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    if held.iter().any(|held| names(held, &tag) || held.as_bytes().trim_ascii() == b"*") {
        return unchanged(head.headers, &tag);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.headers.insert(ETAG, tag);
    }
    Response::from_parts(head, body)
}

/// What the answer depends on besides the request's target.
pub(super) fn vary(headers: &mut HeaderMap, name: &'static str) {
    let named = headers
        .get_all(VARY)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains(name)));
    if !named {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}

/// 304 with the headers of the answer that it stands for.
fn unchanged(mut headers: HeaderMap, tag: &str) -> Response {
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_TYPE);
    headers.extend(HeaderValue::from_str(tag).ok().map(|tag| (ETAG, tag)));
    vary(&mut headers, "accept-encoding");
    let mut answer = StatusCode::NOT_MODIFIED.into_response();
    answer.headers_mut().extend(headers);
    answer
}

/// Whole answers that a client may hold. Not plain text: measurements change with every look, logs are passed on.
fn can_have_a_tag(answer: &Response) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    answer.status() == StatusCode::OK
        && !answer.headers().contains_key(ETAG)
        && !kind.is_empty()
        && !kind.starts_with(b"text/plain")
        && answer.body().size_hint().exact().is_some()
}

/// Whether everything below a path is made of the picture alone, so that the same commit means the same bytes. No clock, no
/// machine that is asked, nothing that machines report without a commit (what they use), nothing of the request's headers.
fn shows_only_the_picture(uri: &Uri) -> bool {
    let path = uri.path();
    let marathon = path.strip_prefix("/service").unwrap_or(path);
    let marathon = marathon.strip_prefix("/marathon").unwrap_or(marathon);
    let is = |path: &str, list: &str| {
        path.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is(path, "/hansa/v1/tasks") {
        // Not `/hansa/v1/tasks/{task}/logs/…`, which the machine answers.
        return path.matches('/').count() <= 4;
    }
    // `taskStats` tell ages; a query that hides its words behind escapes is not read here.
    let tells_no_ages = uri.query().is_none_or(|query| !query.contains("tats") && !query.contains('%'));
    is(path, "/hansa/v1/services")
        || is(path, "/hansa/v1/deployments")
        || is(marathon, "/v2/tasks")
        || is(marathon, "/v2/deployments")
        || (is(marathon, "/v2/apps") && tells_no_ages)
}

/// The leadership, the commit, and what was asked for: a tag is good for one target only.
fn of_picture(master: &Master, uri: &Uri) -> String {
    let mut target = rustc_hash::FxHasher::default();
    uri.path_and_query().map(|target| target.as_str()).hash(&mut target);
    let term = master.identity().term;
    format!("W/\"{term}-{}-{:x}\"", master.read().index(), target.finish())
}

fn of_bytes(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    let hex: String = hash.as_ref()[..KEPT].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{hex}\"")
}

/// Whether a value of `If-None-Match` names the tag. Compared without looking at `W/`, as the standard wants it for GET.
fn names(held: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = opaque(tag);
    held.to_str().is_ok_and(|held| held.split(',').any(|one| opaque(one) == tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_in_lists() {
        for (held, is_named) in [
            (r#"W/"a-1""#, true),
            (r#""a-1""#, true),
            (r#""x", W/"a-1" ,"y""#, true),
            (r#"W/"a-2""#, false),
            (r#"W/"a-1"#, false),
            ("a-1", false),
            ("", false),
        ] {
            assert_eq!(names(&HeaderValue::from_static(held), r#"W/"a-1""#), is_named, "{held}");
        }
    }

    #[test]
    fn only_what_a_commit_decides_is_known_by_its_number() {
        for (target, only_the_picture) in [
            ("/hansa/v1/tasks?app=/a", true),
            ("/hansa/v1/tasks/t", true),
            ("/hansa/v1/tasks/t/logs/stdout", false),
            ("/hansa/v1/services/a/b", true),
            ("/hansa/v1/servicesx", false),
            ("/hansa/v1/nodes", false),
            ("/hansa/v1/cluster", false),
            ("/hansa/v1/explain/a", false),
            ("/v2/apps?embed=apps.tasks", true),
            ("/marathon/v2/apps/a", true),
            ("/service/marathon/v2/tasks", true),
            ("/v2/apps?embed=apps.taskStats", false),
            ("/v2/apps?embed=apps.tasksStats", false),
            ("/v2/apps?embed=apps.task%53tats", false),
            ("/v2/queue", false),
            ("/v2/groups", false),
            ("/v2/info", false),
        ] {
            assert_eq!(shows_only_the_picture(&target.parse().unwrap()), only_the_picture, "{target}");
        }
    }
}
