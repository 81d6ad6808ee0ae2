//! Flags that only the agent has and that configure what Hansa does not have, or does by itself.

use crate::mesos::flags::{Flag, Kind};

const DOCKER: &str = "no Docker daemon is used: images are pulled and run by the agent itself";
const IMAGES: &str = "images are kept below --work_dir and collected by the agent itself";
const APPC: &str = "appc images are not supported";
const CGROUPS: &str = "the agent finds the machine's cgroups by itself";
const PERF: &str = "there is no perf isolator";
const PORT_MAPPER: &str = "there is no network/port_mapping isolator; containers have networks of their own";
const CNI: &str = "CNI is not supported: containers use the host's network or the agent's bridge";
const CSI: &str = "CSI and resource providers are not supported";
const PORTS: &str = "there is no network/ports isolator";
const DISK: &str = "disk is accounted, not limited";
const SECCOMP: &str = "the agent has no seccomp profiles of its own";
const CAPABILITIES: &str = "tasks that say nothing of capabilities get the usual ones";
const FETCHER: &str = "the fetcher keeps its cache below --work_dir and limits it itself";
const GC: &str = "sandboxes are collected by --gc_delay and by how full the disk is";
const OVERSUBSCRIPTION: &str = "revocable resources are not supported";
const LOGIN: &str = "agents have no login yet";
const SECRETS: &str = "secrets come from the agent's own directory of secrets";
const SOCKETS: &str = "executors speak with the agent over its port";
const CONTAINERS: &str = "containers that say nothing of it get the agent's own default";
const NAMES: &str = "network devices are found by the agent itself";

