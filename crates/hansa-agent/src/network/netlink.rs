//! Netlink: messages as bytes, and a socket that sends them and waits for the kernel's verdict.
//!
//! Knows the frame of messages and attributes and nothing of what they mean: that is [`super::links`]',
//! [`super::nft`]'s and [`super::conntrack`]'s. Everything here blocks, for microseconds: the kernel answers at once.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A message's header: length, kind, flags, number, sender.
const HEADER: usize = 16;

/// An answer that takes longer than this will not come.
const PATIENCE_SECONDS: libc::time_t = 5;

/// Messages in one buffer, to be sent together.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Where the message being written begins.
    begin: usize,
    count: u32,
}

impl Messages {
    /// Adds a message: its kind, its flags besides `NLM_F_REQUEST`, the fixed part of its body, its attributes.
    pub fn add(&mut self, kind: u16, flags: libc::c_int, body: &[u8], attributes: impl FnOnce(&mut Self)) {
        self.begin = self.bytes.len();
        self.count += 1;
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.count.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(body);
        self.pad();
        attributes(self);
        let length = (self.bytes.len() - self.begin) as u32;
        self.bytes[self.begin..self.begin + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds an attribute to the message being written.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.pad();
    }

    /// Adds an attribute that holds text, with the zero at its end.
    pub fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    /// Adds a number as the kernel's own tables want it.
    pub fn native(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Adds a number as netfilter wants it.
    pub fn network(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Adds an attribute that holds attributes.
    pub fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        let begin = self.bytes.len();
        self.bytes.extend(0u16.to_ne_bytes());
        self.bytes.extend((kind | libc::NLA_F_NESTED as u16).to_ne_bytes());
        inner(self);
        let length = (self.bytes.len() - begin) as u16;
        self.bytes[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds bytes as they are: the fixed part of what is nested.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.pad();
    }

    /// How many messages there are; the last one's number.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Everything starts at a multiple of four bytes.
    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// What the kernel refused, and what it said about it.
#[derive(Debug, thiserror::Error)]
#[error("{source}{}{said}", if said.is_empty() { "" } else { ": " })]
pub(super) struct Refused {
    #[source]
    source: io::Error,
    /// The kernel's words, where it has any.
    said: String,
}

impl Refused {
    /// The error's number.
    pub fn code(&self) -> i32 {
        self.source.raw_os_error().unwrap_or_default()
    }
}

impl From<io::Error> for Refused {
    fn from(source: io::Error) -> Self {
        Self { source, said: String::new() }
    }
}

/// One netlink socket. It belongs to the network namespace that its maker was in, wherever it is used.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Socket {
    /// A socket of a protocol: `NETLINK_ROUTE`, `NETLINK_NETFILTER`.
    pub fn open(protocol: libc::c_int) -> io::Result<Self> {
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let socket = Self { fd, buffer: vec![0; 64 << 10] };
        // Only wishes: words beside the error's number, and errors without the whole message they are about.
        let _ = socket.option(libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, &1i32);
        let _ = socket.option(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, &1i32);
        let patience = libc::timeval { tv_sec: PATIENCE_SECONDS, tv_usec: 0 };
        socket.option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &patience)?;
        Ok(socket)
    }

    fn option<T>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        let size = std::mem::size_of::<T>() as libc::socklen_t;
        // SAFETY: the pointer is to a value of the size that is told.
        match unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, name, (&raw const *value).cast(), size) }
        {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Sends messages of which each asks for an answer (`NLM_F_ACK`), and waits for all of them.
    ///
    /// # Errors
    /// The first message that was refused. Later ones may have been done all the same.
    pub fn all(&mut self, messages: &Messages) -> Result<(), Refused> {
        self.send(messages)?;
        let mut answers = 0;
        let mut refused = None;
        while answers < messages.count {
            self.receive(|_, kind, body| {
                if i32::from(kind) == libc::NLMSG_ERROR {
                    answers += 1;
                    if let Some(error) = verdict(body) {
                        refused.get_or_insert(error);
                    }
                }
                false
            })?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends messages that are done together or not at all, of which the one with the number `last` asks for an answer.
    ///
    /// # Errors
    /// The first message that was refused; nothing was done.
    pub fn together(&mut self, messages: &Messages, last: u32) -> Result<(), Refused> {
        self.send(messages)?;
        let mut refused = None;
        let mut done = false;
        while !done {
            done = self.receive(|number, kind, body| {
                if i32::from(kind) == libc::NLMSG_ERROR {
                    if let Some(error) = verdict(body) {
                        refused.get_or_insert(error);
                    }
                    // A refusal of all of it is told of the first.
                    return number == last || (number == 1 && refused.is_some());
                }
                false
            })?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends one question and gives each answer's body to `each`, after its header.
    ///
    /// # Errors
    /// The kernel does not answer it.
    pub fn ask(&mut self, question: &Messages, mut each: impl FnMut(&[u8])) -> Result<(), Refused> {
        self.send(question)?;
        let mut refused = None;
        let mut done = false;
        while !done {
            done = self.receive(|_, kind, body| match i32::from(kind) {
                libc::NLMSG_DONE => true,
                libc::NLMSG_ERROR => {
                    refused = verdict(body);
                    true
                }
                _ => {
                    each(body);
                    false
                }
            })?;
        }
        refused.map_or(Ok(()), Err)
    }

    fn send(&self, messages: &Messages) -> io::Result<()> {
        let bytes = &messages.bytes;
        // SAFETY: the pointer is to as many bytes as told.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        match usize::try_from(sent) {
            Ok(sent) if sent == bytes.len() => Ok(()),
            Ok(_) => Err(io::Error::other("a netlink message was cut off")),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for one datagram and gives number, kind and body of each message in it; true if one of the answers was.
    fn receive(&mut self, mut each: impl FnMut(u32, u16, &[u8]) -> bool) -> io::Result<bool> {
        // SAFETY: the pointer is to as many bytes as told.
        let length = unsafe {
            libc::recv(
                self.fd.as_raw_fd(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                libc::MSG_TRUNC,
            )
        };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        if length > self.buffer.len() {
            return Err(io::Error::other("a netlink answer was too long"));
        }
        let mut rest = &self.buffer[..length];
        let mut done = false;
        while rest.len() >= HEADER {
            let size = u32_at(rest, 0) as usize;
            if size < HEADER || size > rest.len() {
                return Err(io::Error::other("a netlink answer has no form"));
            }
            done |= each(u32_at(rest, 8), u16_at(rest, 4), &rest[HEADER..size]);
            rest = &rest[size.next_multiple_of(4).min(rest.len())..];
        }
        Ok(done)
    }
}

/// What an answer of the kind `NLMSG_ERROR` says; None: done.
fn verdict(body: &[u8]) -> Option<Refused> {
    const SAID: u16 = 1;
    let code = body.get(..4).map_or(libc::EPROTO, |_| -(u32_at(body, 0).cast_signed()));
    if code == 0 {
        return None;
    }
    // Behind the number stands the header of the refused message, and then what the kernel has to say.
    let mut said = String::new();
    for (kind, value) in Attributes(body.get(4 + HEADER..).unwrap_or_default()) {
        if kind == SAID {
            said = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
        }
    }
    Some(Refused { source: io::Error::from_raw_os_error(code), said })
}

/// The attributes in a message's body: kind and value of each.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.len() < 4 {
            return None;
        }
        let size = usize::from(u16_at(self.0, 0));
        let value = self.0.get(4..size)?;
        // Two bits tell how it is stored.
        let kind = u16_at(self.0, 2) & 0x3fff;
        self.0 = self.0.get(size.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// A number in native order. Panics where there is none: callers look first.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_attributes_are_framed() {
        let mut messages = Messages::default();
        messages.add(16, libc::NLM_F_ACK, &[9], |m| {
            m.text(3, "eth0");
            m.nested(18, |m| m.native(1, 7));
        });
        messages.add(17, 0, &[], |_| ());
        assert_eq!((messages.count(), messages.bytes.len()), (2, 16 + 4 + 12 + 12 + 16));
        let first = u32_at(&messages.bytes, 0) as usize;
        let read: Vec<_> = Attributes(&messages.bytes[20..first]).collect();
        assert_eq!(read[0], (3, &b"eth0\0"[..]));
        assert_eq!(
            (read[1].0, Attributes(read[1].1).collect::<Vec<_>>()),
            (18, vec![(1, &7u32.to_ne_bytes()[..])])
        );
        assert_eq!((u32_at(&messages.bytes, first), u32_at(&messages.bytes, first + 8)), (16, 2));
    }

    #[test]
    fn nonsense_is_no_attribute() {
        for nonsense in [&[][..], &[1, 0, 0], &[9, 0, 1, 0], &[3, 0, 1, 0]] {
            assert_eq!(Attributes(nonsense).count(), 0, "{nonsense:?}");
        }
        assert_eq!(verdict(&[]).unwrap().code(), libc::EPROTO);
        assert!(verdict(&0u32.to_ne_bytes()).is_none());
    }

    #[test]
    fn the_kernel_answers() {
        let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
        let mut question = Messages::default();
        question.add(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; 16], |_| ());
        let mut links = 0;
        socket.ask(&question, |body| links += usize::from(body.len() > 16)).unwrap();
        assert!(links >= 1, "there is always a loopback");
        let mut nonsense = Messages::default();
        nonsense.add(libc::RTM_GETLINK, libc::NLM_F_ACK, &[0; 16], |m| m.text(3, "no-such-link"));
        assert_eq!(socket.all(&nonsense).unwrap_err().code(), libc::ENODEV);
    }
}
