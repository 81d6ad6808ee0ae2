//! The scheduler API: `POST /api/v1/scheduler`. Checks come in the order in which Mesos makes them, since clients tell from
//! the status what is wrong with them. Whatever a call leads to is told as an event; the answer only says that it was
//! understood.

use super::about::Me;
use super::answers::{self, Refused, last};
use super::feed::Feed;
use super::{Mesos, negotiate};
use crate::SubmitError;
use crate::cell::{Failure, Refusal, Request as Ask};
use crate::engine::Event;
use crate::http::extract;
use crate::streams::Subscription;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use hansa_mesos::call::{self, Refusal as CallRefusal};
use hansa_mesos::codec::{self, Codec, MAX_MESSAGE_BYTES};
use hansa_mesos::proto::v1::scheduler::Call;
use hansa_mesos::proto::v1::scheduler::call::{Subscribe, Type};
use hansa_mesos::{event, recordio};
use hansa_model::framework::{FrameworkCall, FrameworkInfo};
use hansa_model::{FrameworkId, Principal};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The header that binds calls to a subscription.
const STREAM_ID: &str = "mesos-stream-id";

/// Reads the body of a call to one of the two v1 APIs: POST, of one of two media types, a message of that type.
pub(super) async fn read<M: prost::Message + prost::Name + Default>(
    request: Request,
) -> Result<(HeaderMap, M), Refused> {
    if request.method() != Method::POST {
        return Err(Refused::method("POST", request.method()));
    }
    let form = negotiate::of_body(request.headers())?;
    let (head, body) = request.into_parts();
    let bytes = extract::read(body, MAX_MESSAGE_BYTES).await;
    let bytes = bytes.map_err(|unread| Refused::new(unread.status(), unread.to_string()))?;
    let message = codec::decode(form, &bytes).map_err(|error| {
        Refused::bad(match form {
            Codec::Json => format!("Failed to parse body into JSON Call: {error}"),
            Codec::Protobuf => format!("Failed to parse body into Call protobuf: {error}"),
        })
    })?;
    Ok((head.headers, message))
}

/// Answers a call.
pub(super) async fn answer(mesos: &Mesos, me: Me, request: Request) -> Result<Response, Refused> {
    let (headers, call): (_, Call) = read(request).await?;
    call::check(&call, None)
        .map_err(|error| Refused::bad(format!("Failed to validate scheduler::Call: {error}")))?;
    match &call.subscribe {
        Some(subscription) if call.r#type() == Type::Subscribe => {
            let form = negotiate::of_answer(&headers)?;
            if headers.contains_key(STREAM_ID) {
                let words = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
                return Err(Refused::bad(words));
            }
            subscribe(mesos, me, subscription, form).await
        }
        _ => {
            let known = subscribed(mesos, call::id_of(&call), &headers)?;
            other(mesos, &call, &known).await
        }
    }
}

/// The subscription that a call belongs to.
fn subscribed(mesos: &Mesos, id: &str, headers: &HeaderMap) -> Result<Subscription, Refused> {
    let id = FrameworkId::from(id);
    let Some(known) = mesos.master.inner().directory.of(&id) else {
        return Err(match mesos.master.read().framework(id.as_str()) {
            Some(_) => Refused::new(StatusCode::FORBIDDEN, "Framework is not subscribed"),
            None => Refused::bad("Framework cannot be found"),
        });
    };
    match last(headers, STREAM_ID) {
        None => Err(Refused::bad("All non-subscribe calls should include the 'Mesos-Stream-Id' header")),
        Some(key) if key != &*known.key => Err(Refused::bad(format!(
            "The stream ID '{key}' included in this request didn't match the stream ID currently associated with \
             framework ID {id}"
        ))),
        Some(_) => Ok(known),
    }
}

async fn other(mesos: &Mesos, asked: &Call, known: &Subscription) -> Result<Response, Refused> {
    let call = match call::read(asked, &known.info) {
        Ok(call) => call,
        Err(CallRefusal::Invalid(invalid)) => return Err(Refused::bad(invalid.to_string())),
        Err(CallRefusal::Unsupported(what)) => return Err(Refused::unsupported(what)),
    };
    mesos.spoken.called(&known.info.id, asked);
    match call {
        None => Ok(answers::empty(StatusCode::ACCEPTED)),
        Some(FrameworkCall::UpdateInfo { info, suppressed, constraints }) => {
            let updated = Arc::new(info.as_ref().clone());
            let call = FrameworkCall::UpdateInfo { info, suppressed, constraints };
            let request = Ask::Framework { framework: Some(updated.id.clone()), call: Box::new(call) };
            mesos.master.submit(principal(&known.info), request).await.map_err(refused)?;
            mesos.master.inner().directory.update(updated);
            Ok(answers::empty(StatusCode::OK))
        }
        Some(call) => {
            tell(mesos, Some(known.info.id.clone()), principal(&known.info), call).await?;
            Ok(answers::empty(StatusCode::ACCEPTED))
        }
    }
}

