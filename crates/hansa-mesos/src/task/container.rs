//! What a task finds around it.

use super::secret_source;
use crate::Invalid;
use crate::proto::v1;
use crate::proto::v1::container_info::docker_info::Network;
use crate::proto::v1::volume::source::Type as Source;
use hansa_model::container::{Engine, ImageSpec, NetworkSpec, Parameter, PortMapping, Volume};
use hansa_model::docker_run;
use hansa_model::resources::PortDemand;
use hansa_model::spec::TaskSpec;

/// Where volumes are that only have a name, on each machine.
const NAMED_VOLUMES: &str = "/var/lib/hansa-volumes/docker";

/// Adds a container to a spec whose demand is there already.
pub(super) fn read(spec: &mut TaskSpec, container: Option<&v1::ContainerInfo>) -> Result<(), Invalid> {
    let Some(container) = container else { return Ok(()) };
    let volume =
        |volume: &v1::Volume| volume_of(volume).map_err(|why| Invalid(format!("Invalid volume: {why}")));
    spec.container.volumes = container.volumes.iter().map(volume).collect::<Result<_, _>>()?;
    spec.container.tty = container.tty_info.is_some();
    if container.r#type == v1::container_info::Type::Docker as i32 {
        docker(spec, container)?;
    } else {
        mesos(spec, container)?;
    }
    let parameters = &mut spec.container.parameters;
    if let Some(hostname) = container.hostname.as_ref().filter(|hostname| !hostname.is_empty()) {
        parameters.push(Parameter { key: "hostname".into(), value: hostname.clone() });
    }
    if let Some(limits) = &container.rlimit_info {
        for limit in &limits.rlimits {
            parameters.push(rlimit(limit)?);
        }
    }
    docker_run::read(&*parameters).map_err(Invalid).map(drop)
}

fn docker(spec: &mut TaskSpec, container: &v1::ContainerInfo) -> Result<(), Invalid> {
    let docker = container.docker.as_ref();
    let docker = docker
        .ok_or_else(|| Invalid::new("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"))?;
    if docker.parameters.iter().any(|parameter| parameter.key == "name") {
        return Err(Invalid::new("Parameter in DockerInfo must not be 'name'"));
    }
    if docker.volume_driver.is_some() {
        return Err(Invalid::new("volume drivers of Docker are not supported"));
    }
    spec.container.engine = Engine::Docker;
    spec.container.image = Some(ImageSpec {
        reference: reference(&docker.image)?,
        force_pull: docker.force_pull_image(),
        pull_secret: None,
    });
    spec.container.privileged = docker.privileged();
    // The first that names a network is in the place of what is said of it; others are none that `docker run` has.
    let is_network = |one: &&v1::Parameter| ["net", "network"].contains(&one.key.as_str());
    let parameter = |one: &v1::Parameter| Parameter { key: one.key.clone(), value: one.value.clone() };
    let others = docker.parameters.iter().filter(|one| !is_network(one));
    spec.container.parameters = others.map(parameter).collect();
    let network = match docker.parameters.iter().find(is_network) {
        Some(said) => network(&said.value)?,
        None => docker.network(),
    };
    let mappings = docker.port_mappings.iter().map(Mapping::from);
    spec.network = match network {
        Network::Host => NetworkSpec::Host,
        Network::Bridge | Network::User => bridge(spec, mappings)?,
        Network::None if !docker.port_mappings.is_empty() => {
            return Err(Invalid::new(
                "Port mappings are only supported for bridge and user-defined networks",
            ));
        }
        Network::None => NetworkSpec::None,
    };
    Ok(())
}

/// What `docker run --network` says.
fn network(word: &str) -> Result<Network, Invalid> {
    match word {
        "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        "bridge" | "default" => Ok(Network::Bridge),
        other if other.starts_with("container:") => Err(Invalid(format!(
            "the network {other:?} of a parameter is not supported: use host, bridge or none"
        ))),
        // A network of the operator's own: each machine has one for all of them.
        _ => Ok(Network::User),
    }
}

fn mesos(spec: &mut TaskSpec, container: &v1::ContainerInfo) -> Result<(), Invalid> {
    spec.container.engine = Engine::Mesos;
    if let Some(image) = container.mesos.as_ref().and_then(|mesos| mesos.image.as_ref()) {
        spec.container.image = Some(image_of(image)?);
    }
    // Docker's containers never heeded it: clients send half of it there.
    if let Some(linux) = &container.linux_info {
        linux_info(&mut spec.container.parameters, linux)?;
    }
    // Without a name it is the machine's own.
    let named: Vec<&v1::NetworkInfo> = container
        .network_infos
        .iter()
        .filter(|info| info.name.as_ref().is_some_and(|name| !name.is_empty()))
        .collect();
    if !named.is_empty() {
        let mappings = named.iter().flat_map(|info| &info.port_mappings).map(Mapping::from);
        spec.network = bridge(spec, mappings)?;
    }
    Ok(())
}

