//! Hostile layers: a table of what they try, and the proof that nothing of it reaches beyond the layer's directory.
//!
//! Prints what it proves, a line for each.

use super::{Orders, UnpackError, Unpacked, unpack};
use crate::archive::{Archive, Entry};
use crate::limits::Limits;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What must come of it.
enum Then {
    /// Refused with these words.
    Refused(&'static str),
    /// Unpacked; these are the layer's entries, and what was tried had no effect.
    Harmless(&'static [&'static str]),
}
use Then::{Harmless, Refused};

fn kind(name: &'static str, kind: u8, link: &'static str) -> Entry<'static> {
    Entry { name: name.as_bytes(), kind, link: link.as_bytes(), ..Entry::default() }
}

/// `OUT` in links stands for a directory outside, by its absolute path.
fn table(out: &str) -> Vec<(&'static str, Archive, Then)> {
    let new = Archive::new;
    let deep = format!("{}x", "a/".repeat(400));
    let long = "n".repeat(300);
    let up_out = format!("{}{}", "../".repeat(30), out.trim_start_matches('/'));
    let absolute_name = format!("{out}/absolute");
    vec![
        ("a name that leads upwards", new().file("../evil", b"x"), Refused("leads upwards")),
        (
            "a name that leads upwards later",
            new().dir("a", 0o755).file("a/../../evil", b"x"),
            Refused("leads upwards"),
        ),
        (
            "upwards in a long (pax) name",
            new().file(&format!("{}{}", "a/".repeat(60), "../".repeat(70)), b"x"),
            Refused("leads upwards"),
        ),
        (
            "upwards in pax behind a harmless name",
            new().pax(&[(b"path", b"../evil")]).file("harmless", b"x"),
            Refused("leads upwards"),
        ),
        (
            "upwards in a GNU long name",
            new()
                .entry(&Entry { content: b"../evil\0", ..kind("././@LongLink", b'L', "") })
                .file("short", b"x"),
            Refused("leads upwards"),
        ),
        ("an absolute name", new().file(&absolute_name, b"x"), Harmless(&["…/absolute"])),
        (
            "an absolute link as parent",
            new().symlink("door", out).file("door/evil", b"x"),
            Refused("no directory"),
        ),
        (
            "a relative link as parent",
            new().symlink("door", &up_out).file("door/evil", b"x"),
            Refused("no directory"),
        ),
        (
            "a chain of links as parent",
            new()
                .symlink("one", out)
                .symlink("two", "one")
                .dir("three", 0o755)
                .symlink("three/four", "../two")
                .file("three/four/evil", b"x"),
            Refused("no directory"),
        ),
        (
            "a link to a directory, made over",
            new().symlink("door", out).dir("door", 0o755).file("door/in", b"x"),
            Harmless(&["door", "door/in"]),
        ),
        (
            "a directory's mode through a link",
            new().symlink("door", out).entry(&Entry { mode: 0o777, ..kind("door/", b'5', "") }),
            Harmless(&["door"]),
        ),
        (
            "a file written through a link",
            new().symlink("file", &format!("{out}/canary")).file("file", b"evil"),
            Harmless(&["file"]),
        ),
        ("a hard link out, upwards", new().hard_link("stolen", "../out/canary"), Refused("leads upwards")),
        (
            "a hard link out, absolute",
            new().hard_link("stolen", &format!("{out}/canary")),
            Refused("does not have as a file"),
        ),
        (
            "a hard link out through a link",
            new().symlink("door", out).hard_link("stolen", "door/canary"),
            Refused("does not have as a file"),
        ),
        (
            "a hard link to a link that leads out, written through",
            new().symlink("door", &format!("{out}/canary")).hard_link("again", "door").file("again", b"evil"),
            Harmless(&["again", "door"]),
        ),
        (
            "a hard link to a directory",
            new().dir("d", 0o755).hard_link("e", "d"),
            Refused("does not have as a file"),
        ),
        ("a hard link to itself", new().hard_link("a", "a"), Refused("does not have as a file")),
        ("a character device", new().entry(&kind("kmem", b'3', "")), Harmless(&[])),
        ("a block device", new().entry(&kind("disk", b'4', "")), Harmless(&[])),
        ("a whiteout of the parent", new().file(".wh...", b""), Refused("whiteout")),
        ("a whiteout of itself", new().file("a/.wh..", b""), Refused("whiteout")),
        ("a whiteout of nothing", new().file(".wh.", b""), Refused("whiteout")),
        (
            "a whiteout through a link",
            new().symlink("door", out).file("door/.wh.canary", b""),
            Refused("no directory"),
        ),
        (
            "an opaque mark through a link",
            new().symlink("door", out).file("door/.wh..wh..opq", b""),
            Refused("no directory"),
        ),
        ("a file as parent", new().file("f", b"x").file("f/g", b"x"), Refused("no directory")),
        (
            "overlayfs' attributes forged",
            new()
                .pax(&[
                    (b"SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
                    (b"SCHILY.xattr.user.overlay.opaque", b"y"),
                ])
                .dir("d", 0o755),
            Harmless(&["d"]),
        ),
        ("a zero byte in a name", new().pax(&[(b"path", b"a\0b")]).file("x", b""), Refused("zero byte")),
        ("a component too long", new().file(&long, b""), Refused("too long")),
        ("too many components", new().file(&deep, b""), Refused("too deep")),
        (
            "an owner beyond all numbers",
            new().entry(&Entry { owner: (u64::from(u32::MAX), 0), ..kind("x", b'0', "") }),
            Refused("owner"),
        ),
        (
            "the same name as file, link, directory, file",
            new().file("a", b"1").symlink("a", out).dir("a", 0o755).file("a/b", b"2").file("a", b"3"),
            Harmless(&["a"]),
        ),
        (
            "a directory removed while it is filled",
            new().file("a/b/c", b"1").file("a/b", b"2").file("a/b2", b"3").symlink("a", out),
            Harmless(&["a"]),
        ),
        (
            "a directory replaced by a link, then used",
            new().file("a/b", b"1").symlink("a", out).file("a/evil", b"2"),
            Refused("no directory"),
        ),
        ("a sparse file", new().entry(&kind("s", b'S', "")), Refused("sparse")),
        ("an entry of no known type", new().entry(&kind("s", b'V', "")), Refused("unknown type")),
        ("an extended header without end", huge_extension(), Refused("extended header")),
        ("a file of more bytes than allowed", huge_file(), Refused("more than")),
        (
            "more entries than allowed",
            (0..60).fold(new(), |all, n| all.file(&n.to_string(), b"")),
            Refused("entries"),
        ),
        ("a wrong checksum", broken_checksum(), Refused("checksum")),
        ("an end within a file", cut(), Refused("ends within")),
    ]
}

fn huge_extension() -> Archive {
    let mut archive = Archive::new();
    archive.header(&kind("x", b'x', ""), 1 << 40);
    archive
}

fn huge_file() -> Archive {
    let mut archive = Archive::new();
    archive.header(&kind("x", b'0', ""), 1 << 40);
    archive
}

fn broken_checksum() -> Archive {
    let mut archive = Archive::new();
    archive.content(&[b'j'; 512]);
    archive
}

fn cut() -> Archive {
    let mut archive = Archive::new();
    archive.header(&kind("x", b'0', ""), 100_000);
    archive
}

fn limits() -> Limits {
    let none = Limits { reserve_bytes: 0, reserve_inodes: 0, ..Limits::default() };
    Limits { entries: 50, layer_bytes: 10 << 20, ..none }
}

fn run(source: impl Read, into: &Path, limits: &Limits) -> Result<Unpacked, UnpackError> {
    // SAFETY: no memory is passed.
    let privileged = unsafe { libc::geteuid() } == 0;
    let cancelled = AtomicBool::new(false);
    let orders = Orders { limits, compressed: 1000, privileged, cancelled: &cancelled };
    unpack(source, fs::File::open(into).unwrap().into(), &orders)
}

/// All below a directory, links not followed.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let is_dir = fs::symlink_metadata(&path).unwrap().is_dir();
        found.push(path.clone());
        if is_dir {
            walk(&path, found);
        }
    }
}

