//! Zip archives: as far as build tools write them (stored or deflated, without encryption, below 4 GiB).

use super::archive::{MOST_ENTRIES, MOST_UNPACKED};
use crate::launcher::inside::{Inside, Make};
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;

const END: &[u8] = &[0x50, 0x4b, 5, 6];
const ENTRY: &[u8] = &[0x50, 0x4b, 1, 2];
const LOCAL: &[u8] = &[0x50, 0x4b, 3, 4];
const END_LENGTH: u64 = 22;
/// The longest comment behind the end.
const COMMENT: u64 = 65_535;
/// The largest list of entries that is read, in bytes.
const MOST_LIST: u64 = 256 << 20;

struct Entry {
    path: PathBuf,
    is_dir: bool,
    is_program: bool,
    deflated: bool,
    packed: u64,
    size: u64,
    crc: u32,
    at: u64,
}

/// Unpacks everything, or says what is wrong.
pub(super) fn unpack(mut file: File, into: &Inside, cancelled: &AtomicBool) -> io::Result<()> {
    let entries = list(&mut file)?;
    let mut left = MOST_UNPACKED;
    for entry in &entries {
        if entry.is_dir {
            into.make(&entry.path, Make::Directory, None)?;
            continue;
        }
        let too_much = || wrong(&format!("it unpacks to more than {} GiB", MOST_UNPACKED >> 30));
        left = left.checked_sub(entry.size).ok_or_else(too_much)?;
        if let Some(parent) = entry.path.parent() {
            into.make(parent, Make::Directory, None)?;
        }
        let mut to = into.create(&entry.path, if entry.is_program { 0o755 } else { 0o644 })?;
        let packed = contents(&mut file, entry)?;
        let mut sum = flate2::CrcWriter::new(&mut to);
        let plain: Box<dyn Read> =
            if entry.deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        // One byte more would be a lie about its size.
        super::archive::copy(plain.take(entry.size.saturating_add(1)), &mut sum, u64::MAX, cancelled)?;
        if (u64::from(sum.crc().amount()), sum.crc().sum()) != (entry.size & 0xffff_ffff, entry.crc) {
            return Err(wrong(&format!("{} is damaged", entry.path.display())));
        }
    }
    Ok(())
}

fn wrong(why: &str) -> io::Error {
    io::Error::other(format!("the zip archive: {why}"))
}

/// A number of two or four bytes, the lowest first.
fn number(bytes: &[u8], at: usize, length: usize) -> io::Result<u64> {
    let bytes = bytes.get(at..at + length).ok_or_else(|| wrong("it is cut off"))?;
    Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn list(file: &mut File) -> io::Result<Vec<Entry>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(END_LENGTH + COMMENT)))?;
    let mut tail = Vec::new();
    file.take(END_LENGTH + COMMENT).read_to_end(&mut tail)?;
    let at = tail
        .windows(4)
        .rposition(|four| four == END)
        .ok_or_else(|| wrong("it has no end: it is none, or cut off"))?;
    let end = &tail[at..];
    let (count, size, start) = (number(end, 10, 2)?, number(end, 12, 4)?, number(end, 16, 4)?);
    if count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
        return Err(wrong("it is in the format for more than 4 GiB, which is not read here"));
    }
    if size > MOST_LIST || count as usize > MOST_ENTRIES {
        return Err(wrong("it has too many entries"));
    }
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    let mut entries = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let lengths = [28, 30, 32].map(|offset| number(&bytes, at + offset, 2));
        let [name, extra, comment] = lengths;
        let (name, rest) = (name? as usize, extra? as usize + comment? as usize);
        let end = at + 46 + name;
        let head = bytes
            .get(at..end)
            .filter(|head| head.starts_with(ENTRY))
            .ok_or_else(|| wrong("its list is damaged"))?;
        entries.push(read_entry(head)?);
        at = end + rest;
    }
    Ok(entries)
}

fn read_entry(head: &[u8]) -> io::Result<Entry> {
    let name = std::str::from_utf8(&head[46..]).map_err(|_| wrong("a name is not UTF-8"))?;
    let path = PathBuf::from(name);
    let refused = |why: &str| wrong(&format!("{name:?}: {why}"));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || name.is_empty() || name.contains(['\0', '\\']) {
        return Err(refused("it leads out of the directory, or is no name"));
    }
    let (flags, method) = (number(head, 8, 2)?, number(head, 10, 2)?);
    if flags & 1 != 0 {
        return Err(refused("it is encrypted"));
    }
    // What a Unix says of a file's mode stands in the upper half.
    let by_unix = number(head, 5, 1)? == 3;
    let mode = if by_unix { number(head, 38, 4)? >> 16 } else { 0 };
    let is_dir = name.ends_with('/');
    match mode & 0o170_000 {
        0 | 0o100_000 => {}
        0o040_000 if is_dir => {}
        _ => return Err(refused("links and special files are not unpacked")),
    }
    if !matches!(method, 0 | 8) {
        return Err(refused("it is neither stored nor deflated"));
    }
    Ok(Entry {
        path,
        is_dir,
        is_program: mode & 0o111 != 0,
        deflated: method == 8,
        crc: number(head, 16, 4)? as u32,
        packed: number(head, 20, 4)?,
        size: number(head, 24, 4)?,
        at: number(head, 42, 4)?,
    })
}

fn contents<'a>(file: &'a mut File, entry: &Entry) -> io::Result<impl Read + use<'a>> {
    let mut head = [0; 30];
    file.seek(SeekFrom::Start(entry.at))?;
    file.read_exact(&mut head)?;
    if !head.starts_with(LOCAL) {
        return Err(wrong(&format!("{} is not where the list says", Path::new(&entry.path).display())));
    }
    let skip = number(&head, 26, 2)? + number(&head, 28, 2)?;
    file.seek(SeekFrom::Current(skip as i64))?;
    Ok(BufReader::with_capacity(64 << 10, file.take(entry.packed)))
}
