//! Brings bytes of the web into a file.

use hansa_images::web::{self, Trouble, Trust};
use http::header::{CONTENT_LENGTH, ETAG, HeaderMap, IF_NONE_MATCH};
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long an answer's head may take, and each further piece.
const SILENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 10;
/// How often it is told how far it is, in bytes.
const TOLD_EVERY: u64 = 32 << 20;

type Web = web::Client<Empty<bytes::Bytes>>;

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file of the machine.
    File(PathBuf),
    /// Something of the web.
    Web(Uri),
}

impl Source {
    pub(super) fn parse(uri: &str) -> Result<Self, String> {
        let uri = uri.trim();
        if uri.starts_with('/') {
            return Ok(Self::File(uri.into()));
        }
        let Some((scheme, rest)) = uri.split_once("://") else {
            return Err("it is neither a URL nor an absolute path".into());
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => match rest.strip_prefix("localhost").unwrap_or(rest) {
                path if path.starts_with('/') => Ok(Self::File(path.into())),
                _ => Err("a file URL names an absolute path: file:///path".into()),
            },
            "http" | "https" => {
                let url: Uri = uri.parse().map_err(|error| format!("it is no URL: {error}"))?;
                match url.authority() {
                    Some(server) if !server.as_str().contains('@') => Ok(Self::Web(url)),
                    Some(_) => Err("user and password in a URL are not supported".into()),
                    None => Err("it names no server".into()),
                }
            }
            other => Err(format!("{other}:// is not supported: http, https, file or an absolute path are")),
        }
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> Option<String> {
        let path = match self {
            Self::File(path) => path.to_str()?,
            Self::Web(url) => url.path(),
        };
        Some(path.rsplit('/').next()?.to_owned())
            .filter(|name| !name.is_empty() && name != "." && name != "..")
    }
}

/// A file of the machine that can be taken, by its real path; none below `forbidden`.
pub(super) fn check_file(path: &Path, most: u64, forbidden: &[PathBuf]) -> Result<PathBuf, String> {
    let path = &path.canonicalize().map_err(|error| error.to_string())?;
    if forbidden.iter().any(|dir| path.starts_with(dir)) {
        return Err("it belongs to the agent".into());
    }
    let data = std::fs::metadata(path).map_err(|error| error.to_string())?;
    match data.is_file() {
        true if data.len() <= most => Ok(path.to_owned()),
        true => Err(format!("it is larger than {} GiB", most >> 30)),
        false => Err("it is not an ordinary file".into()),
    }
}

/// Asks servers.
#[derive(Debug)]
pub(super) struct Client {
    trust: Trust,
    /// Made when it is needed, as it reads all the machine's certificates.
    web: OnceLock<Web>,
}

impl Client {
    /// Believes those.
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust, web: OnceLock::new() }
    }

    /// Writes what a URL gives to `file`. Gives the server's tag for it (if it has one); None: it is what `tag` says, and
    /// nothing was written.
    pub(super) async fn get(
        &self,
        url: &Uri,
        tag: Option<String>,
        file: &Path,
        most: u64,
        progress: impl Fn(u64, Option<u64>),
    ) -> Result<Option<Option<String>>, String> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = Request::get(url.clone()).header(http::header::USER_AGENT, "hansa");
            if let Some(tag) = &tag {
                request = request.header(IF_NONE_MATCH, tag);
            }
            let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
            let asked = tokio::time::timeout(SILENCE, self.web().await?.request(request)).await;
            let answer = asked
                .map_err(|_| "the server does not answer".to_owned())?
                .map_err(|error| failed(&url, &error))?;
            match answer.status().as_u16() {
                200 => return store(&url, answer, file, most, progress).await.map(Some),
                304 if tag.is_some() => return Ok(None),
                301 | 302 | 303 | 307 | 308 => url = redirected(&url, answer.headers())?,
                code => return Err(format!("the server answers with status {code}")),
            }
        }
        Err("it is redirected again and again".into())
    }

    async fn web(&self) -> Result<&Web, String> {
        if let Some(web) = self.web.get() {
            return Ok(web);
        }
        let trust = self.trust.clone();
        let made = tokio::task::spawn_blocking(move || web::client(&trust)).await;
        let made = made.map_err(|error| error.to_string())??;
        Ok(self.web.get_or_init(|| made))
    }
}

async fn store(
    url: &Uri,
    answer: http::Response<hyper::body::Incoming>,
    path: &Path,
    most: u64,
    progress: impl Fn(u64, Option<u64>),
) -> Result<Option<String>, String> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // A weak tag promises the same meaning, not the same bytes.
    let tag = header(ETAG).filter(|tag| !tag.starts_with("W/"));
    let all = header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let too_large = || format!("it is larger than {} GiB", most >> 30);
    if all.is_some_and(|all| all > most) {
        return Err(too_large());
    }
    let unwritten = |error: std::io::Error| format!("it cannot be written: {error}");
    let mut file =
        tokio::io::BufWriter::with_capacity(1 << 20, tokio::fs::File::create(path).await.map_err(unwritten)?);
    let (mut done, mut told) = (0u64, 0u64);
    let mut body = answer.into_body();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let Some(frame) = frame.map_err(|_| "the server fell silent".to_owned())? else { break };
        let Ok(data) = frame.map_err(|error| failed(url, &error))?.into_data() else { continue };
        done += data.len() as u64;
        if done > most {
            return Err(too_large());
        }
        file.write_all(&data).await.map_err(unwritten)?;
        if done - told >= TOLD_EVERY {
            told = done;
            progress(done, all);
        }
    }
    if all.is_some_and(|all| all != done) {
        return Err("the connection broke before its end".into());
    }
    file.flush().await.map_err(unwritten)?;
    Ok(tag)
}

/// Where it leads; not from encrypted to plain, and not to files of the machine, say.
fn redirected(url: &Uri, headers: &HeaderMap) -> Result<Uri, String> {
    let next = web::redirected(url, headers).ok_or("it is redirected to nowhere")?;
    match (url.scheme_str(), next.scheme_str()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(next),
        (_, Some("http")) => Err("it is redirected from https to http".into()),
        _ => Err("it is redirected to nowhere".into()),
    }
}

/// What a failed request means.
fn failed(url: &Uri, error: &(dyn Error + 'static)) -> String {
    let server = url.authority().map_or("", |authority| authority.as_str());
    match web::explain(error) {
        Trouble::Unreachable(why) => format!("cannot reach {server}: {why}"),
        Trouble::NotTls => {
            format!("no secure connection to {server}: it seems to speak plain HTTP (use http://)")
        }
        Trouble::Insecure { why, remedy } => format!("no secure connection to {server}: {why} ({remedy})"),
    }
}