#[test]
fn nothing_reaches_beyond_the_layer() {
    let temp = tempfile::tempdir().unwrap();
    let outer = temp.path().canonicalize().unwrap();
    let out = outer.join("out");
    let text = out.to_str().unwrap().to_owned();
    for (number, (name, archive, then)) in table(&text).into_iter().enumerate() {
        let layer = outer.join(number.to_string());
        fs::create_dir(&layer).unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("canary"), "alive").unwrap();
        let before = fs::symlink_metadata(&out).unwrap();
        let result = run(&archive.finish()[..], &layer, &limits());

        let mut seen = Vec::new();
        walk(&outer, &mut seen);
        seen.retain(|path| !path.starts_with(&layer));
        assert_eq!(seen, [out.clone(), out.join("canary")], "{name}: something is outside");
        assert_eq!(fs::read(out.join("canary")).unwrap(), b"alive", "{name}");
        assert_eq!(
            fs::metadata(out.join("canary")).unwrap().nlink(),
            1,
            "{name}: no second name for the canary"
        );
        let after = fs::symlink_metadata(&out).unwrap();
        assert_eq!((before.mode(), before.ino()), (after.mode(), after.ino()), "{name}");

        let mut inside = Vec::new();
        walk(&layer, &mut inside);
        for path in &inside {
            let data = fs::symlink_metadata(path).unwrap();
            let is_device = data.file_type().is_block_device() || data.file_type().is_char_device();
            assert!(!is_device || data.rdev() == 0, "{name}: a device");
        }
        match (then, result) {
            (Refused(words), Err(error)) => {
                assert!(error.to_string().contains(words), "{name}: {error}");
                println!("refused:  {name}: {error}");
            }
            (Harmless(entries), Ok(_)) => {
                let names: Vec<&str> =
                    inside.iter().map(|path| path.strip_prefix(&layer).unwrap().to_str().unwrap()).collect();
                if entries == ["…/absolute"] {
                    assert!(names.last().unwrap().ends_with("out/absolute"), "{name}: {names:?}");
                } else {
                    assert_eq!(names, entries, "{name}");
                }
                println!("harmless: {name}: leaves {names:?} in the layer");
            }
            (_, result) => panic!("{name}: {result:?}"),
        }
        fs::remove_dir_all(&layer).unwrap();
        fs::remove_dir_all(&out).unwrap();
    }
}

