//! `hansa master` and `hansa agent`: settings turned into options, signals into a stop, and nothing else.

use crate::config::{AgentArgs, MasterArgs};
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::mesos::resources::Said;
use hansa_master::options::Origin;
use hansa_model::Resources;
use hansa_model::framework::Part;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves with the first SIGTERM or SIGINT from now on.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Reads an address; a name such as `localhost` is looked up.
pub fn address(text: &str, default_port: u16) -> Result<SocketAddr, Failure> {
    use std::net::ToSocketAddrs;
    let wrong = |why: String| {
        Failure::new(Exit::Usage, format!("'{text}' is not an address to listen on: {why}"))
            .remedy(format!("--listen 127.0.0.1:{default_port}"))
    };
    let with_port = match text.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => text.to_owned(),
        _ => format!("{text}:{default_port}"),
    };
    with_port
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?
        .next()
        .ok_or_else(|| wrong("the name has no address".into()))
}

/// Reads attributes as Mesos writes them: `rack:r1;ssd:yes`.
pub fn attributes(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => {
                found.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => {
                return Err(Failure::new(Exit::Usage, format!("'{part}' is not an attribute"))
                    .remedy("--attributes 'rack:r1;ssd:yes'"));
            }
        }
    }
    Ok(found)
}

/// Reads the origins of web pages.
pub fn origins(texts: &[String]) -> Result<Vec<Origin>, Failure> {
    let read = |text: &String| {
        text.parse().map_err(|error| Failure::new(Exit::Usage, format!("--cors-origin: {error}")))
    };
    texts.iter().map(read).collect()
}

/// Runs a master until it is told to stop.
pub async fn master(args: MasterArgs) -> Result<(), Failure> {
    logging::start(logging::FILTER);
    let listen = address(args.listen.as_deref().unwrap_or("127.0.0.1:8080"), 8080)?;
    let data_dir = args.data_dir.unwrap_or_else(|| PathBuf::from("/var/lib/hansa/master"));
    let mut options = hansa_master::Options::new(listen, data_dir);
    options.verbosity = Some(logging::verbosity());
    options.insecure = args.insecure.unwrap_or(options.insecure);
    options.max_running_deployments = args.max_running_deployments.unwrap_or(options.max_running_deployments);
    if let Some(crate::config::Span(span)) = args.progress_deadline {
        options.progress_deadline_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    }
    options.cors_origins = origins(args.cors_origin.as_deref().unwrap_or_default())?;
    hansa_master::run(options, stop_signal()?).await?;
    Ok(())
}

/// Runs an agent until it is told to stop.
pub async fn agent(args: AgentArgs, master: &str) -> Result<(), Failure> {
    logging::start(logging::FILTER);
    let drains = args.drain_on_stop == Some(true);
    let options = agent_options(args, master)?;
    let stop = stop_signal()?;
    if !drains {
        return Ok(hansa_agent::run(options, stop).await?);
    }
    let drain = Drain::new(master, &options.data_dir)?;
    let stop = async {
        tokio::pin!(stop);
        tokio::select! {
            () = &mut stop => {}
            () = drain.undo() => stop.await,
        }
        drain.empty().await;
    };
    hansa_agent::run(options, stop).await?;
    drain.end().await;
    Ok(())
}

fn agent_options(args: AgentArgs, master: &str) -> Result<hansa_agent::Options, Failure> {
    let data_dir = args.data_dir.unwrap_or_else(|| PathBuf::from("/var/lib/hansa/agent"));
    let mut options = hansa_agent::Options::new(master, data_dir);
    options.verbosity = Some(logging::verbosity());
    options.hostname = args.hostname;
    if let Some(listen) = args.listen {
        options.listen = address(&listen, 5051)?;
    }
    if let Some(text) = args.resources {
        (options.resources, options.parts) = resources(&text)?;
    }
    options.attributes = attributes(args.attributes.as_deref().unwrap_or_default())?.into_iter().collect();
    options.region = args.region;
    options.zone = args.zone;
    if let Some(text) = args.bridge_subnet {
        let wrong = |error| Failure::new(Exit::Usage, format!("--bridge-subnet: {error}"));
        options.bridge_subnet = Some(text.parse::<hansa_agent::network::Subnet>().map_err(wrong)?);
    }
    options.stop_deadline = args.stop_deadline.map(|span| span.0);
    options.secrets_dir = args.secrets_dir;
    options.allow_exec = args.allow_exec.unwrap_or(false);
    options.insecure = args.insecure.unwrap_or(options.insecure);
    options.docker_config = args.docker_config;
    options.insecure_registries = args.insecure_registry.unwrap_or_default().into_iter().collect();
    options.ca_files = args.ca_file.unwrap_or_default();
    options.pull_timeout = args.pull_timeout.map_or(options.pull_timeout, |span| span.0);
    options.images_high_percent = args.images_high.unwrap_or(options.images_high_percent);
    options.images_low_percent = args.images_low.unwrap_or(options.images_low_percent);
    Ok(options)
}

/// What an agent offers, and what of that is kept for roles or is on disks of their own. What is not named is not offered.
fn resources(text: &str) -> Result<(Option<Resources>, Vec<Part>), Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("--resources: {why}"));
    if !text.contains('(') && !text.trim_start().starts_with('[') {
        let plain = |error| Failure::new(Exit::Usage, format!("{error}"));
        return Ok((Some(text.parse::<Resources>().map_err(plain)?), Vec::new()));
    }
    let said = Said::read(text).map_err(wrong)?;
    match said.warnings.first() {
        Some(warning) => Err(wrong(warning.clone())),
        None => Ok((Some(said.on(Resources::default())), said.parts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_lack_a_port() {
        assert_eq!(address("127.0.0.1:81", 80).unwrap().to_string(), "127.0.0.1:81");
        assert_eq!(address("127.0.0.1", 80).unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("[::1]:0", 80).unwrap().to_string(), "[::1]:0");
        assert_eq!(address("127.0.0.1:x", 80).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn resources_may_be_kept_for_roles() {
        let (all, parts) = resources("cpus:2;cpus(db):1").unwrap();
        assert_eq!((all.unwrap().to_string(), parts.len()), ("cpus:3;mem:0;disk:0".into(), 1));
        let (all, parts) = resources("cpus:2;ports:[5-6,9]").unwrap();
        assert_eq!((all.unwrap().ports.len(), parts.len()), (3, 0));
        for wrong in ["cpus", "widgets(db):1", "[{}]"] {
            assert_eq!(resources(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn origins_are_named_one_by_one() {
        let read = |texts: &[&str]| origins(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["https://a.example", "http://b:3000/"]).unwrap()[1].as_str(), "http://b:3000");
        let failure = read(&["https://a.example", "*"]).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.cause.contains("--cors-origin"), "{failure}");
    }

    #[test]
    fn attributes_are_pairs() {
        let pairs = attributes("rack:r1; url:http://x ;").unwrap();
        assert_eq!(pairs, [("rack".into(), "r1".into()), ("url".into(), "http://x".into())]);
        assert!(attributes("rack").is_err() && attributes(":r1").is_err());
    }
}
