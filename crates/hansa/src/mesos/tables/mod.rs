//! Every flag of Mesos 1.11's daemons, and what it does here.

mod agent;
mod agent_moot;
mod common;
mod master;

use super::flags::Flag;

/// The master's flags.
pub fn master() -> Vec<Flag> {
    [common::FLAGS, master::TAKEN, master::MOOT].concat()
}

/// The agent's flags.
pub fn agent() -> Vec<Flag> {
    [common::FLAGS, agent::FLAGS, agent_moot::FLAGS].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_flag_is_there_twice() {
        for table in [master(), agent()] {
            let names: Vec<&str> =
                table.iter().flat_map(|flag| [Some(flag.name), flag.alias]).flatten().collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
            for flag in &table {
                assert!(!flag.help.is_empty() && !flag.name.starts_with("no-"), "{}", flag.name);
            }
        }
    }

    /// Flags that unit files, test benches and clients of Mesos are known to give.
    #[test]
    fn what_is_given_everywhere_is_known() {
        let known = |table: Vec<Flag>, names: &str| {
            for name in names.split(' ') {
                assert!(table.iter().any(|flag| flag.name == name || flag.alias == Some(name)), "{name}");
            }
        };
        known(
            master(),
            "ip port work_dir zk quorum hostname advertise_ip advertise_port cluster registry roles weights \
             allocation_interval offer_timeout agent_ping_timeout max_agent_ping_timeouts agent_reregister_timeout \
             authenticate authenticate_frameworks authenticate_http_frameworks authenticate_agents credentials acls \
             log_dir logging_level quiet webui_dir slave_reregister_timeout min_allocatable_resources version help",
        );
        known(
            agent(),
            "ip port work_dir runtime_dir master hostname resources attributes containerizers isolation launcher \
             launcher_dir image_providers docker docker_registry docker_store_dir docker_config docker_socket gc_delay \
             executor_registration_timeout executor_shutdown_grace_period executor_environment_variables recover \
             strict systemd_enable_support switch_user domain default_role credential image_gc_config \
             network_cni_config_dir network_cni_plugins_dir cgroups_enable_cfs cgroups_root http_command_executor \
             docker_remove_delay reconfiguration_policy fetcher_cache_dir xfs_project_range log_dir logging_level",
        );
        assert!(agent().len() > 160 && master().len() > 75, "{} {}", agent().len(), master().len());
    }
}
