//! `hansa app run --image …`: a definition from flags, for people who never saw Marathon's JSON.

use crate::context::{app_path, path_part};
use crate::failure::{Exit, Failure};
use clap::Args;
use serde_json::{Map, Value, json};

/// A service from an image, said in flags.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "A service from an image, without a file")]
pub struct ImageArgs {
    /// The image, such as `nginx:1`; a COMMAND after `--` takes the place of its own
    #[arg(long)]
    pub image: Option<String>,
    /// The service's path [default: the image's name]
    #[arg(long, requires = "image")]
    pub name: Option<String>,
    /// A port that the container listens on, as `80` (any port of the machine leads to it), `8080:80` or `53/udp`; can be
    /// given several times. The service counts as healthy once its TCP ports accept connections
    #[arg(long = "port", value_name = "PORT", requires = "image")]
    pub ports: Vec<String>,
    /// How many instances
    #[arg(long, default_value_t = 1, requires = "image")]
    pub instances: u32,
    /// CPUs of each
    #[arg(long, default_value_t = 0.1, requires = "image")]
    pub cpus: f64,
    /// Memory of each, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128.0, requires = "image")]
    pub mem: f64,
    /// Environment; can be given several times
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", requires = "image")]
    pub env: Vec<String>,
    /// A file or folder of the machine, as `/host/path:/container/path[:ro]`; can be given several times
    #[arg(long = "volume", value_name = "VOLUME", requires = "image")]
    pub volumes: Vec<String>,
    /// Ask the registry even where a machine has an image of that name
    #[arg(long, requires = "image")]
    pub pull: bool,
    /// The command and its arguments, after `--`
    #[arg(last = true, requires = "image")]
    pub command: Vec<String>,
}

impl ImageArgs {
    /// Marathon's JSON of the service.
    ///
    /// # Errors
    /// A flag's value is not what it should be.
    pub fn definition(&self, image: &str) -> Result<Value, Failure> {
        let mut mappings = Vec::new();
        let mut checks = Vec::new();
        for (index, port) in self.ports.iter().enumerate() {
            let mapping = port_mapping(port)?;
            if mapping["protocol"] == "tcp" {
                checks.push(json!({
                    "protocol": "MESOS_TCP", "portIndex": index, "gracePeriodSeconds": 60, "intervalSeconds": 2, "delaySeconds": 0,
                    "timeoutSeconds": 2, "maxConsecutiveFailures": 5,
                }));
            }
            mappings.push(mapping);
        }
        let env: Map<String, Value> = self
            .env
            .iter()
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), json!(value))),
                _ => Err(wrong(format!("--env '{pair}' is not NAME=VALUE"))),
            })
            .collect::<Result<_, _>>()?;
        let volumes = self.volumes.iter().map(|text| volume(text)).collect::<Result<Vec<_>, _>>()?;
        let mut app = json!({
            "id": self.name.clone().map_or_else(|| default_name(image), |name| app_path(&name)),
            "instances": self.instances,
            "cpus": self.cpus,
            "mem": self.mem,
            "env": env,
            "container": {
                "type": "DOCKER",
                "docker": {"image": image, "forcePullImage": self.pull},
                "portMappings": mappings,
                "volumes": volumes,
            },
            "networks": [{"mode": "container/bridge"}],
            "healthChecks": checks,
        });
        if !self.command.is_empty() {
            app["args"] = json!(self.command);
        }
        Ok(app)
    }
}

fn wrong(cause: String) -> Failure {
    Failure::new(Exit::Usage, cause)
}

/// `registry/team/My_App:1` runs as `/my-app`.
fn default_name(image: &str) -> String {
    let name = image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default();
    format!("/{}", path_part(name))
}

fn port_mapping(text: &str) -> Result<Value, Failure> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, container) = ports.split_once(':').unwrap_or(("0", ports));
    let read = |text: &str| text.parse::<u16>().ok();
    match (read(host), read(container).filter(|port| *port > 0), protocol) {
        (Some(host), Some(container), "tcp" | "udp") => {
            Ok(json!({"containerPort": container, "hostPort": host, "protocol": protocol}))
        }
        _ => Err(wrong(format!("--port '{text}' is not a port such as 80, 8080:80 or 53/udp"))),
    }
}

fn volume(text: &str) -> Result<Value, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, mode) = match parts.as_slice() {
        [host, container] | [host, container, "rw"] => (*host, *container, "RW"),
        [host, container, "ro"] => (*host, *container, "RO"),
        _ => return Err(wrong(format!("--volume '{text}' is not HOST:CONTAINER[:ro]"))),
    };
    if !container.starts_with('/') || host.is_empty() {
        return Err(wrong(format!("--volume '{text}': the container's path must be absolute")));
    }
    Ok(json!({"hostPath": host, "containerPath": container, "mode": mode}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_definition() {
        let args = ImageArgs {
            ports: vec!["80".into(), "5353:53/udp".into()],
            env: vec!["A=b=c".into()],
            volumes: vec!["/srv:/data:ro".into()],
            command: vec!["nginx".into(), "-g".into()],
            instances: 2,
            cpus: 0.1,
            mem: 64.0,
            ..ImageArgs::default()
        };
        let app = args.definition("registry:5000/team/My_App:1.2").unwrap();
        assert_eq!(
            (&app["id"], &app["args"], &app["env"]),
            (&json!("/my-app"), &json!(["nginx", "-g"]), &json!({"A": "b=c"}))
        );
        assert_eq!(
            app["container"]["portMappings"],
            json!([{"containerPort": 80, "hostPort": 0, "protocol": "tcp"},
                {"containerPort": 53, "hostPort": 5353, "protocol": "udp"}])
        );
        assert_eq!(app["healthChecks"].as_array().map(Vec::len), Some(1), "a check for tcp only");
        assert_eq!(app["container"]["volumes"][0]["mode"], "RO");
    }

    #[test]
    fn wrong_values_are_named() {
        for port in ["x", "0", "1:2:3", "80/icmp", "70000"] {
            let args = ImageArgs { ports: vec![port.into()], ..ImageArgs::default() };
            assert!(args.definition("nginx").unwrap_err().cause.contains(port));
        }
        for volume in ["a", "a:b", ":/b", "/a:/b:rx"] {
            let args = ImageArgs { volumes: vec![volume.into()], ..ImageArgs::default() };
            assert!(args.definition("nginx").unwrap_err().cause.contains(volume));
        }
        assert_eq!(default_name("nginx@sha256:12"), "/nginx");
    }
}
