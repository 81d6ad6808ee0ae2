//! Ordinary layers: everything that people put into images arrives as it was.

use super::{Orders, Unpacked, at, unpack};
use crate::archive::{Archive, Entry};
use crate::digest::Digest;
use crate::limits::Limits;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;

fn run(archive: &[u8], into: &Path, privileged: bool) -> Unpacked {
    let limits = Limits { reserve_bytes: 0, reserve_inodes: 0, ..Limits::default() };
    let cancelled = AtomicBool::new(false);
    let orders = Orders { limits: &limits, compressed: 1000, privileged, cancelled: &cancelled };
    unpack(archive, fs::File::open(into).unwrap().into(), &orders).unwrap()
}

fn is_root() -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::geteuid() == 0 }
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    use std::os::fd::AsRawFd;
    let file = fs::File::open(path).unwrap();
    let name = std::ffi::CString::new(name).unwrap();
    let mut value = vec![0u8; 100];
    // SAFETY: name and buffer are ours, and the length is the buffer's.
    let length =
        unsafe { libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

fn archive() -> Vec<u8> {
    let long = format!("deep/{}/file", "d".repeat(120));
    Archive::new()
        .entry(&Entry { name: b"./", kind: b'5', mode: 0o700, mtime: 7, ..Entry::default() })
        .entry(&Entry { name: b"usr", kind: b'5', mode: 0o555, owner: (3, 4), mtime: 11, ..Entry::default() })
        .entry(&Entry {
            name: b"usr/su",
            mode: 0o4755,
            owner: (5, 6),
            mtime: 12,
            content: b"#!",
            ..Entry::default()
        })
        .hard_link("usr/su2", "./usr/su")
        .symlink("usr/link", "../../anywhere")
        .pax(&[
            (b"mtime", b"13.25"),
            (b"uid", b"70000"),
            (b"SCHILY.xattr.user.note", b"hello"),
            (
                b"SCHILY.xattr.security.capability",
                b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            ),
        ])
        .file("usr/pax", b"pax")
        .file(&long, b"long")
        .entry(&Entry { name: b"fifo", kind: b'6', mode: 0o620, ..Entry::default() })
        .file("etc/.wh.gone", b"")
        .dir("fresh", 0o755)
        .file("fresh/.wh..wh..opq", b"")
        .file(".wh.again", b"")
        .file("again/new", b"x")
        .dir("kept", 0o755)
        .file(".wh.kept", b"")
        .program("empty", b"")
        .finish()
}

#[test]
fn a_layer_arrives_as_it_was() {
    if !is_root() {
        println!("not tested: owners and whiteouts need root");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let at = |path: &str| temp.path().join(path);
    let data = |path: &str| fs::symlink_metadata(at(path)).unwrap();
    let bytes = archive();
    let unpacked = run(&bytes, temp.path(), true);
    assert_eq!(unpacked.diff_id, Digest::of(&bytes));
    assert_eq!((unpacked.bytes, unpacked.devices, unpacked.opaque_root), (10, 0, false));
    let implied: Vec<_> = unpacked.implied.iter().map(|path| path.join().into_string().unwrap()).collect();
    assert_eq!(
        implied,
        ["again".to_owned(), "deep".into(), format!("deep/{}", "d".repeat(120)), "etc".into()]
    );

    let root = fs::symlink_metadata(temp.path()).unwrap();
    assert_eq!((root.mode() & 0o7777, root.mtime()), (0o700, 7));
    let usr = data("usr");
    assert_eq!((usr.mode() & 0o7777, usr.uid(), usr.gid(), usr.mtime()), (0o555, 3, 4, 11));
    let su = data("usr/su");
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.mtime()), (0o4755, 5, 6, 12));
    assert_eq!((su.nlink(), su.ino()), (2, data("usr/su2").ino()));
    assert_eq!(fs::read_link(at("usr/link")).unwrap(), Path::new("../../anywhere"));
    let pax = data("usr/pax");
    assert_eq!((pax.uid(), pax.mtime(), pax.mtime_nsec()), (70000, 13, 250_000_000));
    assert_eq!(xattr(&at("usr/pax"), "security.capability").map(|value| value.len()), Some(20));
    assert_eq!(xattr(&at("usr/pax"), "user.note").as_deref(), Some(&b"hello"[..]));
    assert!(data("fifo").file_type().is_fifo() && data("fifo").mode() & 0o777 == 0o620);

    let is_whiteout = |path: &str| data(path).file_type().is_char_device() && data(path).rdev() == 0;
    let is_opaque = |path: &str| xattr(&at(path), "trusted.overlay.opaque").as_deref() == Some(&b"y"[..]);
    assert!(is_whiteout("etc/gone"));
    assert!(is_opaque("fresh") && is_opaque("again") && is_opaque("kept") && !is_opaque("usr"));
    assert!(!at("fresh/.wh..wh..opq").exists() && !at(".wh.again").exists());
}

#[test]
fn without_rights_everything_is_ours() {
    let temp = tempfile::tempdir().unwrap();
    run(&archive(), temp.path(), false);
    let data = |path: &str| fs::symlink_metadata(temp.path().join(path)).unwrap();
    let own = fs::symlink_metadata(temp.path()).unwrap().uid();
    for path in ["usr", "usr/su", "usr/pax", "fifo", "again/new"] {
        assert_eq!(data(path).uid(), own, "{path}");
    }
    assert_eq!(data("usr/su").mode() & 0o7777, 0o755, "no setuid without its owner");
    assert_eq!(data("usr").mode() & 0o700, 0o700, "what is ours we can remove");
    assert_eq!(fs::read(temp.path().join("usr/pax")).unwrap(), b"pax");
}

#[test]
fn an_opaque_root_hides_all_below() {
    let temp = tempfile::tempdir().unwrap();
    let unpacked =
        run(&Archive::new().file(".wh..wh..opq", b"").file("a", b"1").finish(), temp.path(), is_root());
    assert!(unpacked.opaque_root);
    let (free, inodes) = at::free(fs::File::open(temp.path()).unwrap().as_fd()).unwrap();
    assert!(free > 0 && inodes > 0);
}
