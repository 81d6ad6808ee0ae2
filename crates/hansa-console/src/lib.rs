//! Embeds the built web UI (`ui/dist`), so that one program is all there is to install. A leaf: nothing else waits for
//! npm. Not here: serving (`hansa-master`), the UI itself (`ui/`).
//!
//! Release builds have the files inside; development builds read them from `ui/dist` at each request. Without any, the
//! index is a plain page that says so.

use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../ui/dist"]
#[allow_missing = true]
struct Built;

/// The page that loads everything else.
const INDEX: &str = "index.html";

/// The page when no UI was built.
const FALLBACK: &str = include_str!("fallback.html");

/// A file of the UI by its path in `ui/dist`, with its content type. None: there is no such file.
pub fn asset(path: &str) -> Option<(&'static str, Cow<'static, [u8]>)> {
    let content = match Built::get(path) {
        Some(file) => file.data,
        None if path == INDEX => Cow::Borrowed(FALLBACK.as_bytes()),
        None => return None,
    };
    Some((content_type(path), content))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_an_index() {
        let (content_type, content) = asset(INDEX).unwrap();
        assert!(content_type.starts_with("text/html"));
        assert!(String::from_utf8_lossy(&content).contains("Hansa"));
    }

    #[test]
    fn nothing_outside_is_handed_out() {
        for path in [
            "",
            "..",
            "../package.json",
            "/etc/passwd",
            "../../Cargo.toml",
            "assets/../../package.json",
            "none.js",
        ] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