/// What Mesos says of an image, in our words.
///
/// # Errors
/// It is of another type than DOCKER, or its name cannot be one.
pub fn image_of(image: &v1::Image) -> Result<ImageSpec, Invalid> {
    let docker = match (image.r#type == v1::image::Type::Docker as i32, &image.docker) {
        (true, Some(docker)) => docker,
        (true, None) => return Err(Invalid::new("'image.docker' must be set for an image of type DOCKER")),
        (false, _) => return Err(Invalid::new("images of type APPC are not supported: use DOCKER")),
    };
    Ok(ImageSpec {
        reference: reference(&docker.name)?,
        force_pull: !image.cached(),
        pull_secret: docker.config.as_ref().map(secret_source).transpose()?,
    })
}

fn reference(image: &str) -> Result<String, Invalid> {
    if image.is_empty() || image.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(Invalid::new("the name of the image is empty, or has blanks or control characters"));
    }
    Ok(image.to_owned())
}

/// A port mapping of either kind.
struct Mapping<'a> {
    host: u32,
    container: u32,
    protocol: Option<&'a str>,
}

impl<'a> From<&'a v1::container_info::docker_info::PortMapping> for Mapping<'a> {
    fn from(mapping: &'a v1::container_info::docker_info::PortMapping) -> Self {
        Self {
            host: mapping.host_port,
            container: mapping.container_port,
            protocol: mapping.protocol.as_deref(),
        }
    }
}

impl<'a> From<&'a v1::network_info::PortMapping> for Mapping<'a> {
    fn from(mapping: &'a v1::network_info::PortMapping) -> Self {
        Self {
            host: mapping.host_port,
            container: mapping.container_port,
            protocol: mapping.protocol.as_deref(),
        }
    }
}

/// An address of its own. Whatever the network is called: each machine has one for this.
fn bridge<'a>(spec: &TaskSpec, mappings: impl Iterator<Item = Mapping<'a>>) -> Result<NetworkSpec, Invalid> {
    let port = |number: u32| u16::try_from(number).map_err(|_| Invalid(format!("{number} is no port")));
    let mut read = Vec::new();
    for mapping in mappings {
        let host = port(mapping.host)?;
        let index = spec.demand.ports.iter().position(|port| *port == PortDemand::Exact(host));
        let index = index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            Invalid(format!(
                "the host port {host} of a port mapping is not among the 'ports' of its resources"
            ))
        })?;
        read.push(PortMapping {
            container_port: port(mapping.container)?,
            host_port: Some(index),
            protocol: protocol(mapping.protocol)?,
            name: None,
        });
    }
    Ok(NetworkSpec::Bridge { mappings: read })
}

fn protocol(name: Option<&str>) -> Result<String, Invalid> {
    let name = name.unwrap_or("tcp").to_ascii_lowercase();
    let known = name.split(',').all(|part| ["tcp", "udp"].contains(&part.trim()));
    if known {
        Ok(name)
    } else {
        Err(Invalid(format!("the protocol '{name}' of a port mapping is neither tcp nor udp")))
    }
}

fn volume_of(volume: &v1::Volume) -> Result<Volume, Invalid> {
    let given = [volume.host_path.is_some(), volume.image.is_some(), volume.source.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        return Err(Invalid::new("Only one of them should be set: 'host_path', 'image' and 'source'"));
    }
    let container_path = path(&volume.container_path, "container_path")?;
    if container_path.split('/').any(|part| part == "..") {
        return Err(Invalid::new("'container_path' must not have '..'"));
    }
    let read_only = volume.mode == v1::volume::Mode::Ro as i32;
    let host =
        |host_path: String| Volume::Host { container_path: container_path.clone(), host_path, read_only };
    if let Some(host_path) = &volume.host_path {
        return path(host_path, "host_path").map(host);
    }
    let Some(source) = &volume.source else {
        return Err(Invalid::new("images as volumes are not supported"));
    };
    match source.r#type() {
        Source::HostPath => {
            let from = source.host_path.as_ref();
            let from =
                from.ok_or_else(|| Invalid::new("'source.host_path' is not set for HOST_PATH volume"))?;
            if from
                .mount_propagation
                .as_ref()
                .is_some_and(|propagation| propagation.mode() == v1::mount_propagation::Mode::Bidirectional)
            {
                return Err(Invalid::new("the mount propagation BIDIRECTIONAL is not supported"));
            }
            path(&from.path, "source.host_path.path").map(host)
        }
        Source::SandboxPath => sandbox(source, container_path, read_only),
        Source::Secret => {
            let secret = source.secret.as_ref();
            let secret =
                secret.ok_or_else(|| Invalid::new("'source.secret' is not set for SECRET volume"))?;
            Ok(Volume::Secret { source: secret_source(secret)?, container_path })
        }
        Source::DockerVolume => docker_volume(source).map(host),
        Source::CsiVolume => Err(Invalid::new("volumes of storage plugins (CSI_VOLUME) are not supported")),
        Source::Unknown => Err(Invalid::new("'source.type' is unknown")),
    }
}

