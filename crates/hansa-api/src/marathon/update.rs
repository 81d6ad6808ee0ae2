//! Changes of apps that exist, and of many at once: partial updates, full replacements, going back to a version.
//!
//! A partial update is laid over what GET shows for the app, field by field, and the whole is read again; so that an
//! update is held to the same rules as a new definition.

use super::app::{Defaults, Faults, read_app};
use super::path;
use super::problem::{Details, Problem};
use super::read::{Fields, item};
use super::render;
use hansa_model::app::AppSpec;
use hansa_model::{AppId, Timestamp};
use serde_json::Value;

/// What a PUT or PATCH asks of one app.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// `{"version": …}`: back to that version.
    Version(Timestamp),
    /// Only the given fields change.
    Partial(Value),
    /// The body is the whole definition.
    Whole(Value),
}

impl Update {
    /// Reads the body of a PUT or PATCH of one app. With `partial` off everything that the body does not say goes back
    /// to its default.
    pub fn read(json: Value, partial: bool) -> Result<Self, Problem> {
        Self::read_at(json, "", partial)
    }

    fn read_at(json: Value, at: &str, partial: bool) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let fields = Fields::of(&json, at, &mut faults.types);
        let version =
            fields.and_then(|fields| fields.text("version", &mut faults.types).map(|text| (fields, text)));
        // A full definition may carry the version that it was read with.
        if let Some((fields, text)) = version.filter(|_| partial) {
            if fields.names().any(|name| name != "version" && name != "id") {
                faults.rules.add(at, "The 'version' field may only be combined with the 'id' field.");
            }
            match text.parse() {
                Ok(version) => return faults.result(Some(Update::Version(version))),
                Err(_) => faults.types.add(fields.at("version"), "error.expected.date.isoformat"),
            }
        }
        faults.result(Some(()))?;
        Ok(if partial { Update::Partial(json) } else { Update::Whole(json) })
    }

    /// The definition that the update makes of `current`; None if the app does not exist. Not for [`Update::Version`],
    /// which is not a definition; it comes back unchanged as an error with the current one's problem.
    pub fn apply(
        &self,
        id: &AppId,
        current: Option<&AppSpec>,
        defaults: &Defaults,
    ) -> Result<AppSpec, Problem> {
        self.apply_at("", id, current, defaults)
    }

    fn apply_at(
        &self,
        at: &str,
        id: &AppId,
        current: Option<&AppSpec>,
        defaults: &Defaults,
    ) -> Result<AppSpec, Problem> {
        let mut faults = Faults::default();
        let spec = match (self, current) {
            (Update::Partial(patch), Some(current)) => {
                read_app(&overlay(current, patch), at, Some(id), defaults, &mut faults)
            }
            (Update::Partial(json) | Update::Whole(json), _) => {
                read_app(json, at, Some(id), defaults, &mut faults)
            }
            (Update::Version(version), _) => return Err(Problem::unknown_app(id, Some(*version))),
        };
        faults.result(spec)
    }
}

/// Lays a partial update over a definition and reads the result: `merge(current, patch)`.
pub fn merge(current: &AppSpec, patch: &Value, defaults: &Defaults) -> Result<AppSpec, Problem> {
    Update::Partial(patch.clone()).apply(&current.id, Some(current), defaults)
}

/// `current` as JSON with the fields of `patch` in place of its own; nulls change nothing.
fn overlay(current: &AppSpec, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut whole = render::app::definition(current);
    let gives = |name: &str| !patch.get(name).is_none_or(Value::is_null);
    // What an old spelling says takes the place of what the new one said before.
    let docker_network = patch.get("container").and_then(|container| container.get("docker")?.get("network"));
    if gives("ports") {
        whole.remove("portDefinitions");
    }
    if gives("ipAddress") {
        for name in ["networks", "portDefinitions", "container"] {
            whole.remove(name);
        }
    }
    if docker_network.is_some_and(|network| !network.is_null()) {
        whole.remove("networks");
    }
    if patch.get("uris").and_then(Value::as_array).is_some_and(|uris| !uris.is_empty()) {
        whole.remove("fetch");
    }
    for (name, value) in patch.iter().filter(|(_, value)| !value.is_null()) {
        whole.insert(name.clone(), value.clone());
    }
    // A limit is the request itself (others are refused), so it goes along when the request changes. Marathon forgets all
    // limits with every update that does not repeat them, which restarts apps that only wanted to be scaled.
    if let Some(Value::Object(limits)) = whole.get_mut("resourceLimits").filter(|_| !gives("resourceLimits"))
    {
        for (name, limit) in limits.iter_mut().filter(|(_, limit)| limit.is_number()) {
            if let Some(request) = patch.get(name).filter(|request| request.is_number()) {
                *limit = request.clone();
            }
        }
    }
    Value::Object(whole)
}

/// One app's part of a PUT or PATCH of many.
#[derive(Clone, Debug)]
pub struct UpdateOf {
    /// The app.
    pub id: AppId,
    /// What is asked of it.
    pub update: Update,
    /// Where it stands in the body, for messages.
    at: String,
}

impl UpdateOf {
    /// As [`Update::apply`].
    pub fn apply(&self, current: Option<&AppSpec>, defaults: &Defaults) -> Result<AppSpec, Problem> {
        self.update.apply_at(&self.at, &self.id, current, defaults)
    }
}

/// Reads the body of a PUT or PATCH of many apps: a list of updates, each with its `id`.
pub fn read_many(json: Value, partial: bool) -> Result<Vec<UpdateOf>, Problem> {
    let Value::Array(list) = json else {
        let mut types = Details::default();
        types.add("", "error.expected.jsarray");
        return Err(Problem::wrong_types(&types));
    };
    let mut updates: Vec<UpdateOf> = Vec::with_capacity(list.len());
    for (index, json) in list.into_iter().enumerate() {
        let at = item("", index);
        let mut faults = Faults::default();
        let id = Fields::of(&json, &at, &mut faults.types).and_then(|fields| {
            if fields.get("id").is_none() {
                faults.types.add(fields.at("id"), "error.path.missing");
            }
            let id = path::absolute(fields.text("id", &mut faults.types)?, "/");
            path::check(&id, &fields.at("id"), &mut faults.rules);
            if updates.iter().any(|other| other.id.as_str() == id) {
                faults.rules.add(fields.at("id"), format!("'{id}' is given more than once"));
            }
            Some(AppId::from(id))
        });
        let id = faults.result(id)?;
        let update = Update::read_at(json, &at, partial)?;
        updates.push(UpdateOf { id, update, at });
    }
    Ok(updates)
}
