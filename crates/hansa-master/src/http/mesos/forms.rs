//! The older endpoints that change something: forms and JSON in, a status out.

use super::answers::{self, Query, Refused};
use super::changes::{Act, scalars_of};
use super::{Mesos, steward};
use crate::http::extract;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use hansa_mesos::codec::{self, Codec};
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::maintenance::Schedule;
use hansa_mesos::proto::v1::quota::QuotaRequest;
use serde_json::Value;

/// Bytes of a form or document.
const MAX_BODY: usize = 16 * 1024 * 1024;

async fn body(request: Request) -> Result<Bytes, Refused> {
    let bytes = extract::read(request.into_body(), MAX_BODY).await;
    bytes.map_err(|unread| Refused::new(unread.status(), unread.to_string()))
}

fn only(method: &Method, allowed: &'static str) -> Result<(), Refused> {
    match allowed.split(',').any(|name| name == method.as_str()) {
        true => Ok(()),
        false => Err(Refused::method(allowed, method)),
    }
}

async fn form(request: Request) -> Result<Query, Refused> {
    only(request.method(), "POST")?;
    let body = body(request).await?;
    Ok(Query::parse(&String::from_utf8_lossy(&body)))
}

fn field<'a>(form: &'a Query, name: &str) -> Result<&'a str, Refused> {
    form.get(name)
        .ok_or_else(|| Refused::bad(format!("Missing '{name}' query parameter in the request body")))
}

/// `/reserve`, `/unreserve`, `/create-volumes`, `/destroy-volumes`
pub(super) async fn act(mesos: &Mesos, act: Act, request: Request) -> Result<Response, Refused> {
    let form = form(request).await?;
    let agent = field(&form, "slaveId")?;
    let name = if matches!(act, Act::Reserve | Act::Unreserve) { "resources" } else { "volumes" };
    let resources: Vec<v1::Resource> =
        codec::decode_list(field(&form, name)?.as_bytes()).map_err(|error| {
            Refused::bad(format!("Error in parsing '{name}' parameter in the request body: {error}"))
        })?;
    mesos.act(agent, act, &resources).await?;
    Ok(answers::empty(StatusCode::ACCEPTED))
}

/// `/teardown`
pub(super) async fn teardown(mesos: &Mesos, request: Request) -> Result<Response, Refused> {
    let form = form(request).await?;
    mesos.teardown(field(&form, "frameworkId")?).await?;
    Ok(answers::empty(StatusCode::OK))
}

/// `/quota`
pub(super) async fn quota(mesos: &Mesos, role: &str, request: Request) -> Result<Response, Refused> {
    only(request.method(), "GET,HEAD,POST,DELETE")?;
    match *request.method() {
        Method::POST => {
            let asked: QuotaRequest = document(&body(request).await?)?;
            let name = asked.role.unwrap_or_default();
            let guarantee = scalars_of(&asked.guarantee)?;
            // In this form what is guaranteed is all that there is.
            let quota = (name, guarantee.clone(), guarantee);
            mesos.set_quota(asked.force.unwrap_or(false), &[quota]).await?;
            Ok(answers::empty(StatusCode::OK))
        }
        Method::DELETE => {
            if role.is_empty() {
                return Err(Refused::bad("Failed to parse remove quota request: expecting /quota/<role>"));
            }
            let role = answers::unescaped(role);
            mesos.set_quota(true, &[(role, Default::default(), Default::default())]).await?;
            Ok(answers::empty(StatusCode::OK))
        }
        _ => Ok(answers::json(&codec::to_value(&mesos.quota()))),
    }
}

/// `/weights`
pub(super) async fn weights(mesos: &Mesos, request: Request) -> Result<Response, Refused> {
    only(request.method(), "GET,HEAD,PUT")?;
    if request.method() == Method::PUT {
        let weights: Vec<v1::WeightInfo> = codec::decode_list(&body(request).await?)
            .map_err(|error| Refused::bad(format!("Failed to parse update weights request: {error}")))?;
        mesos.set_weights(&weights).await?;
        return Ok(answers::empty(StatusCode::OK));
    }
    Ok(answers::json(&mesos.weights().iter().map(codec::to_value).collect::<Vec<Value>>()))
}

/// `/maintenance/schedule`
pub(super) async fn schedule(mesos: &Mesos, request: Request) -> Result<Response, Refused> {
    only(request.method(), "GET,HEAD,POST")?;
    if request.method() == Method::POST {
        let schedule: Schedule = document(&body(request).await?)?;
        mesos.steward.set_schedule(&schedule).await?;
        return Ok(answers::empty(StatusCode::OK));
    }
    Ok(answers::json(&codec::to_value(&steward::schedule(&mesos.steward.said()))))
}

/// `/maintenance/status`
pub(super) fn status(mesos: &Mesos, request: &Request) -> Result<Response, Refused> {
    only(request.method(), "GET,HEAD")?;
    Ok(answers::json(&codec::to_value(&steward::status(&mesos.steward.said()))))
}

/// `/machine/down` and `/machine/up`
pub(super) async fn machines(mesos: &Mesos, down: bool, request: Request) -> Result<Response, Refused> {
    only(request.method(), "POST")?;
    let machines: Vec<v1::MachineId> =
        codec::decode_list(&body(request).await?).map_err(|error| Refused::bad(error.to_string()))?;
    match down {
        true => mesos.steward.down(&machines).await?,
        false => mesos.steward.up(&machines).await?,
    }
    Ok(answers::empty(StatusCode::OK))
}

fn document<M: prost::Message + prost::Name + Default>(bytes: &[u8]) -> Result<M, Refused> {
    codec::decode(Codec::Json, bytes).map_err(|error| Refused::bad(error.to_string()))
}
