//! Which system calls a container may not make.
//!
//! As in Docker's default profile, a container without extra capabilities cannot touch the kernel's keys, modules, clock,
//! swap, quotas, mounts, namespaces, tracing of other machines' parts, or the newest interfaces that no filter has been
//! written for. Written as a list of what is denied among the calls known today; every number above the last known one
//! does not exist (`ENOSYS`), so that a newer kernel brings nothing new into a container unseen.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use std::collections::BTreeMap;

/// The highest system call that this list was made for (`file_setattr`, Linux 6.17). The numbers from 424 on are the same
/// on all architectures.
pub const LAST_KNOWN: u32 = 469;

/// Denied with `EPERM` whatever the arguments: what it is called, and its number. (`uprobe` and `uretprobe` are not here:
/// filters never see them, and outside of a probe the kernel refuses them itself.)
pub const DENIED: &[(&str, i64)] = &[
    ("acct", libc::SYS_acct),
    ("add_key", libc::SYS_add_key),
    ("bpf", libc::SYS_bpf),
    ("clock_adjtime", libc::SYS_clock_adjtime),
    ("clock_settime", libc::SYS_clock_settime),
    ("delete_module", libc::SYS_delete_module),
    ("fanotify_init", libc::SYS_fanotify_init),
    ("finit_module", libc::SYS_finit_module),
    ("fsconfig", 431),
    ("fsmount", 432),
    ("fsopen", 430),
    ("fspick", 433),
    ("get_mempolicy", libc::SYS_get_mempolicy),
    ("init_module", libc::SYS_init_module),
    ("io_uring_enter", 426),
    ("io_uring_register", 427),
    ("io_uring_setup", 425),
    ("kcmp", libc::SYS_kcmp),
    ("kexec_load", libc::SYS_kexec_load),
    ("keyctl", libc::SYS_keyctl),
    ("listmount", 458),
    ("lookup_dcookie", libc::SYS_lookup_dcookie),
    ("lsm_set_self_attr", 460),
    ("mbind", libc::SYS_mbind),
    ("migrate_pages", libc::SYS_migrate_pages),
    ("mount", libc::SYS_mount),
    ("mount_setattr", 442),
    ("move_mount", 429),
    ("move_pages", libc::SYS_move_pages),
    ("nfsservctl", libc::SYS_nfsservctl),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("open_tree", 428),
    ("open_tree_attr", 467),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("pidfd_getfd", 438),
    ("pivot_root", libc::SYS_pivot_root),
    ("process_madvise", 440),
    ("quotactl", libc::SYS_quotactl),
    ("quotactl_fd", 443),
    ("reboot", libc::SYS_reboot),
    ("request_key", libc::SYS_request_key),
    ("set_mempolicy", libc::SYS_set_mempolicy),
    ("set_mempolicy_home_node", 450),
    ("setdomainname", libc::SYS_setdomainname),
    ("sethostname", libc::SYS_sethostname),
    ("setns", libc::SYS_setns),
    ("settimeofday", libc::SYS_settimeofday),
    ("statmount", 457),
    ("swapoff", libc::SYS_swapoff),
    ("swapon", libc::SYS_swapon),
    ("syslog", libc::SYS_syslog),
    ("umount2", libc::SYS_umount2),
    ("unshare", libc::SYS_unshare),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("vhangup", libc::SYS_vhangup),
    #[cfg(target_arch = "x86_64")]
    ("_sysctl", libc::SYS__sysctl),
    #[cfg(target_arch = "x86_64")]
    ("create_module", 174),
    #[cfg(target_arch = "x86_64")]
    ("get_kernel_syms", 177),
    #[cfg(target_arch = "x86_64")]
    ("ioperm", libc::SYS_ioperm),
    #[cfg(target_arch = "x86_64")]
    ("iopl", libc::SYS_iopl),
    #[cfg(target_arch = "x86_64")]
    ("kexec_file_load", libc::SYS_kexec_file_load),
    #[cfg(target_arch = "aarch64")]
    ("kexec_file_load", 294),
    #[cfg(target_arch = "x86_64")]
    ("query_module", 178),
    #[cfg(target_arch = "x86_64")]
    ("sysfs", libc::SYS_sysfs),
    #[cfg(target_arch = "x86_64")]
    ("uselib", libc::SYS_uselib),
    #[cfg(target_arch = "x86_64")]
    ("ustat", libc::SYS_ustat),
];

/// The flags of `clone` that make a namespace, each denied.
pub const DENIED_CLONE_FLAGS: &[(&str, u64)] = &[
    ("CLONE_NEWNS", libc::CLONE_NEWNS as u64),
    ("CLONE_NEWCGROUP", libc::CLONE_NEWCGROUP as u64),
    ("CLONE_NEWUTS", libc::CLONE_NEWUTS as u64),
    ("CLONE_NEWIPC", libc::CLONE_NEWIPC as u64),
    ("CLONE_NEWUSER", libc::CLONE_NEWUSER as u64),
    ("CLONE_NEWPID", libc::CLONE_NEWPID as u64),
    ("CLONE_NEWNET", libc::CLONE_NEWNET as u64),
];

