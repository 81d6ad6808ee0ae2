//! Who a command runs as.

use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString};
use std::io;

/// A user as the kernel knows one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: libc::uid_t,
    /// Primary group.
    pub gid: libc::gid_t,
    /// All groups.
    pub groups: Vec<libc::gid_t>,
}

/// A user cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none of that name.
    #[error("there is no user {0:?} on this machine")]
    NoUser(String),
    /// There is none of that name.
    #[error("there is no group {0:?} on this machine")]
    NoGroup(String),
    /// The image's own files know none of that name.
    #[error("the image has no {what} {name:?} in its /etc/passwd or /etc/group")]
    NotInImage {
        /// `user` or `group`.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The user database does not answer.
    #[error("cannot look up {what:?} in the user database: {source}")]
    Lookup {
        /// What was asked for.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// Resolves `name`, `uid`, `name:group` or `uid:gid`. A number need not be in the user database; its group is then the
/// same number, so that it has no rights by chance. `further` are groups besides.
pub(super) fn resolve(text: &str, further: &[String]) -> Result<Identity, UserError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let number: Option<libc::uid_t> = user.parse().ok().filter(|uid| *uid != libc::uid_t::MAX);
    let mut identity = match (number, find_user(user, number)?) {
        (_, Some(entry)) => Identity { uid: entry.uid, gid: entry.gid, groups: entry.groups },
        (Some(uid), None) => Identity { uid, gid: uid, groups: vec![uid] },
        (None, None) => return Err(UserError::NoUser(user.to_owned())),
    };
    if let Some(group) = group {
        identity.gid = find_group(group)?;
        identity.groups = vec![identity.gid];
    }
    for group in further {
        identity.groups.push(find_group(group)?);
    }
    Ok(identity)
}

struct Entry {
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
}

fn find_user(text: &str, number: Option<libc::uid_t>) -> Result<Option<Entry>, UserError> {
    let Ok(name) = CString::new(text) else { return Ok(None) };
    let mut buffer = vec![0; 16 << 10];
    // SAFETY: an all-zero passwd is a valid value: null pointers and zeros.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are to values of ours that live as long as `entry` is used; the length is the buffer's.
    let code = unsafe {
        match number {
            Some(uid) => libc::getpwuid_r(uid, &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found),
            None => {
                libc::getpwnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found)
            }
        }
    };
    if found.is_null() {
        return absent(code, text);
    }
    let mut groups = vec![0; 64];
    loop {
        let mut count = groups.len() as libc::c_int;
        // SAFETY: pw_name points into the buffer above; `count` is the length of `groups`.
        let code =
            unsafe { libc::getgrouplist(entry.pw_name, entry.pw_gid, groups.as_mut_ptr(), &mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if code >= 0 {
            groups.truncate(count);
            return Ok(Some(Entry { uid: entry.pw_uid, gid: entry.pw_gid, groups }));
        }
        groups.resize(count.max(groups.len() * 2), 0);
    }
}

fn find_group(text: &str) -> Result<libc::gid_t, UserError> {
    if let Some(gid) = text.parse().ok().filter(|gid| *gid != libc::gid_t::MAX) {
        return Ok(gid);
    }
    let missing = || UserError::NoGroup(text.to_owned());
    let name = CString::new(text).map_err(|_| missing())?;
    let mut buffer = vec![0; 64 << 10];
    // SAFETY: an all-zero group is a valid value: null pointers and zeros.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are to values of ours; the length is the buffer's.
    let code =
        unsafe { libc::getgrnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    match found.is_null() {
        false => Ok(entry.gr_gid),
        true => absent::<()>(code, text).and_then(|_| Err(missing())),
    }
}

/// Distinguishes "there is none" from "nobody could say".
fn absent<T>(code: libc::c_int, what: &str) -> Result<Option<T>, UserError> {
    match code {
        0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => Ok(None),
        code => Err(UserError::Lookup { what: what.to_owned(), source: io::Error::from_raw_os_error(code) }),
    }
}

/// The calling process' own identity.
pub(super) fn own() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: no memory is passed.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Becomes that user, for good.
pub(super) fn become_user(identity: &Identity) -> io::Result<()> {
    let check = |code: libc::c_int| if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: the pointer is to as many groups as said.
    check(unsafe { libc::setgroups(identity.groups.len(), identity.groups.as_ptr()) })?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::setresgid(identity.gid, identity.gid, identity.gid) })?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::setresuid(identity.uid, identity.uid, identity.uid) })
}

/// The name of the user that the process runs as, for messages.
pub(super) fn own_name() -> String {
    let (uid, _) = own();
    // SAFETY: getpwuid's answer is read before anything else can change it; the process has one thread.
    unsafe {
        let entry = libc::getpwuid(uid);
        match entry.is_null() {
            true => uid.to_string(),
            false => CStr::from_ptr((*entry).pw_name).to_string_lossy().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_groups() {
        let root = resolve("root", &[]).unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(resolve("0", &[]).unwrap(), root);
        let daemon = resolve("root:daemon", &[]).unwrap();
        let more = resolve("0:0", &["daemon".into()]).unwrap();
        assert_eq!(more.groups, [0, daemon.gid]);
        assert_eq!((daemon.uid, daemon.groups), (0, vec![daemon.gid]));
        assert_eq!(resolve("54321:7", &[]).unwrap(), Identity { uid: 54321, gid: 7, groups: vec![7] });
        assert_eq!(resolve("54321", &[]).unwrap(), Identity { uid: 54321, gid: 54321, groups: vec![54321] });
    }

    #[test]
    fn unknown_ones_are_named() {
        assert_eq!(
            resolve("no-such-user", &[]).unwrap_err().to_string(),
            "there is no user \"no-such-user\" on this machine"
        );
        assert!(matches!(resolve("root:no-such-group", &[]), Err(UserError::NoGroup(_))));
        assert!(
            resolve("", &[]).is_err() && resolve("-1", &[]).is_err() && resolve("4294967295", &[]).is_err()
        );
        assert!(resolve("a\0b", &[]).is_err());
    }
}