/// Gives a call to the loop, which waits for none of what comes of it.
async fn tell(
    mesos: &Mesos,
    framework: Option<FrameworkId>,
    principal: Principal,
    call: FrameworkCall,
) -> Result<oneshot::Receiver<crate::master::Replied>, Refused> {
    let (reply, replied) = oneshot::channel();
    let request = Box::new(Ask::Framework { framework, call: Box::new(call) });
    let event = Event::Request { principal, request, reply };
    mesos.master.inner().events.send(event).await.map_err(|_| stopping())?;
    Ok(replied)
}

fn stopping() -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the master is stopping")
}

/// In whose name a framework speaks: what it says, as long as nobody has to log in.
fn principal(info: &FrameworkInfo) -> Principal {
    info.principal.as_deref().map_or_else(Principal::loopback, Principal::from)
}

/// 200 and a stream, in any case: a refusal is an event on it.
async fn subscribe(
    mesos: &Mesos,
    me: Me,
    subscription: &Subscribe,
    form: Codec,
) -> Result<Response, Refused> {
    let key: Arc<str> = stream_key(mesos)?.into();
    // The number is not known yet, and nothing else of the call depends on it.
    let (mut info, suppressed, constraints) = match call::subscribe(subscription, 0) {
        Ok(FrameworkCall::Subscribe { info, suppressed, constraints, .. }) => (info, suppressed, constraints),
        Ok(_) => return Err(Refused::bad("no subscription")),
        Err(invalid) => return Ok(not_subscribed(form, &key, &invalid.to_string())),
    };
    if let Some(allowed) = &mesos.master.options().roles {
        let is_allowed = |role: &str| role == "*" || allowed.contains(role);
        if let Some(role) = info.roles.iter().find(|role| !is_allowed(role.as_str())) {
            let words = format!("Role '{role}' is not present in the master's --roles");
            return Ok(not_subscribed(form, &key, &words));
        }
    }
    // What it said first of these holds for ever.
    let known = mesos.master.read().framework(info.id.as_str()).map(|known| known.view.info.clone());
    if let Some(known) = known {
        info.user.clone_from(&known.user);
        info.checkpoint = known.checkpoint;
    }
    let shared = Arc::new(info.as_ref().clone());
    let stream = mesos.master.open_stream(key.clone(), shared.clone()).await.map_err(|_| stopping())?;
    let framework = (!info.id.as_str().is_empty()).then(|| info.id.clone());
    let call = FrameworkCall::Subscribe { stream: stream.id, info, suppressed, constraints };
    let replied = tell(mesos, framework, principal(&shared), call).await?;
    let inner = mesos.master.inner();
    let feed = Feed::new(
        stream,
        form,
        shared,
        me.info(),
        (inner.directory.clone(), mesos.steward.clone(), mesos.spoken.clone(), mesos.master.stopping()),
        replied,
    );
    Ok(streaming(form, &key, feed.into_body()))
}

/// A stream that says why it is none.
fn not_subscribed(form: Codec, key: &str, words: &str) -> Response {
    let error = codec::encode(form, &event::error(words));
    let once = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(recordio::record(&error))]);
    streaming(form, key, axum::body::Body::from_stream(once))
}

fn streaming(form: Codec, key: &str, body: axum::body::Body) -> Response {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(STREAM_ID, key);
    }
    answer
}

/// A UUID that nobody can guess: whoever knows it speaks for the framework.
fn stream_key(mesos: &Mesos) -> Result<String, Refused> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 16];
    mesos
        .random
        .fill(&mut bytes)
        .map_err(|_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random numbers"))?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// Why the cell would not do it, as a status.
pub(super) fn refused(error: SubmitError) -> Refused {
    let words = super::super::error::ApiError::from(error.clone()).words();
    match error {
        SubmitError::Refused(Failure::Kernel(Refusal::NotFree(_) | Refusal::HostnameTaken(_))) => {
            Refused::new(StatusCode::CONFLICT, words)
        }
        SubmitError::Refused(_) => Refused::bad(words),
        SubmitError::TimedOut | SubmitError::Stopping => Refused::new(StatusCode::SERVICE_UNAVAILABLE, words),
    }
}
