//! `hansa app run`: makes services be what a file in Marathon's JSON says, new or not.

use crate::commands::app::one_liner::ImageArgs;
use crate::context::{Context, app_path};
use crate::failure::{Exit, Failure};
use crate::follow::{Goal, Started, Wait};
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use std::io::Read;

/// Runs services as a file describes them, or one from an image
///
/// The file holds Marathon's JSON unchanged: one app, or an array of apps that go together in one deployment. A service
/// that exists becomes what the file says; what the file leaves out gets its default. Without a file:
/// hansa app run --image nginx:1 --port 80
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The file; `-` reads stdin
    #[arg(required_unless_present = "image", conflicts_with = "image")]
    pub file: Option<String>,
    #[command(flatten)]
    pub image: ImageArgs,
    /// Cancel deployments that are in the way
    #[arg(long)]
    pub force: bool,
    /// Refuse if a service exists already
    #[arg(long)]
    pub create: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// The apps of a file, each with its path.
#[derive(Clone, Debug, PartialEq)]
pub struct Definitions {
    /// Their absolute paths.
    pub ids: Vec<String>,
    /// As they stood in the file.
    pub body: Value,
}

/// Does it.
pub async fn run(args: &RunArgs, context: &Context) -> Result<(), Failure> {
    let definitions = match (&args.file, &args.image.image) {
        (Some(file), _) => parse(&read(file)?).map_err(|failure| failure.at(place(file)))?,
        (None, Some(image)) => {
            let body = args.image.definition(image)?;
            Definitions { ids: vec![app_path(body["id"].as_str().unwrap_or_default())], body }
        }
        (None, None) => return Err(Failure::new(Exit::Usage, "neither a file nor an --image is given")),
    };
    let force = if args.force { "true" } else { "false" };
    let started: Started = if args.create {
        create(context, &definitions, force).await?
    } else {
        let path = match &definitions.body {
            Value::Array(_) => "/v2/apps".to_owned(),
            _ => format!("/v2/apps{}", definitions.ids[0]),
        };
        let query = [("force", force), ("partialUpdate", "false")];
        context.client.call(Method::PUT, &path, &query, Some(&definitions.body)).await?
    };
    context.follow(started, definitions.ids, Goal::Version, &args.wait).await
}

async fn create(context: &Context, definitions: &Definitions, force: &str) -> Result<Started, Failure> {
    if definitions.body.is_array() {
        return Err(Failure::new(Exit::Usage, "--create takes a single app, not an array"));
    }
    let app: Value =
        context.client.call(Method::POST, "/v2/apps", &[("force", force)], Some(&definitions.body)).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Started { version: text(&app["version"]), deployment_id: text(&app["deployments"][0]["id"]) })
}

fn place(file: &str) -> &str {
    if file == "-" { "stdin" } else { file }
}

/// The text of a file, or of stdin for `-`.
pub fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let result = match file {
        "-" => std::io::stdin().read_to_string(&mut text),
        file => std::fs::File::open(file).and_then(|mut open| open.read_to_string(&mut text)),
    };
    match result {
        Ok(_) => Ok(text),
        Err(error) => {
            Err(Failure::new(Exit::Usage, format!("cannot read the file: {error}")).at(place(file)))
        }
    }
}

/// Reads Marathon's JSON: an app, an array of apps, or (as `GET /v2/apps` writes them) an object with `apps`.
pub fn parse(text: &str) -> Result<Definitions, Failure> {
    let wrong = |cause: String| Failure::new(Exit::Usage, cause);
    let mut body: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("this is not JSON: {error}")))?;
    if body.get("id").is_none() && body["apps"].is_array() {
        if body["groups"].as_array().is_some_and(|groups| !groups.is_empty()) {
            return Err(wrong("nested groups are not supported yet".into()));
        }
        body = body["apps"].take();
    }
    let id = |app: &Value| match app["id"].as_str() {
        Some(id) if !id.trim_matches('/').is_empty() => Ok(app_path(id)),
        _ => Err(wrong("an app needs an \"id\" such as \"/web\"".into())),
    };
    let ids = match &body {
        Value::Array(apps) if apps.is_empty() => Err(wrong("there is no app in it".into())),
        Value::Array(apps) => apps.iter().map(id).collect(),
        Value::Object(_) => id(&body).map(|id| vec![id]),
        _ => Err(wrong("an app is a JSON object".into())),
    }?;
    Ok(Definitions { ids, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marathons_json_is_taken_unchanged() {
        let one = parse(r#"{"id":"web","cmd":"sleep 1","unknown":[1]}"#).unwrap();
        assert_eq!(
            (one.ids.as_slice(), one.body["unknown"][0].as_u64()),
            (["/web".to_owned()].as_slice(), Some(1))
        );
        let two = parse(r#"[{"id":"/a"},{"id":"/b/c"}]"#).unwrap();
        assert_eq!(two.ids, ["/a", "/b/c"]);
        assert!(two.body.is_array());
        assert_eq!(parse(r#"{"apps":[{"id":"/a"}]}"#).unwrap().ids, ["/a"]);
    }

    #[test]
    fn what_is_no_app_is_refused_before_anything_is_sent() {
        for (text, cause) in [
            ("{", "this is not JSON: EOF while parsing an object at line 1 column 1"),
            ("[]", "there is no app in it"),
            ("3", "an app is a JSON object"),
            (r#"{"cmd":"x"}"#, "an app needs an \"id\" such as \"/web\""),
            (r#"[{"id":"/a"},{"id":"/"}]"#, "an app needs an \"id\" such as \"/web\""),
        ] {
            let failure = parse(text).unwrap_err();
            assert_eq!((failure.exit, failure.cause.as_str()), (Exit::Usage, cause));
        }
    }
}