/// They.
pub const FLAGS: &[Flag] = &[
    Flag::moot("agent_features", Kind::Json, "the agent has all the features it has"),
    Flag::moot("agent_subsystems", Kind::Text, CGROUPS).or("slave_subsystems"),
    Flag::barred(
        "allowed_capabilities",
        Kind::Json,
        "use --effective_capabilities' default; a limit of them cannot be set yet",
    ),
    Flag::moot("allowed_devices", Kind::Json, "tasks see the devices that they ask for"),
    Flag::moot("appc_simple_discovery_uri_prefix", Kind::Text, APPC),
    Flag::moot("appc_store_dir", Kind::Text, APPC),
    Flag::barred("authenticate_http_executors", Kind::Switch, "executors have no login yet"),
    Flag::moot("authenticatee", Kind::Text, LOGIN),
    Flag::moot("authentication_backoff_factor", Kind::Time, LOGIN),
    Flag::moot("authentication_timeout_max", Kind::Time, LOGIN),
    Flag::moot("authentication_timeout_min", Kind::Time, LOGIN),
    Flag::moot("authorizer", Kind::Text, LOGIN),
    Flag::moot("bounding_capabilities", Kind::Json, CAPABILITIES),
    Flag::moot("cgroups_cpu_enable_pids_and_tids_count", Kind::Switch, CGROUPS),
    Flag::moot("cgroups_destroy_timeout", Kind::Time, CGROUPS),
    Flag::moot("cgroups_enable_cfs", Kind::Switch, CGROUPS),
    Flag::moot("cgroups_hierarchy", Kind::Text, CGROUPS),
    Flag::moot("cgroups_limit_swap", Kind::Switch, CGROUPS),
    Flag::moot("cgroups_net_cls_primary_handle", Kind::Text, CGROUPS),
    Flag::moot("cgroups_net_cls_secondary_handles", Kind::Text, CGROUPS),
    Flag::moot("cgroups_root", Kind::Text, CGROUPS),
    Flag::moot("check_agent_port_range_only", Kind::Switch, PORTS),
    Flag::moot("container_disk_watch_interval", Kind::Time, DISK),
    Flag::moot("container_logger", Kind::Text, "output goes to the sandbox's stdout and stderr"),
    Flag::moot("container_ports_isolated_range", Kind::Text, PORTS),
    Flag::moot("container_ports_watch_interval", Kind::Time, PORTS),
    Flag::moot("credential", Kind::Path, LOGIN),
    Flag::moot("csi_plugin_config_dir", Kind::Text, CSI),
    Flag::moot("default_container_dns", Kind::Json, CONTAINERS),
    Flag::moot("default_container_info", Kind::Json, CONTAINERS),
    Flag::moot("default_container_shm_size", Kind::Size, CONTAINERS),
    Flag::moot("disallow_sharing_agent_ipc_namespace", Kind::Switch, CONTAINERS),
    Flag::moot("disallow_sharing_agent_pid_namespace", Kind::Switch, CONTAINERS),
    Flag::moot("disk_profile_adaptor", Kind::Text, CSI),
    Flag::moot("disk_watch_interval", Kind::Time, GC),
    Flag::moot("docker", Kind::Text, DOCKER),
    Flag::moot("docker_ignore_runtime", Kind::Switch, DOCKER),
    Flag::moot("docker_kill_orphans", Kind::Switch, DOCKER),
    Flag::moot("docker_mesos_image", Kind::Text, DOCKER),
    Flag::moot("docker_registry", Kind::Text, "images without a registry in their name come from Docker Hub"),
    Flag::moot("docker_remove_delay", Kind::Time, DOCKER),
    Flag::moot("docker_socket", Kind::Text, DOCKER),
    Flag::moot(
        "docker_stop_timeout",
        Kind::Time,
        "tasks that say nothing of it get 3 seconds between SIGTERM and SIGKILL",
    ),
    Flag::moot("docker_store_dir", Kind::Text, IMAGES),
    Flag::moot("docker_volume_checkpoint_dir", Kind::Text, DOCKER),
    Flag::moot("docker_volume_chown", Kind::Switch, DOCKER),
    Flag::moot("domain_socket_location", Kind::Text, SOCKETS),
    Flag::moot("effective_capabilities", Kind::Json, CAPABILITIES),
    Flag::moot("egress_burst", Kind::Size, PORT_MAPPER),
    Flag::moot("egress_ceil_limit", Kind::Size, PORT_MAPPER),
    Flag::moot("egress_flow_classifier_parent", Kind::Text, PORT_MAPPER),
    Flag::moot("egress_rate_limit_per_container", Kind::Size, PORT_MAPPER),
    Flag::moot("egress_rate_per_cpu", Kind::Text, PORT_MAPPER),
    Flag::moot("egress_unique_flow_per_container", Kind::Switch, PORT_MAPPER),
    Flag::moot("enforce_container_disk_quota", Kind::Switch, DISK),
    Flag::moot("enforce_container_ports", Kind::Switch, PORTS),
    Flag::moot("ephemeral_ports_per_container", Kind::Count, PORT_MAPPER),
    Flag::moot("eth0_name", Kind::Text, NAMES),
    Flag::moot("fetcher_cache_dir", Kind::Text, FETCHER),
    Flag::moot("fetcher_cache_size", Kind::Size, FETCHER),
    Flag::moot("fetcher_stall_timeout", Kind::Time, FETCHER),
    Flag::moot("frameworks_home", Kind::Text, "relative paths of executors are below their sandboxes"),
    Flag::moot("gc_disk_headroom", Kind::Number, GC),
    Flag::moot("gc_non_executor_container_sandboxes", Kind::Switch, GC),
    Flag::moot("hadoop_home", Kind::Text, "artifacts come over http(s) and from files"),
    Flag::moot("host_path_volume_force_creation", Kind::Text, "directories that a volume needs are not made"),
    Flag::moot("http_credentials", Kind::Path, LOGIN),
    Flag::moot("http_executor_domain_sockets", Kind::Switch, SOCKETS),
    Flag::moot("http_heartbeat_interval", Kind::Time, "executors get a heartbeat every 30 minutes"),
    Flag::moot("image_gc_config", Kind::Json, IMAGES),
    Flag::moot("image_provisioner_backend", Kind::Text, IMAGES),
    Flag::moot("ingress_burst", Kind::Size, PORT_MAPPER),
    Flag::moot("ingress_ceil_limit", Kind::Size, PORT_MAPPER),
    Flag::moot("ingress_isolate_existing_containers", Kind::Switch, PORT_MAPPER),
    Flag::moot("ingress_rate_limit_per_container", Kind::Size, PORT_MAPPER),
    Flag::moot("ingress_rate_per_cpu", Kind::Text, PORT_MAPPER),
    Flag::moot("ip6", Kind::Text, "agents listen on one address; --ip may be one of IPv6"),
    Flag::moot("ip6_discovery_command", Kind::Text, "agents listen on one address; --ip may be one of IPv6"),
    Flag::moot("jwt_secret_key", Kind::Path, LOGIN).or("executor_secret_key"),
    Flag::moot("lo_name", Kind::Text, NAMES),
    Flag::moot("maximum_egress_rate_limit", Kind::Size, PORT_MAPPER),
    Flag::moot("maximum_ingress_rate_limit", Kind::Size, PORT_MAPPER),
    Flag::moot("minimum_egress_rate_limit", Kind::Size, PORT_MAPPER),
    Flag::moot("minimum_ingress_rate_limit", Kind::Size, PORT_MAPPER),
    Flag::moot("network_cni_config_dir", Kind::Text, CNI),
    Flag::moot("network_cni_metrics", Kind::Switch, CNI),
    Flag::moot("network_cni_plugins_dir", Kind::Text, CNI),
    Flag::moot("network_cni_root_dir_persist", Kind::Switch, CNI),
    Flag::moot("network_enable_rate_statistics", Kind::Switch, PORT_MAPPER),
    Flag::moot("network_enable_snmp_statistics", Kind::Switch, PORT_MAPPER),
    Flag::moot("network_enable_socket_statistics_details", Kind::Switch, PORT_MAPPER),
    Flag::moot("network_enable_socket_statistics_summary", Kind::Switch, PORT_MAPPER),
    Flag::moot("network_link_speed", Kind::Size, PORT_MAPPER),
    Flag::moot("network_rate_statistics_interval", Kind::Time, PORT_MAPPER),
    Flag::moot("network_rate_statistics_window", Kind::Time, PORT_MAPPER),
    Flag::moot("nvidia_gpu_devices", Kind::Text, "the machine's GPUs are found by the agent itself"),
    Flag::moot("oversubscribed_resources_interval", Kind::Time, OVERSUBSCRIPTION),
    Flag::moot("perf_duration", Kind::Time, PERF),
    Flag::moot("perf_events", Kind::Text, PERF),
    Flag::moot("perf_interval", Kind::Time, PERF),
    Flag::moot("qos_controller", Kind::Text, OVERSUBSCRIPTION),
    Flag::moot("qos_correction_interval_min", Kind::Time, OVERSUBSCRIPTION),
    Flag::moot("registration_backoff_factor", Kind::Time, "the agent looks for its master at its own pace"),
    Flag::moot("resource_estimator", Kind::Text, OVERSUBSCRIPTION),
    Flag::moot("resource_provider_config_dir", Kind::Text, CSI),
    Flag::moot("revocable_cpu_low_priority", Kind::Switch, OVERSUBSCRIPTION),
    Flag::moot(
        "sandbox_directory",
        Kind::Text,
        "containers with an image find their sandbox at /mnt/mesos/sandbox",
    ),
    Flag::moot("seccomp_config_dir", Kind::Text, SECCOMP),
    Flag::moot("seccomp_profile_name", Kind::Text, SECCOMP),
    Flag::moot("secret_resolver", Kind::Text, SECRETS),
    Flag::moot("volume_gid_range", Kind::Text, "volumes belong to the user of the task that first uses them"),
    Flag::moot("xfs_kill_containers", Kind::Switch, DISK),
    Flag::moot("xfs_project_range", Kind::Text, DISK),
    Flag::moot("xfs_quota_headroom", Kind::Size, DISK),
];
