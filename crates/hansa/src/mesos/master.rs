//! A master, from Mesos' flags.

use super::flags::Flags;
use super::listen;
use super::resources::Said;
use crate::serve::stop_signal;
use anyhow::anyhow;
use hansa_master::Options;
use std::collections::BTreeMap;

/// Mesos' own: how often an agent is pinged, in milliseconds …
const PING_MS: u64 = 15_000;

/// … and how many pings it may miss.
const PINGS: u64 = 5;

/// Runs it until it is told to stop.
pub async fn run(flags: &Flags) -> anyhow::Result<()> {
    let (options, durable) = options(flags).map_err(|why| anyhow!(why))?;
    let stop = stop_signal()?;
    if durable {
        return hansa_master::run(options, stop).await;
    }
    hansa_master::run_in_memory(options, stop).await
}

/// The options, and whether anything is kept on disk.
fn options(flags: &Flags) -> Result<(Options, bool), String> {
    let durable = match (flags.text("registry"), flags.text("work_dir")) {
        (None | Some("replicated_log" | "log_storage"), Some(_)) => true,
        (None | Some("replicated_log" | "log_storage"), None) => {
            return Err("--work_dir needed for replicated log based registry".into());
        }
        (Some("in_memory"), _) => false,
        (Some(other), _) => {
            return Err(format!("'{other}' is not a supported option for registry persistence"));
        }
    };
    let mut options = Options::new(listen(flags, 5050)?, flags.text("work_dir").unwrap_or_default());
    // Mesos has no such switch: who names no address wants them all.
    options.insecure = true;
    options.verbosity = Some(crate::logging::verbosity());
    let ping = flags.time_ms("agent_ping_timeout").unwrap_or(PING_MS);
    let pings = flags.count("max_agent_ping_timeouts").unwrap_or(PINGS);
    if ping < 1_000 || pings == 0 {
        return Err(
            "--agent_ping_timeout must be at least 1secs, and --max_agent_ping_timeouts at least 1".into()
        );
    }
    options.unreachable_after_ms = ping.saturating_mul(pings);
    options.offer_timeout_ms = flags.time_ms("offer_timeout").unwrap_or(options.offer_timeout_ms).max(1);
    options.cluster_name = flags.text("cluster").map(str::to_owned);
    options.roles = flags.text("roles").map(|text| {
        text.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
    });
    options.weights = weights(flags.text("weights").unwrap_or_default())?;
    options.filter_gpus = flags.switch("filter_gpu_resources", true);
    if let Some(text) = flags.text("min_allocatable_resources") {
        let read = |part: &str| Said::read(part).map(|said| said.amount());
        let parts = text.split('|').filter(|part| !part.trim().is_empty());
        let least: Result<_, String> = parts.map(read).collect();
        options.min_allocatable =
            Some(least.map_err(|why| format!("Failed to load flag 'min_allocatable_resources': {why}"))?);
    }
    Ok((options, durable))
}

/// Reads `role=2.5,other=1`; thousandths.
fn weights(text: &str) -> Result<BTreeMap<String, u64>, String> {
    let mut read = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = || format!("Invalid 'role=weight' pair '{part}' in flag --weights");
        let (role, weight) = part.split_once('=').ok_or_else(wrong)?;
        let milli = (weight.trim().parse::<f64>().map_err(|_| wrong())? * 1_000.0).round();
        if role.trim().is_empty() || !(1.0..=1e9).contains(&milli) {
            return Err(wrong());
        }
        read.insert(role.trim().to_owned(), milli as u64);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::{flags, tables};

    fn read(words: &[&str]) -> Result<(Options, bool), String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        flags::load(&tables::master(), &words, []).and_then(|flags| options(&flags))
    }

    #[test]
    fn flags_become_options() {
        let (options, durable) = read(&["--ip=127.0.0.1", "--port=0", "--work_dir=/w"]).unwrap();
        assert_eq!(
            (options.data_dir.to_str(), options.unreachable_after_ms, durable),
            (Some("/w"), 75_000, true)
        );
        let words = [
            "--ip=127.0.0.1",
            "--work_dir=/w",
            "--agent_ping_timeout=2secs",
            "--max_slave_ping_timeouts=3",
            "--offer_timeout=5mins",
        ];
        let options = read(&words).unwrap().0;
        assert_eq!((options.unreachable_after_ms, options.offer_timeout_ms), (6_000, 300_000));
        assert!(!read(&["--ip=127.0.0.1", "--registry=in_memory"]).unwrap().1);
    }

    #[test]
    fn what_holds_for_all_offers_is_read() {
        let read = |word: &str| read(&["--registry=in_memory", word]).map(|(options, _)| options);
        let options = read("--weights=a=2.5, b/c=1").unwrap();
        assert_eq!((options.weights["a"], options.weights["b/c"]), (2_500, 1_000));
        for wrong in ["--weights=a", "--weights=a=none", "--weights=a=0", "--weights==1"] {
            assert!(read(wrong).unwrap_err().contains("role=weight"), "{wrong}");
        }
        assert_eq!(read("--roles=a, b").unwrap().roles.unwrap().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read("--cluster=blue").unwrap().cluster_name.as_deref(), Some("blue"));
        assert!(
            !read("--no-filter_gpu_resources").unwrap().filter_gpus
                && read("--cluster=x").unwrap().filter_gpus
        );
        let least =
            read("--min_allocatable_resources=cpus:1;mem:64|disk:1").unwrap().min_allocatable.unwrap();
        assert_eq!((least.len(), least[0].cpus_milli, least[0].mem), (2, 1_000, 64 << 20));
        assert_eq!(read("--min_allocatable_resources=").unwrap().min_allocatable, Some(Vec::new()));
        assert!(read("--min_allocatable_resources=cpus:many").is_err());
    }

    #[test]
    fn what_mesos_asks_for_is_asked_for() {
        assert_eq!(read(&[]).unwrap_err(), "--work_dir needed for replicated log based registry");
        assert!(read(&["--registry=paper", "--work_dir=/w"]).unwrap_err().contains("'paper'"));
        assert!(read(&["--work_dir=/w", "--agent_ping_timeout=1ms"]).is_err());
    }
}
