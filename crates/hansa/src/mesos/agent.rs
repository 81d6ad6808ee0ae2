//! An agent, from Mesos' flags.

use super::flags::Flags;
use super::listen;
use super::resources::{Said, attributes};
use crate::output;
use crate::serve::stop_signal;
use anyhow::{Context, anyhow};
use hansa_agent::Options;
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Where logins for registries are put that were not given as a file, in the work directory.
const LOGINS: &str = "docker-config.json";

/// Runs it until it is told to stop.
pub async fn run(flags: &Flags) -> anyhow::Result<()> {
    let mut options = options(flags).map_err(|why| anyhow!(why))?;
    if let Some(config) = flags.json("docker_config") {
        let path = options.data_dir.join(LOGINS);
        keep_logins(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        options.docker_config = Some(path);
    }
    hansa_agent::run(options, stop_signal()?).await
}

fn options(flags: &Flags) -> Result<Options, String> {
    let master = flags.text("master").ok_or("Missing required option `--master` or `--master_detector`")?;
    let work_dir = flags.text("work_dir").ok_or("Flag 'work_dir' is required, but it was not provided")?;
    let mut options = Options::new(master_url(master.trim())?, work_dir);
    options.listen = listen(flags, 5051)?;
    options.insecure = true;
    options.verbosity = Some(crate::logging::verbosity());
    options.hostname = flags.text("hostname").map(str::to_owned);
    let default_role = flags.text("default_role").unwrap_or("*");
    if flags.text("resources").is_some() || default_role != "*" {
        let wrong = |why| format!("Failed to determine agent resources: {why}");
        let mut said = Said::read(flags.text("resources").unwrap_or_default()).map_err(wrong)?;
        for warning in &said.warnings {
            output::note(&format!("warning: --resources: {warning}"));
        }
        let resources = said.on(hansa_agent::whole_machine(Path::new(work_dir)));
        said.keep_rest(default_role, &resources).map_err(wrong)?;
        options.resources = Some(resources);
        options.parts = said.parts;
    }
    options.attributes = attributes(flags.text("attributes").unwrap_or_default())?.into_iter().collect();
    if let Some(domain) = flags.json("domain") {
        let name = |kind: &str| domain["fault_domain"][kind]["name"].as_str().map(str::to_owned);
        (options.region, options.zone) = (name("region"), name("zone"));
        if options.region.is_none() || options.zone.is_none() {
            return Err(
                "Failed to load flag 'domain': it must name fault_domain.region.name and .zone.name".into()
            );
        }
    }
    // Mesos' agents let whoever reaches them start containers inside of others.
    options.allow_exec = true;
    for (name, option) in [
        ("gc_delay", &mut options.keep_sandboxes),
        ("executor_registration_timeout", &mut options.executor_registration_timeout),
        ("executor_reregistration_timeout", &mut options.executor_reregistration_timeout),
        ("executor_shutdown_grace_period", &mut options.executor_shutdown_grace),
        ("recovery_timeout", &mut options.recovery_timeout),
    ] {
        if let Some(ms) = flags.time_ms(name) {
            *option = Duration::from_millis(ms);
        }
    }
    Ok(options)
}

/// The master's address as agents of ours have it.
fn master_url(text: &str) -> Result<String, String> {
    if text.starts_with("zk://") {
        return Err(format!(
            "Failed to create a master detector for '{text}': Hansa needs no ZooKeeper; give the master's host:port"
        ));
    }
    let wrong = || format!("Failed to parse '{text}': a master is host:port");
    let address = text.strip_prefix("master@").unwrap_or(text);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5050"));
    if host.is_empty() || host.contains('/') {
        return Err(wrong());
    }
    let port: u16 = port.parse().map_err(|_| wrong())?;
    Ok(format!("http://{host}:{port}"))
}

fn keep_logins(path: &Path, config: &Value) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Taken away first: the mode is only that of a new file.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(config.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::{flags, tables};
    use std::os::unix::fs::PermissionsExt;

    fn read(words: &[&str]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        flags::load(&tables::agent(), &words, []).and_then(|flags| options(&flags))
    }

    #[test]
    fn flags_become_options() {
        let options = read(&[
            "--master=127.0.0.1:5050",
            "--work_dir=/w",
            "--ip=127.0.0.1",
            "--hostname=node1",
            "--resources=cpus:2;mem:512;disk:10;ports:[5-6];gpus:0",
            "--attributes=rack:r1",
            "--domain={\"fault_domain\":{\"region\":{\"name\":\"r\"},\"zone\":{\"name\":\"z\"}}}",
            "--gc_delay=2days",
            "--executor_shutdown_grace_period=7secs",
            "--containerizers=mesos,docker",
            "--no-systemd_enable_support",
        ])
        .unwrap();
        assert_eq!(options.master, "http://127.0.0.1:5050");
        assert_eq!(options.listen.to_string(), "127.0.0.1:5051");
        assert_eq!(options.resources.unwrap().to_string(), "cpus:2;mem:512;disk:10;ports:[5-6]");
        assert_eq!((options.region.as_deref(), options.zone.as_deref()), (Some("r"), Some("z")));
        assert_eq!(options.executor_shutdown_grace, Duration::from_secs(7));
        assert!(options.allow_exec);
        assert_eq!(options.attributes["rack"], "r1");
        assert_eq!(options.keep_sandboxes, Duration::from_secs(172_800));
    }

    #[test]
    fn what_mesos_asks_for_is_asked_for() {
        assert!(read(&["--work_dir=/w"]).unwrap_err().contains("`--master`"));
        assert!(read(&["--master=h:1"]).unwrap_err().contains("'work_dir' is required"));
        for wrong in ["--master=zk://h:2181/mesos", "--master=h:port", "--master=http://h:1", "--master="] {
            assert!(read(&["--work_dir=/w", wrong]).is_err(), "{wrong}");
        }
        assert!(read(&["--work_dir=/w", "--master=h:1", "--domain={}"]).is_err());
        assert!(read(&["--work_dir=/w", "--master=h:1", "--default_role=a b"]).is_err());
    }

    #[test]
    fn what_is_kept_for_roles_is_told_apart() {
        let parts = |words: &[&str]| {
            let words = [
                &["--work_dir=/w", "--master=h:1", "--resources=cpus:1;mem:1;disk:1;ports:[];cpus(db):1"],
                words,
            ];
            read(&words.concat()).unwrap().parts
        };
        assert_eq!(parts(&[]).len(), 1);
        assert_eq!(parts(&["--default_role=db"])[0].amount.cpus_milli, 2000);
        assert_eq!(parts(&["--default_role=web"]).len(), 2);
    }

    #[test]
    fn masters_are_hosts_with_ports() {
        assert_eq!(master_url("h").unwrap(), "http://h:5050");
        assert_eq!(master_url("master@10.0.0.1:5050").unwrap(), "http://10.0.0.1:5050");
    }

    #[test]
    fn logins_are_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("work").join(LOGINS);
        for _ in 0..2 {
            keep_logins(&path, &serde_json::json!({"auths": {}})).unwrap();
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"auths\":{}}");
    }
}
