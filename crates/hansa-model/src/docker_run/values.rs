//! The values of options, as Docker writes them.

use super::{HostVolume, Tmpfs, Ulimit};
use std::net::IpAddr;

/// Every capability that Linux has, without `CAP_`, in the order of their numbers.
pub const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// With any of these a container takes its own fences down: half a permission would be a false promise.
const UNBOUND: &[&str] = &[
    "ALL",
    "BPF",
    "DAC_READ_SEARCH",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_RAWIO",
];

const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Linux' signals from 1 on.
const SIGNALS: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `RTMIN` as C libraries count it.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A signal's number, from its name (with or without `SIG`) or number. Images' `StopSignal` is written so too.
///
/// # Errors
/// There is no such signal.
pub fn signal(text: &str) -> Result<i32, String> {
    let nothing = || "is no signal".to_owned();
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<i32>() {
        return if (1..=RTMAX).contains(&number) { Ok(number) } else { Err(nothing()) };
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = SIGNALS.iter().position(|signal| *signal == name) {
        return i32::try_from(at + 1).map_err(|_| nothing());
    }
    let offset = |text: &str, sign: char| match text {
        "" => Some(0),
        text => text.strip_prefix(sign)?.parse::<i32>().ok().filter(|n| (0..=30).contains(n)),
    };
    let realtime = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => offset(rest, '+').map(|n| RTMIN + n),
        (_, Some(rest)) => offset(rest, '-').map(|n| RTMAX - n),
        _ => None,
    };
    realtime.ok_or_else(nothing)
}

/// Bytes, with Docker's units.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "is not a size such as 64m".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "true" | "1" | "t" => Ok(true),
        "false" | "0" | "f" => Ok(false),
        _ => Err("is neither true nor false".into()),
    }
}

/// A path from the root down, without `..`.
pub(super) fn absolute(text: &str) -> Result<String, String> {
    let text = text.trim();
    if !text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err("is not an absolute path without `..`".into());
    }
    Ok(text.to_owned())
}

pub(super) fn hostname(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let text = text.trim();
    match !text.is_empty()
        && text.len() <= 63 + 190
        && text.chars().all(good)
        && !text.starts_with(['-', '.'])
    {
        true => Ok(text.to_owned()),
        false => Err("is not a host name".into()),
    }
}

/// Something that stands between blanks in a file.
pub(super) fn word(text: &str) -> Result<String, String> {
    match text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        true => Err("is not one word".into()),
        false => Ok(text.to_owned()),
    }
}

pub(super) fn address(text: &str) -> Result<String, String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err("is not an IP address".into()),
    }
}

/// `NAME=value`; None without a value.
pub(super) fn pair(text: &str) -> Result<Option<(String, String)>, String> {
    match text.split_once('=') {
        Some(("", _)) => Err("has no name".into()),
        Some((name, value)) => Ok(Some((name.to_owned(), value.to_owned()))),
        None if text.is_empty() => Err("has no name".into()),
        None => Ok(None),
    }
}

pub(super) fn ulimit(text: &str) -> Result<(String, Ulimit), String> {
    let (name, limits) = text.split_once('=').ok_or("is not name=soft:hard")?;
    let name = name.trim().to_ascii_lowercase();
    if !ULIMITS.contains(&name.as_str()) {
        return Err("names no resource limit".into());
    }
    let number = |text: &str| match text.trim() {
        "-1" | "unlimited" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "is not name=soft:hard with numbers".to_owned()),
    };
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let limit = Ulimit { soft: number(soft)?, hard: number(hard)? };
    if limit.hard.is_some_and(|hard| limit.soft.is_none_or(|soft| soft > hard)) {
        return Err("has a soft limit above the hard one".into());
    }
    Ok((name, limit))
}

pub(super) fn capability(text: &str, add: bool) -> Result<String, String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if add && UNBOUND.contains(&name) {
        return Err(
            "would let the container take its own fences down: say `\"privileged\": true` if that is meant"
                .into(),
        );
    }
    match name == "ALL" || CAPABILITIES.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err("is no capability".into()),
    }
}

/// A device under its own name, with any rights.
pub(super) fn device(text: &str) -> Result<String, String> {
    let mut parts = text.split(':');
    let host = absolute(parts.next().unwrap_or_default())?;
    if !host.starts_with("/dev/") {
        return Err("is not a device below /dev".into());
    }
    for part in parts {
        let rights = !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
        if part != host && !rights {
            return Err("gives a device another name: only its own is possible".into());
        }
    }
    Ok(host)
}

pub(super) fn volume(text: &str) -> Result<HostVolume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, options) = match parts[..] {
        [container] => (None, container, ""),
        [host, container] => (Some(host), container, ""),
        [host, container, options] => (Some(host), container, options),
        _ => return Err("is not host-path:container-path:options".into()),
    };
    let host_path = match host {
        None => None,
        Some(host) => Some(absolute(host).map_err(|_| {
            "needs an absolute path of the machine: named volumes belong to Docker's own store".to_owned()
        })?),
    };
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            // SELinux' labels, propagation and copying: nothing of it is done here, nothing of it is missed.
            "rw" | "z" | "Z" | "nocopy" | "rprivate" | "private" | "rslave" | "slave" | "cached"
            | "delegated" | "consistent" => {}
            _ => return Err(format!("has an unknown option {option:?}")),
        }
    }
    Ok(HostVolume { host_path, container_path: absolute(container)?, read_only })
}

pub(super) fn tmpfs(text: &str) -> Result<Tmpfs, String> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let mut tmpfs = Tmpfs { path: absolute(path)?, ..Tmpfs::default() };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) => tmpfs.bytes = Some(bytes(size)?),
            ("mode", mode) => {
                let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
                tmpfs.mode = Some(mode.ok_or("has a mode that is not octal")?);
            }
            ("ro", _) => tmpfs.read_only = true,
            // What is always so, and what would loosen or tighten it: none of it is promised.
            ("rw" | "noexec" | "exec" | "nosuid" | "suid" | "nodev" | "dev" | "noatime" | "relatime", _) => {}
            _ => return Err(format!("has an unknown option {option:?}")),
        }
    }
    Ok(tmpfs)
}