/// Zeros without end, so that only the limits end it.
struct Zeros(Vec<u8>, usize);

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = self.0.len().saturating_sub(self.1).min(buffer.len());
        if head == 0 {
            buffer.fill(0);
            return Ok(buffer.len());
        }
        buffer[..head].copy_from_slice(&self.0[self.1..self.1 + head]);
        self.1 += head;
        Ok(head)
    }
}

#[test]
fn bombs_are_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let layer = |name: &str| {
        let path = temp.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let mut file = Archive::new();
    file.header(&kind("zeros", b'0', ""), 8 << 20);
    let file = file.finish();
    let bomb = || Zeros(file[..512].to_vec(), 0);

    // A thousand compressed bytes that become ever more, behind the archive's end too.
    let ratio = Limits { ratio: 2, ratio_from: 1 << 20, ..limits() };
    let error = run(bomb(), &layer("ratio"), &ratio).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge(_)), "{error}");
    println!("stopped: too much for its compressed size: {error}");
    let error = run(Zeros(Vec::new(), 0), &layer("padding"), &limits()).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge(_)), "{error}");
    println!("stopped: zeros behind the end, for ever: {error}");

    // A disk that would be too full: as if all but nothing were reserved.
    let full = Limits { reserve_bytes: u64::MAX, ..limits() };
    let error = run(bomb(), &layer("disk"), &full).unwrap_err();
    assert!(matches!(error, UnpackError::DiskFull(..)), "{error}");
    println!("stopped: no room on the disk: {error}");
    let full = Limits { reserve_inodes: u64::MAX, ..limits() };
    assert!(matches!(run(bomb(), &layer("inodes"), &full), Err(UnpackError::DiskFull(..))));

    let cancelled = AtomicBool::new(true);
    let orders = Orders { limits: &limits(), compressed: 1000, privileged: false, cancelled: &cancelled };
    let root = fs::File::open(layer("cancelled")).unwrap();
    assert!(matches!(unpack(bomb(), root.into(), &orders), Err(UnpackError::Cancelled)));
}
