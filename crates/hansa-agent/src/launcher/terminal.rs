//! Terminals of a container, and descriptors handed from process to process.

use super::inside::Inside;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The most descriptors that are handed over at once.
const MOST_FDS: usize = 4;

/// Opens a new terminal of the container whose root this is: the end that shows it, and the end that programs use. It is
/// one of the container's own terminals, so that programs in there find its name.
pub(crate) fn open_terminal(root: &Inside) -> io::Result<(OwnedFd, OwnedFd)> {
    const MULTIPLEXER: libc::dev_t = libc::makedev(5, 2);
    let shown = root.open_device(Path::new("/dev/pts/ptmx"), libc::O_RDWR | libc::O_NOCTTY)?;
    let unlocked: libc::c_int = 0;
    // SAFETY: an all-zero stat is a valid value; the pointers are to values of ours; the descriptor is new.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(shown.as_raw_fd(), &mut stat) != 0 || stat.st_rdev != MULTIPLEXER {
            return Err(io::Error::other("/dev/pts/ptmx is no terminal"));
        }
        if libc::ioctl(shown.as_raw_fd(), libc::TIOCSPTLCK, &unlocked) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::ioctl(
            shown.as_raw_fd(),
            libc::TIOCGPTPEER,
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        ) {
            fd if fd >= 0 => Ok((shown, OwnedFd::from_raw_fd(fd))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Sends bytes and descriptors; gives how many bytes went. At least one byte has to be sent.
pub(crate) fn send_with(socket: RawFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0u64; 8];
    // SAFETY: an all-zero msghdr is a valid value; it points to buffers of ours that are as long as said, and the control
    // buffer holds one header with at most `MOST_FDS` descriptors.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        if !fds.is_empty() {
            let fds = &fds[..fds.len().min(MOST_FDS)];
            let length = std::mem::size_of_val(fds) as libc::c_uint;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(length) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as _;
            std::ptr::copy_nonoverlapping(fds.as_ptr().cast(), libc::CMSG_DATA(header), length as usize);
        }
        libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives bytes and whatever descriptors come with them.
pub(crate) fn receive_with(socket: RawFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = [0u64; 8];
    // SAFETY: an all-zero msghdr is a valid value; it points to buffers of ours that are as long as said; the kernel
    // says how much of the control buffer holds headers and descriptors, each of them new and ours.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = std::mem::size_of_val(&control) as _;
        let received = libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC);
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if ((*header).cmsg_level, (*header).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let length = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for at in 0..length / std::mem::size_of::<RawFd>() {
                    fds.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
        Ok(received)
    }
}

/// Sets a terminal's size in characters.
pub(crate) fn resize(terminal: RawFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a size of ours.
    match unsafe { libc::ioctl(terminal, libc::TIOCSWINSZ, &size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_come_with_their_bytes() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        assert_eq!(send_with(left.as_raw_fd(), b"abc", &[theirs.as_raw_fd()]).unwrap(), 3);
        drop((left, theirs));
        let (mut buffer, mut fds) = ([0; 16], Vec::new());
        assert_eq!(receive_with(right.as_raw_fd(), &mut buffer, &mut fds).unwrap(), 3);
        assert_eq!((&buffer[..3], fds.len()), (&b"abc"[..], 1));
        std::fs::File::from(fds.remove(0)).write_all(b"through").unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(receive_with(right.as_raw_fd(), &mut buffer, &mut fds).unwrap(), 0);
    }

    #[test]
    fn a_terminal_of_this_machine() {
        let root = Inside::open(Path::new("/")).unwrap();
        let Ok((shown, used)) = open_terminal(&root) else {
            return println!("SKIPPED: there are no terminals here");
        };
        resize(shown.as_raw_fd(), 7, 77).unwrap();
        std::fs::File::from(used).write_all(b"hello\n").unwrap();
        let mut buffer = [0; 7];
        std::fs::File::from(shown).read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"hello\r\n");
    }
}
