//! The network of this program alone.

use std::process::Command;

/// Leaves the machine's network for an empty one, for this process and all that it starts. To be called before there is
/// a second thread.
///
/// # Errors
/// Only root can; in words.
pub fn enter() -> Result<(), &'static str> {
    // SAFETY: no memory is passed.
    if unsafe { libc::geteuid() } != 0 {
        return Err("containers of images need root");
    }
    // SAFETY: no memory is passed; there is one thread.
    let left = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(left, 0, "{}", std::io::Error::last_os_error());
    ip("link set lo up");
    Ok(())
}

/// Runs `ip` with these words; gives what it says.
pub fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output();
    let output = output.expect("ip: apt-get install -y iproute2");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
