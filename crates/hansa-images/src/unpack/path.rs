//! Names in archives, made harmless: a list of plain components below the layer's root.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Longest name in bytes, as the kernel has it.
const MAX_PATH: usize = 4096;
/// Longest component.
const MAX_COMPONENT: usize = 255;
/// Most components: more than anything but an attack has.
const MAX_DEPTH: usize = 256;

/// A path below a layer's root: none of its components is empty, `.`, `..`, or holds a slash or a zero byte. No components:
/// the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LayerPath(Vec<OsString>);

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("it leads upwards")]
    Upwards,
    #[error("it holds a zero byte")]
    Zero,
    #[error("it is too long")]
    TooLong,
    #[error("it is too deep")]
    TooDeep,
}

impl LayerPath {
    /// Reads a name as an archive has it. A leading slash means the layer's root, as everywhere else.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, PathError> {
        if name.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        if name.contains(&0) {
            return Err(PathError::Zero);
        }
        let mut parts = Vec::new();
        for part in name.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(PathError::Upwards),
                part if part.len() > MAX_COMPONENT => return Err(PathError::TooLong),
                part => parts.push(OsStr::from_bytes(part).to_owned()),
            }
        }
        if parts.len() > MAX_DEPTH { Err(PathError::TooDeep) } else { Ok(Self(parts)) }
    }

    pub(crate) fn parts(&self) -> &[OsString] {
        &self.0
    }

    /// The directory and the name in it; None for the root.
    pub(crate) fn split(&self) -> Option<(&[OsString], &OsStr)> {
        self.0.split_last().map(|(name, parent)| (parent, name.as_os_str()))
    }

    /// As a relative path, `usr/bin/env`.
    pub(crate) fn join(&self) -> OsString {
        self.0.join(OsStr::new("/"))
    }
}

/// What a name of a whiteout file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whiteout {
    /// Lower layers' entry of this name is gone.
    Of(OsString),
    /// Everything that lower layers have in this directory is gone.
    Opaque,
    /// AUFS' own book-keeping; means nothing.
    Meta,
    /// Malformed.
    Wrong,
}

/// Reads the name of a whiteout file; None: it is an ordinary name.
pub(crate) fn whiteout(name: &OsStr) -> Option<Whiteout> {
    let rest = name.as_bytes().strip_prefix(b".wh.")?;
    Some(match rest {
        b".wh..opq" => Whiteout::Opaque,
        _ if rest.starts_with(b".wh.") => Whiteout::Meta,
        b"" | b"." | b".." => Whiteout::Wrong,
        rest => Whiteout::Of(OsStr::from_bytes(rest).to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn names_become_plain_paths() {
        let joined = |name: &[u8]| LayerPath::parse(name).map(|path| path.join().into_encoded_bytes());
        assert_eq!(joined(b"usr//bin/./env").unwrap(), b"usr/bin/env");
        assert_eq!(joined(b"/etc/passwd").unwrap(), b"etc/passwd");
        assert_eq!(joined(b"./").unwrap(), b"");
        assert_eq!(joined(b"...").unwrap(), b"...");
        assert_eq!(joined(b"\xff\\..").unwrap(), b"\xff\\..");
        for upwards in [&b".."[..], b"a/../..", b"/..", b"a/..", b"./../x"] {
            assert_eq!(joined(upwards), Err(PathError::Upwards));
        }
        assert_eq!(joined(b"a\0b"), Err(PathError::Zero));
        assert_eq!(joined(&[b'a'; 256]), Err(PathError::TooLong));
        assert_eq!(joined(&b"a/".repeat(300)), Err(PathError::TooDeep));
        assert_eq!(joined(&b"a/".repeat(3000)), Err(PathError::TooLong));
    }

    #[test]
    fn whiteouts_are_told_from_names() {
        let of = |name: &str| whiteout(OsStr::new(name));
        assert_eq!(of("wh.a"), None);
        assert_eq!(of(".wh.a"), Some(Whiteout::Of("a".into())));
        assert_eq!(of(".wh..wh..opq"), Some(Whiteout::Opaque));
        assert_eq!(of(".wh..wh.plnk"), Some(Whiteout::Meta));
        for wrong in [".wh.", ".wh..", ".wh..."] {
            assert_eq!(of(wrong), Some(Whiteout::Wrong), "{wrong}");
        }
        assert_eq!(of(".wh.a.."), Some(Whiteout::Of("a..".into())));
    }

    proptest! {
        /// Whatever a name holds, its path stays below the root and means the same when it is read again.
        #[test]
        fn no_name_leads_out(name in "(\\.|\\.\\.|/|\\.wh\\.|[a-c\\x00\u{80}]){0,24}") {
            if let Ok(path) = LayerPath::parse(name.as_bytes()) {
                let joined = path.join();
                let plain = Path::new(&joined).components().all(|part| matches!(part, Component::Normal(_)));
                prop_assert!(plain, "{joined:?}");
                prop_assert_eq!(&LayerPath::parse(joined.as_encoded_bytes()).unwrap(), &path);
                if let Some((_, name)) = path.split() && let Some(Whiteout::Of(hidden)) = whiteout(name) {
                    prop_assert!(!hidden.is_empty() && hidden != "." && hidden != ".." && !hidden.as_bytes().contains(&b'/'));
                }
            }
        }
    }
}
