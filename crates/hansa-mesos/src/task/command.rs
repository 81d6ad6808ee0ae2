//! What is executed, its environment, its user, and what is fetched before.

use super::secret_value;
use crate::Invalid;
use crate::proto::v1;
use crate::proto::v1::environment::variable::Type;
use hansa_model::container::{Artifact, Engine, Parameter};
use hansa_model::framework::FrameworkInfo;
use hansa_model::spec::{Command, TaskSpec};
use std::collections::BTreeMap;

/// What fetchers of ours fetch.
const SCHEMES: [&str; 3] = ["http", "https", "file"];

/// Adds a command to a spec whose container is there already.
pub(super) fn read(
    spec: &mut TaskSpec,
    command: Option<&v1::CommandInfo>,
    container: Option<&v1::ContainerInfo>,
    framework: &FrameworkInfo,
) -> Result<(), Invalid> {
    let is_docker = container.is_some() && spec.container.engine == Engine::Docker;
    let own_user = command.and_then(|command| command.user.as_ref());
    // In Docker's containers it is the image that says who runs.
    let user = own_user.or(Some(&framework.user).filter(|_| !is_docker));
    spec.user = user.filter(|user| !user.is_empty()).cloned();
    let Some(command) = command else { return Ok(()) };
    spec.command = line(spec, command)?;
    spec.env = environment(command.environment.as_ref())?;
    spec.artifacts = command.uris.iter().map(artifact).collect::<Result<_, _>>()?;
    Ok(())
}

fn line(spec: &mut TaskSpec, command: &v1::CommandInfo) -> Result<Command, Invalid> {
    let texts = command.value.iter().chain(&command.arguments);
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(Invalid::new("the command holds a zero byte"));
    }
    let has_image = spec.container.image.is_some();
    let arguments = &command.arguments;
    match (command.shell(), &command.value) {
        (true, Some(line)) => Ok(Command::Shell(line.clone())),
        (true, None) => Err(Invalid::new("'value' must be set where 'shell' is (or its default is) true")),
        (false, None) if !has_image => {
            Err(Invalid::new("'value' must be set, as there is no image that says what to run"))
        }
        (false, None) => Ok(Command::Argv(arguments.clone())),
        (false, Some(program)) if has_image && spec.container.engine == Engine::Docker => {
            Ok(Command::Argv([std::slice::from_ref(program), arguments].concat()))
        }
        // Its first argument is what the program is called, which nobody but the program could tell.
        (false, Some(program)) if has_image => {
            spec.container.parameters.push(Parameter { key: "entrypoint".into(), value: program.clone() });
            Ok(Command::Argv(arguments.iter().skip(1).cloned().collect()))
        }
        (false, Some(program)) => {
            Ok(Command::Argv(std::iter::once(program).chain(arguments.iter().skip(1)).cloned().collect()))
        }
    }
}

/// Variables by name; of several of one name the last.
pub(super) fn environment(
    environment: Option<&v1::Environment>,
) -> Result<BTreeMap<String, String>, Invalid> {
    let mut read = BTreeMap::new();
    for variable in environment.map(|all| all.variables.as_slice()).unwrap_or_default() {
        let name = &variable.name;
        let value = value(variable).map_err(|why| Invalid(format!("Environment variable '{name}' {why}")))?;
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Invalid(format!(
                "Environment variable '{name}' has no name, '=' in its name, or a zero byte"
            )));
        }
        read.insert(name.clone(), value);
    }
    Ok(read)
}

fn value(variable: &v1::environment::Variable) -> Result<String, String> {
    match variable.r#type() {
        Type::Value if variable.secret.is_some() => Err("of type 'VALUE' must not have a secret set".into()),
        Type::Value => variable.value.clone().ok_or_else(|| "of type 'VALUE' must have a value set".into()),
        Type::Secret if variable.value.is_some() => Err("of type 'SECRET' must not have a value set".into()),
        Type::Secret => {
            let secret = variable.secret.as_ref().ok_or("of type 'SECRET' must have a secret set")?;
            let bytes = secret_value(secret).map_err(|why| format!("specifies an invalid secret: {why}"))?;
            String::from_utf8(bytes.to_vec()).map_err(|_| "specifies a secret that is no UTF-8".into())
        }
        Type::Unknown => Err("of type 'UNKNOWN' is not allowed".into()),
    }
}

fn artifact(uri: &v1::command_info::Uri) -> Result<Artifact, Invalid> {
    let text = &uri.value;
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let fetched = match &scheme {
        Some(scheme) => SCHEMES.contains(&scheme.as_str()),
        None => text.starts_with('/'),
    };
    if !fetched || text.chars().any(|letter| letter.is_control()) {
        return Err(Invalid(format!(
            "fetching '{}' is not supported: only http, https, file and absolute paths are",
            text.escape_debug()
        )));
    }
    if let Some(path) = &uri.output_file
        && (path.is_empty()
            || path.starts_with('/')
            || path.contains('\0')
            || path.split('/').any(|part| part == ".."))
    {
        return Err(Invalid(format!("the output file '{}' is not below the sandbox", path.escape_debug())));
    }
    Ok(Artifact {
        uri: text.clone(),
        extract: uri.extract(),
        executable: uri.executable(),
        cache: uri.cache(),
        dest_path: uri.output_file.clone(),
        sha256: None,
    })
}

/// A command as one line for a shell: checks of ours are such lines.
///
/// # Errors
/// It says nothing to run.
pub(super) fn shell_line(command: &v1::CommandInfo) -> Result<String, Invalid> {
    let Some(value) = &command.value else {
        let what = if command.shell() { "'shell command'" } else { "'executable path'" };
        return Err(Invalid(format!("must contain {what}")));
    };
    let mut line: String = environment(command.environment.as_ref())?
        .iter()
        .map(|(name, value)| format!("export {name}={}; ", quoted(value)))
        .collect();
    if command.shell() {
        line.push_str(value);
    } else {
        let words = std::iter::once(value).chain(command.arguments.iter().skip(1));
        line.push_str(&words.map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
    }
    if line.contains('\0') { Err(Invalid::new("the command holds a zero byte")) } else { Ok(line) }
}

/// One word for `sh`, whatever stands in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
