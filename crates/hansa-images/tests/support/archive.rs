//! Builds tar archives, well-formed or not, entry by entry.

/// An archive in the making.
#[derive(Clone, Default)]
pub struct Archive(Vec<u8>);

/// One entry; what is not said is harmless.
#[derive(Clone)]
pub struct Entry<'a> {
    pub name: &'a [u8],
    /// The type flag.
    pub kind: u8,
    pub link: &'a [u8],
    pub mode: u32,
    pub owner: (u64, u64),
    pub mtime: u64,
    pub content: &'a [u8],
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            name: b"",
            kind: b'0',
            link: b"",
            mode: 0o644,
            owner: (0, 0),
            mtime: 1_000_000_000,
            content: b"",
        }
    }
}

impl Archive {
    pub fn new() -> Self {
        Self::default()
    }

    /// Any entry. Names that do not fit are put into pax records.
    #[must_use]
    pub fn entry(mut self, entry: &Entry<'_>) -> Self {
        if entry.name.len() > 100 {
            self = self.pax(&[(b"path", entry.name)]);
        }
        if entry.link.len() > 100 {
            self = self.pax(&[(b"linkpath", entry.link)]);
        }
        let size = entry.content.len() as u64;
        self.header(entry, size);
        self.content(entry.content);
        self
    }

    /// A header alone, which says that so much content follows.
    pub fn header(&mut self, entry: &Entry<'_>, size: u64) {
        let mut block = [0u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &entry.name[..entry.name.len().min(100)]);
        put(100, format!("{:07o}\0", entry.mode).as_bytes());
        put(108, &number(entry.owner.0, 8));
        put(116, &number(entry.owner.1, 8));
        put(124, &number(size, 12));
        put(136, &number(entry.mtime, 12));
        put(148, b"        ");
        put(156, &[entry.kind]);
        put(157, &entry.link[..entry.link.len().min(100)]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
    }

    /// Content with its padding.
    pub fn content(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// Pax records for the entry that follows.
    #[must_use]
    pub fn pax(mut self, records: &[(&[u8], &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length.to_string().len() + rest > length {
                length += 1;
            }
            text.extend_from_slice(format!("{length} ").as_bytes());
            text.extend_from_slice(key);
            text.push(b'=');
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.header(&Entry { name: b"pax", kind: b'x', ..Entry::default() }, text.len() as u64);
        self.content(&text);
        self
    }

    #[must_use]
    pub fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(&Entry { name: name.as_bytes(), kind: b'5', mode, ..Entry::default() })
    }

    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(&Entry { name: name.as_bytes(), content, ..Entry::default() })
    }

    #[must_use]
    pub fn program(self, name: &str, content: &[u8]) -> Self {
        self.entry(&Entry { name: name.as_bytes(), content, mode: 0o755, ..Entry::default() })
    }

    #[must_use]
    pub fn symlink(self, name: &str, to: &str) -> Self {
        self.entry(&Entry {
            name: name.as_bytes(),
            kind: b'2',
            link: to.as_bytes(),
            mode: 0o777,
            ..Entry::default()
        })
    }

    #[must_use]
    pub fn hard_link(self, name: &str, to: &str) -> Self {
        // Some unpackers give the file the link's mode, so builders write the file's. All linked files here are programs.
        let link = to.as_bytes();
        self.entry(&Entry { name: name.as_bytes(), kind: b'1', link, mode: 0o755, ..Entry::default() })
    }

    /// The bytes, with the usual end.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// Octal if it fits, GNU's binary form if not.
fn number(value: u64, width: usize) -> Vec<u8> {
    let octal = format!("{value:0digits$o}\0", digits = width - 1);
    if octal.len() == width {
        return octal.into_bytes();
    }
    let mut bytes = vec![0; width];
    let from = width.saturating_sub(8);
    let be = value.to_be_bytes();
    bytes[from..].copy_from_slice(&be[8 - (width - from)..]);
    bytes[0] |= 0x80;
    bytes
}