/// The machine's path of a volume of Docker: as with `docker run --volume`, a path is itself.
fn docker_volume(source: &v1::volume::Source) -> Result<String, Invalid> {
    let volume = source.docker_volume.as_ref();
    let volume =
        volume.ok_or_else(|| Invalid::new("'source.docker_volume' is not set for DOCKER_VOLUME volume"))?;
    let driver = volume.driver.as_deref().unwrap_or_default();
    if !["", "local"].contains(&driver) {
        return Err(Invalid(format!("the volume driver '{driver}' is not supported: only local is")));
    }
    if volume.driver_options.as_ref().is_some_and(|options| !options.parameter.is_empty()) {
        return Err(Invalid::new("options of volume drivers are not supported"));
    }
    let name = &volume.name;
    if name.starts_with('/') {
        return path(name, "source.docker_volume.name");
    }
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if name.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && name.chars().all(usual) {
        Ok(format!("{NAMED_VOLUMES}/{name}"))
    } else {
        Err(Invalid(format!(
            "'{}' is no name of a volume: letters, digits, _ . and - are",
            name.escape_debug()
        )))
    }
}

/// A part of the own sandbox seen at another place, or of that of the executor around it.
fn sandbox(source: &v1::volume::Source, container_path: String, read_only: bool) -> Result<Volume, Invalid> {
    use v1::volume::source::sandbox_path::Type;
    let from = source.sandbox_path.as_ref();
    let from =
        from.ok_or_else(|| Invalid::new("'source.sandbox_path' is not set for SANDBOX_PATH volume"))?;
    let inside = path(&from.path, "source.sandbox_path.path")?;
    if inside.starts_with('/') || inside.split('/').any(|part| part == "..") {
        return Err(Invalid::new("'source.sandbox_path.path' must be a relative path without '..'"));
    }
    match from.r#type() {
        Type::Self_ => Ok(Volume::Host { container_path, host_path: inside, read_only }),
        Type::Parent => Ok(Volume::Parent { container_path, path: inside, read_only }),
        Type::Unknown => Err(Invalid::new("'source.sandbox_path.type' is neither SELF nor PARENT")),
    }
}

fn path(path: &str, name: &str) -> Result<String, Invalid> {
    if path.is_empty() || path.contains('\0') {
        return Err(Invalid(format!("'{name}' is empty or holds a zero byte")));
    }
    Ok(path.to_owned())
}

fn linux_info(parameters: &mut Vec<Parameter>, linux: &v1::LinuxInfo) -> Result<(), Invalid> {
    let mut push = |key: &str, value: String| parameters.push(Parameter { key: key.into(), value });
    if linux.share_pid_namespace() {
        return Err(Invalid::new("'linux_info.share_pid_namespace' is not supported"));
    }
    if linux.seccomp.as_ref().is_some_and(|seccomp| seccomp.profile_name.is_some() || seccomp.unconfined()) {
        return Err(Invalid::new("'linux_info.seccomp' is not supported: everybody has the same filter"));
    }
    let capabilities = [&linux.effective_capabilities, &linux.bounding_capabilities, &linux.capability_info];
    if let Some(capabilities) = capabilities.into_iter().flatten().next() {
        push("cap-drop", "ALL".into());
        for capability in &capabilities.capabilities {
            let known = v1::capability_info::Capability::try_from(*capability);
            let known = known.map_err(|_| Invalid(format!("there is no capability {capability}")))?;
            push("cap-add", known.as_str_name().to_owned());
        }
    }
    if let Some(mib) = linux.shm_size {
        push("shm-size", format!("{mib}m"));
    }
    Ok(())
}

fn rlimit(limit: &v1::r_limit_info::RLimit) -> Result<Parameter, Invalid> {
    let name = limit.r#type().as_str_name().strip_prefix("RLMT_").map(str::to_ascii_lowercase);
    let name = name.ok_or_else(|| Invalid::new("the type of a resource limit (RLimitInfo) is not known"))?;
    let text = |bound: Option<u64>| bound.map_or_else(|| "-1".to_owned(), |bound| bound.to_string());
    match (limit.soft, limit.hard) {
        (Some(_), None) | (None, Some(_)) => {
            Err(Invalid::new("of a resource limit (RLimitInfo) set both 'soft' and 'hard', or neither"))
        }
        (soft, hard) => {
            Ok(Parameter { key: "ulimit".into(), value: format!("{name}={}:{}", text(soft), text(hard)) })
        }
    }
}
