//! Users and groups as an image's own `/etc/passwd` and `/etc/group` know them.

use crate::lower::Lower;
use std::path::{Path, PathBuf};

/// Most bytes of either file that are read.
const MOST: u64 = 4 << 20;

/// Who a command runs as, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// The user's home, if the image knows the user.
    pub home: Option<String>,
}

/// A user cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// There is none of that name.
    #[error("the image has no user {0:?} in its /etc/passwd; use one that it has, or a number")]
    NoUser(String),
    /// There is none of that name.
    #[error("the image has no group {0:?} in its /etc/group; use one that it has, or a number")]
    NoGroup(String),
    /// The image's files cannot be read.
    #[error("cannot look up user {0:?} in the image: {1}")]
    Unreadable(String, String),
}

/// Resolves `name`, `uid`, `name:group` and so on; empty: root. A number need not be known; its group is then root's, as
/// with Docker.
pub(crate) fn resolve(layers: &[PathBuf], text: &str) -> Result<Identity, UserError> {
    let read = |path: &str| {
        let found = Lower::open(layers).and_then(|lower| lower.read(Path::new(path), MOST));
        match found {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()),
            Err(error) => Err(UserError::Unreadable(text.to_owned(), error.to_string())),
        }
    };
    find(text, &read("/etc/passwd")?, &read("/etc/group")?)
}

fn find(text: &str, passwd: &str, group: &str) -> Result<Identity, UserError> {
    let (user, asked_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id != u32::MAX);
    let uid = number(user);
    let entries = passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            [name, _, uid, gid, _, home, ..] => Some((name, number(uid)?, number(gid)?, home)),
            _ => None,
        }
    });
    // A name that is also a number means the number only if nobody is called so.
    let known: Vec<_> = entries.collect();
    let entry = known
        .iter()
        .find(|(name, ..)| *name == user)
        .or_else(|| known.iter().find(|(_, other, ..)| Some(*other) == uid));
    let mut identity = match (entry, uid) {
        (Some((_, uid, gid, home)), _) => {
            let home = Some(*home).filter(|home| !home.is_empty()).map(str::to_owned);
            Identity { uid: *uid, gid: *gid, groups: Vec::new(), home }
        }
        (None, Some(uid)) => Identity { uid, gid: 0, groups: Vec::new(), home: None },
        (None, None) => return Err(UserError::NoUser(user.to_owned())),
    };
    let groups: Vec<(&str, u32, &str)> = group
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [name, _, gid, members, ..] => Some((name, number(gid)?, members)),
                [name, _, gid] => Some((name, number(gid)?, "")),
                _ => None,
            }
        })
        .collect();
    match asked_group {
        Some(asked) => {
            let named = groups.iter().find(|(name, ..)| *name == asked).map(|(_, gid, _)| *gid);
            identity.gid =
                named.or_else(|| number(asked)).ok_or_else(|| UserError::NoGroup(asked.to_owned()))?;
        }
        None => {
            if let Some((name, ..)) = entry {
                let own =
                    groups.iter().filter(|(_, _, members)| members.split(',').any(|m| m.trim() == *name));
                identity.groups = own.map(|(_, gid, _)| *gid).filter(|gid| *gid != identity.gid).collect();
                identity.groups.sort_unstable();
                identity.groups.dedup();
            }
        }
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbad line\nwww:x:33:33:w:/var/www:/bin/false\n77:x:5:6::/h:\nx:x:notanumber:1:::\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:\nadm:x:4:root,www\nlog:x:9:www\n";

    fn identity(text: &str) -> Option<(u32, u32, Vec<u32>, Option<String>)> {
        find(text, PASSWD, GROUP).ok().map(|found| (found.uid, found.gid, found.groups, found.home))
    }

    #[test]
    fn users_as_docker_finds_them() {
        let home = |path: &str| Some(path.to_owned());
        assert_eq!(identity(""), Some((0, 0, vec![4], home("/root"))));
        assert_eq!(identity("root"), identity("0"));
        assert_eq!(identity("www"), Some((33, 33, vec![4, 9], home("/var/www"))));
        assert_eq!(identity("33"), identity("www"));
        assert_eq!(identity("www:adm"), Some((33, 4, vec![], home("/var/www"))));
        assert_eq!(identity("1234"), Some((1234, 0, vec![], None)));
        assert_eq!(identity("1234:5678"), Some((1234, 5678, vec![], None)));
        assert_eq!(identity("77"), Some((5, 6, vec![], home("/h"))), "a name before a number");
        for none in ["nobody", "x", "www:nogroup", "-1", "4294967295", "a b"] {
            assert_eq!(identity(none), None, "{none}");
        }
        assert_eq!(find("", "", "").unwrap().uid, 0, "an image without users still has root");
    }
}
