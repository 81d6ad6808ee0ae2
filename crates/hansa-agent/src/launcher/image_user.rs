//! Who a command runs as, by the image's own `/etc/passwd` and `/etc/group`, by Docker's rules.

use super::user::{Identity, UserError};

/// A user of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageUser {
    pub identity: Identity,
    /// Its home directory, if the image knows it.
    pub home: Option<String>,
}

/// Resolves `name`, `uid`, `name:group` or `uid:gid`, and further groups. A number need not be in the files; its group is
/// then 0, as Docker has it.
pub(super) fn resolve(
    text: &str,
    further: &[String],
    passwd: &str,
    group: &str,
) -> Result<ImageUser, UserError> {
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let number: Option<u32> = user.parse().ok().filter(|uid| *uid != u32::MAX);
    let entries = || lines(passwd, 6).filter_map(|fields| Some((fields[2].parse::<u32>().ok()?, fields)));
    // A name may consist of digits; as Docker has it, the name wins.
    let entry = entries().find(|(_, fields)| fields[0] == user && !user.is_empty());
    let entry = entry.or_else(|| entries().find(|(uid, _)| Some(*uid) == number));
    let mut found = match (entry, number) {
        (Some((uid, fields)), _) => {
            let gid = fields[3].parse().unwrap_or(0);
            let mut groups = vec![gid];
            for group in lines(group, 4) {
                let is_member = group[3].split(',').any(|member| member == fields[0]);
                if let Some(gid) = group[2].parse().ok().filter(|gid| is_member && !groups.contains(gid)) {
                    groups.push(gid);
                }
            }
            let home = Some(fields[5].to_owned()).filter(|home| home.starts_with('/'));
            ImageUser { identity: Identity { uid, gid, groups }, home }
        }
        (None, Some(uid)) => ImageUser { identity: Identity { uid, gid: 0, groups: vec![0] }, home: None },
        (None, None) => return Err(UserError::NotInImage { what: "user", name: user.to_owned() }),
    };
    if let Some(name) = wanted_group {
        found.identity.gid = find_group(name, group)?;
        found.identity.groups = vec![found.identity.gid];
    }
    for name in further {
        let gid = find_group(name, group)?;
        if !found.identity.groups.contains(&gid) {
            found.identity.groups.push(gid);
        }
    }
    Ok(found)
}

fn find_group(name: &str, group: &str) -> Result<u32, UserError> {
    let named = lines(group, 4).find(|fields| fields[0] == name && !name.is_empty());
    let gid = named.and_then(|fields| fields[2].parse().ok());
    gid.or_else(|| name.parse().ok().filter(|gid| *gid != u32::MAX))
        .ok_or_else(|| UserError::NotInImage { what: "group", name: name.to_owned() })
}

/// The lines that have so many fields at least.
fn lines(text: &str, fields: usize) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect()).filter(move |found: &Vec<&str>| found.len() >= fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# no\nbroken:x\nwww:x:33:44:www:/srv:/bin/false\n7:x:70:70::relative:/\n";
    const GROUP: &str = "root:x:0:\nwww:x:44:\nadm:x:4:www,other\nvideo:x:5:other\n";

    fn check(text: &str, further: &[&str], uid: u32, groups: &[u32], home: Option<&str>) {
        let further: Vec<String> = further.iter().map(|name| name.to_string()).collect();
        let found = resolve(text, &further, PASSWD, GROUP).unwrap();
        let identity = Identity { uid, gid: groups[0], groups: groups.to_vec() };
        assert_eq!(found, ImageUser { identity, home: home.map(str::to_owned) }, "{text}");
    }

    #[test]
    fn names_numbers_and_groups() {
        check("root", &[], 0, &[0], Some("/root"));
        check("www", &[], 33, &[44, 4], Some("/srv"));
        check("33", &["video", "999"], 33, &[44, 4, 5, 999], Some("/srv"));
        check("www:video", &[], 33, &[5], Some("/srv"));
        check("1000", &[], 1000, &[0], None);
        check("1000:2000", &[], 1000, &[2000], None);
        check("7", &[], 70, &[70], None);
    }

    #[test]
    fn unknown_ones_are_named() {
        for (text, what) in
            [("nobody", "user \"nobody\""), ("www:nobody", "group \"nobody\""), ("", "user \"\"")]
        {
            let error = resolve(text, &[], PASSWD, GROUP).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("image"), "{error}");
        }
        assert!(resolve("broken", &[], PASSWD, GROUP).is_err() && resolve("-1", &[], PASSWD, GROUP).is_err());
        // An image without these files has numbers only.
        assert_eq!(resolve("0", &[], "", "").unwrap().identity.groups, [0]);
    }
}