/// The personalities that remain: Linux, Linux 32 bit, each with or without UNAME26, and the question which it is.
pub const ALLOWED_PERSONALITIES: &[u64] = &[0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// `AF_VSOCK` would reach the hypervisor past every network policy.
const DENIED_SOCKET_FAMILY: u64 = libc::AF_VSOCK as u64;

/// `clone3`'s flags lie in memory, where no filter can look: it does not exist, and libraries then use `clone`.
const ABSENT: &[i64] = &[435];

/// Whether the kernel has filters.
pub(super) fn supported() -> bool {
    // SAFETY: no memory is passed. With filters it is the null pointer that is refused.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, std::ptr::null::<u8>()) };
    std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// What a capability that a container was given on purpose is good for: of no use while the calls are denied. As Docker
/// has it.
const ALLOWED_WITH: &[(&str, &[&str])] = &[
    ("SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("SYS_PACCT", &["acct"]),
    ("SYS_PTRACE", &["kcmp", "pidfd_getfd", "process_madvise"]),
    ("SYS_TIME", &["clock_adjtime", "clock_settime", "settimeofday"]),
    ("SYS_TTY_CONFIG", &["vhangup"]),
    ("SYSLOG", &["syslog"]),
];

/// Of these capabilities those for which the filters differ.
pub(super) fn significant(kept: u64) -> u64 {
    kept & super::capabilities::set(ALLOWED_WITH.iter().map(|(capability, _)| *capability))
}

/// The filters for a container that keeps these capabilities, to be installed in this order.
///
/// # Errors
/// The architecture is one that filters are not written for.
pub fn filters(kept: u64) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    let build = |rules, answer| -> Result<BpfProgram, seccompiler::Error> {
        Ok(SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(answer), arch)?.try_into()?)
    };
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|(_, number)| (*number, Vec::new())).collect();
    let given = ALLOWED_WITH.iter().filter(|(capability, _)| super::capabilities::holds(kept, capability));
    let allowed: Vec<&str> = given.flat_map(|(_, calls)| calls.iter().copied()).collect();
    for (_, number) in DENIED.iter().filter(|(name, _)| allowed.contains(name)) {
        denied.remove(number);
    }
    let with_flag = |(_, flag): &(&str, u64)| rule(&[(0, SeccompCmpOp::MaskedEq(*flag), *flag)]);
    denied.insert(libc::SYS_clone, DENIED_CLONE_FLAGS.iter().map(with_flag).collect::<Result<_, _>>()?);
    let other: Vec<_> = ALLOWED_PERSONALITIES.iter().map(|value| (0, SeccompCmpOp::Ne, *value)).collect();
    denied.insert(libc::SYS_personality, vec![rule(&other)?]);
    denied.insert(libc::SYS_socket, vec![rule(&[(0, SeccompCmpOp::Eq, DENIED_SOCKET_FAMILY)])?]);
    let absent = ABSENT.iter().map(|number| (*number, Vec::new())).collect();
    Ok(vec![build(denied, libc::EPERM as u32)?, build(absent, libc::ENOSYS as u32)?, beyond_known()])
}

fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::Error> {
    let condition = |(argument, operation, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operation.clone(), *value)
    };
    Ok(SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)?)
}

/// Everything above the last known number does not exist. That is also how the x32 ABI is closed, whose numbers have bit
/// 30 set; other ABIs (32 bit) end the process by the architecture check in the other filters.
fn beyond_known() -> BpfProgram {
    const LOAD_NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    const JUMP_IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    vec![
        LOAD_NUMBER,
        sock_filter { code: JUMP_IF_GREATER, jt: 0, jf: 1, k: LAST_KNOWN },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ]
}

/// Installs a filter for good. Without `no_new_privs` it needs the right to administer the machine.
pub(super) fn install(filter: &[sock_filter]) -> std::io::Result<()> {
    let length = u16::try_from(filter.len()).map_err(std::io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: the program's instructions have the kernel's layout, outlive the call and are only read.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program, 0, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_built_and_small_enough_for_the_kernel() {
        let filters = filters(super::super::capabilities::KEPT).unwrap();
        assert_eq!(filters.len(), 3);
        assert!(filters.iter().all(|filter| filter.len() < 4096));
    }

    #[test]
    fn a_capability_brings_the_calls_that_it_is_for() {
        let names: Vec<&str> = DENIED.iter().map(|(name, _)| *name).collect();
        for (capability, calls) in ALLOWED_WITH {
            assert!(!super::super::capabilities::holds(super::super::capabilities::KEPT, capability));
            assert!(calls.iter().all(|call| names.contains(call)), "{capability}");
        }
        let (usual, with_time) = (filters(0).unwrap(), filters(1 << 25).unwrap());
        assert!(with_time[0].len() < usual[0].len());
    }

    #[test]
    fn every_denied_call_is_named_once() {
        let numbers: std::collections::BTreeSet<i64> = DENIED.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers.len(), DENIED.len());
        assert!(numbers.iter().all(|number| *number <= i64::from(LAST_KNOWN)));
        let names: Vec<&str> = DENIED.iter().map(|(name, _)| *name).collect();
        for needed in ["mount", "setns", "unshare", "bpf", "keyctl", "io_uring_setup", "perf_event_open"] {
            assert!(names.contains(&needed), "{needed}");
        }
    }
}
