//! The operator API's calls about containers: commands inside of others, what goes into them and comes out, their ends.

use super::answers::{accepted, bad, empty, last, refused, takes, typed, unsupported};
use super::nested::{self, Found, Piece, Refusal, Session};
use crate::http::Context;
use crate::sandbox::{Sandbox, Tail};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::{Stream, StreamExt};
use hansa_mesos::codec::{Codec, decode, encode};
use hansa_mesos::proto::v1;
use hansa_mesos::proto::v1::agent::process_io::{Control, Data, control, data};
use hansa_mesos::proto::v1::agent::{Call, ProcessIo, call, process_io, response};
use hansa_mesos::recordio::{Decoder, record};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// The media type of streams of records.
pub(super) const RECORDIO: &str = "application/recordio";

/// How often a container's kept output is looked at for somebody who listens.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How much of what a terminal has shown somebody who begins to listen is told, in bytes.
const HISTORY: i64 = 16 << 10;

/// What Mesos says where nobody can speak to a container; clients look for these words.
const NO_SWITCHBOARD: &str = "I/O switchboard server was disabled for this container";

/// In which form an answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One message.
    Plain(Codec),
    /// Records of messages, and said so.
    Records(Codec),
}

impl Form {
    /// How each message is written.
    pub(super) fn codec(self) -> Codec {
        match self {
            Self::Plain(codec) | Self::Records(codec) => codec,
        }
    }
}

/// The form that a client takes. Some send several, and mean records where those are possible.
#[expect(clippy::result_large_err, reason = "the error is the answer; there is one for each request")]
pub(super) fn form(headers: &HeaderMap, kind: call::Type) -> Result<Form, Response> {
    let streams =
        matches!(kind, call::Type::LaunchNestedContainerSession | call::Type::AttachContainerOutput);
    let named = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains(RECORDIO));
    let records = match streams {
        true => headers.get_all("accept").iter().any(named),
        false => last(headers, "accept").is_some_and(|accept| accept.trim() == RECORDIO),
    };
    if !records {
        if headers.contains_key("message-accept") {
            let words = "Expecting 'Message-Accept' to be not set for non-streaming responses";
            return Err(refused(StatusCode::NOT_ACCEPTABLE, words));
        }
        return super::answers::form_of_answer(headers).map(Form::Plain);
    }
    let wanted = last(headers, "message-accept");
    let codec = [Codec::Json, Codec::Protobuf].into_iter().find(|codec| takes(wanted, codec.media_type()));
    let codec = codec.ok_or_else(|| {
        let words = "Expecting 'Message-Accept' to allow application/json or application/x-protobuf";
        refused(StatusCode::NOT_ACCEPTABLE, words)
    })?;
    Ok(if streams { Form::Records(codec) } else { Form::Plain(codec) })
}

/// A call about containers; None: it is about something else.
pub(super) async fn answer(context: &Context, kind: call::Type, call: Call, form: Form) -> Option<Response> {
    Some(match kind {
        call::Type::LaunchNestedContainerSession => match call.launch_nested_container_session {
            Some(asked) => {
                let container = asked.container.as_ref();
                match launch(context, &asked.container_id, asked.command.as_ref(), container).await {
                    Ok(session) => session_output(session, asked.container_id, form),
                    Err(response) => response,
                }
            }
            None => missing("launch_nested_container_session"),
        },
        call::Type::LaunchNestedContainer => match call.launch_nested_container {
            Some(asked) => {
                let container = asked.container.as_ref();
                launched(launch(context, &asked.container_id, asked.command.as_ref(), container).await)
            }
            None => missing("launch_nested_container"),
        },
        call::Type::LaunchContainer => match call.launch_container {
            Some(asked) => {
                let container = asked.container.as_ref();
                launched(launch(context, &asked.container_id, asked.command.as_ref(), container).await)
            }
            None => missing("launch_container"),
        },
        call::Type::WaitNestedContainer => match call.wait_nested_container {
            Some(asked) => wait(context, &asked.container_id, form.codec(), true).await,
            None => missing("wait_nested_container"),
        },
        call::Type::WaitContainer => match call.wait_container {
            Some(asked) => wait(context, &asked.container_id, form.codec(), false).await,
            None => missing("wait_container"),
        },
        call::Type::KillNestedContainer => match call.kill_nested_container {
            Some(asked) => kill(context, &asked.container_id, asked.signal).await,
            None => missing("kill_nested_container"),
        },
        call::Type::KillContainer => match call.kill_container {
            Some(asked) => kill(context, &asked.container_id, asked.signal).await,
            None => missing("kill_container"),
        },
        call::Type::RemoveNestedContainer => match call.remove_nested_container {
            Some(asked) => remove(context, &asked.container_id),
            None => missing("remove_nested_container"),
        },
        call::Type::RemoveContainer => match call.remove_container {
            Some(asked) => remove(context, &asked.container_id),
            None => missing("remove_container"),
        },
        call::Type::AttachContainerOutput => match call.attach_container_output {
            Some(asked) => output(context, &asked.container_id, form).await,
            None => missing("attach_container_output"),
        },
        call::Type::AttachContainerInput => {
            bad("Expecting 'Content-Type' of application/recordio for ATTACH_CONTAINER_INPUT")
        }
        _ => return None,
    })
}

fn missing(field: &str) -> Response {
    bad(format!("Failed to validate agent::Call: Expecting '{field}' to be present"))
}

fn no_container(id: &v1::ContainerId) -> Response {
    refused(StatusCode::NOT_FOUND, format!("Container {} cannot be found", nested::name(id)))
}

async fn launch(
    context: &Context,
    id: &v1::ContainerId,
    command: Option<&v1::CommandInfo>,
    container: Option<&v1::ContainerInfo>,
) -> Result<Arc<Session>, Response> {
    if !context.allow_exec {
        let words = "this agent runs no commands in containers: start it with --allow-exec (whoever reaches its port may then use it)";
        return Err(refused(StatusCode::FORBIDDEN, words));
    }
    if id.parent.is_none() {
        return Err(unsupported("containers without a parent (standalone containers)"));
    }
    let short = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    let terminal = container.and_then(|container| container.tty_info.as_ref()).map(|tty| {
        let size = tty.window_size.as_ref();
        size.map_or((24, 80), |size| (short(size.rows), short(size.columns)))
    });
    let nothing = v1::CommandInfo::default();
    match nested::start(context, id, command.unwrap_or(&nothing), terminal).await {
        Ok(session) => Ok(session),
        Err(Refusal::Exists) => Err(accepted()),
        Err(Refusal::NoParent) => {
            let around = id.parent.as_deref().map(nested::name).unwrap_or_default();
            Err(refused(StatusCode::NOT_FOUND, format!("Container {around} cannot be found")))
        }
        Err(Refusal::Other(words)) => Err(bad(words)),
    }
}

fn launched(result: Result<Arc<Session>, Response>) -> Response {
    result.map_or_else(|response| response, |_| empty())
}

/// Ends a command when nobody listens to it any more.
struct Ends(v1::ContainerId, Arc<Session>);

impl Drop for Ends {
    fn drop(&mut self) {
        let id = self.0.clone();
        std::thread::spawn(move || nested::signal(&id, libc::SIGKILL));
    }
}

fn session_output(session: Arc<Session>, id: v1::ContainerId, form: Form) -> Response {
    let Some(receiver) = session.listen() else {
        return refused(StatusCode::CONFLICT, "somebody else listens to this container");
    };
    let state = (receiver, Ends(id, session));
    let pieces = futures_util::stream::unfold(state, |(mut receiver, ends)| async move {
        match receiver.recv().await {
            Some(piece) => Some((piece, (receiver, ends))),
            None => {
                // What came last is out; who reads the end may ask for the status.
                let _ = ends.1.wait().await;
                None
            }
        }
    });
    records(pieces, form)
}

fn records(pieces: impl Stream<Item = Piece> + Send + 'static, form: Form) -> Response {
    let codec = form.codec();
    let written = pieces.map(move |piece| {
        let (kind, bytes) = match piece {
            Piece::Stdout(bytes) => (data::Type::Stdout, bytes),
            Piece::Stderr(bytes) => (data::Type::Stderr, bytes),
        };
        let said = ProcessIo {
            r#type: Some(process_io::Type::Data as i32),
            data: Some(Data { r#type: Some(kind as i32), data: Some(bytes) }),
            control: None,
        };
        Ok::<_, Infallible>(Bytes::from(record(&encode(codec, &said))))
    });
    match form {
        Form::Plain(codec) => typed(codec.media_type(), Body::from_stream(written)),
        Form::Records(codec) => {
            let mut response = typed(RECORDIO, Body::from_stream(written));
            let kind = HeaderValue::from_static(codec.media_type());
            response.headers_mut().insert("message-content-type", kind);
            response
        }
    }
}

async fn output(context: &Context, id: &v1::ContainerId, form: Form) -> Response {
    match nested::find(context, id).await {
        None => no_container(id),
        Some(Found::Session(session)) => match session.listen() {
            Some(receiver) => {
                let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
                    receiver.recv().await.map(|piece| (piece, receiver))
                });
                records(pieces, form)
            }
            None => refused(StatusCode::CONFLICT, "somebody else listens to this container"),
        },
        Some(Found::Container { tty: false, .. }) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, NO_SWITCHBOARD)
        }
        Some(Found::Container { client, sandbox, inside, .. }) => {
            // What a terminal shows is kept; it is read from there, the end of the past first.
            let place = Sandbox::of(&context.sandboxes, &sandbox);
            let stream = if inside.is_empty() { "stdout".to_owned() } else { format!("{inside}/stdout") };
            let tail = place.and_then(|place| Tail::start(place, &stream, -HISTORY).ok());
            let Some(tail) = tail else { return no_container(id) };
            let pieces = futures_util::stream::unfold(
                (tail, client, false),
                |(mut tail, client, mut over)| async move {
                    loop {
                        let mut buffer = vec![0; 16 << 10];
                        match tail.read(&mut buffer) {
                            Ok(0) if over => return None,
                            Ok(0) => {
                                let ended = tokio::time::timeout(LOOK_AGAIN, client.wait());
                                // Once more: it may have written between the look and its end.
                                over = ended.await.is_ok();
                            }
                            Ok(length) => {
                                buffer.truncate(length);
                                return Some((Piece::Stdout(buffer), (tail, client, over)));
                            }
                            Err(_) => return None,
                        }
                    }
                },
            );
            records(pieces, form)
        }
    }
}

async fn wait(context: &Context, id: &v1::ContainerId, codec: Codec, older: bool) -> Response {
    let ended = match nested::find(context, id).await {
        None => return no_container(id),
        Some(Found::Session(session)) => session.wait().await,
        Some(Found::Container { client, .. }) => match client.wait().await {
            Ok(record) => Ok(record.exit.map_or(libc::SIGKILL, nested::raw)),
            Err(error) => Err(error.to_string()),
        },
    };
    let (exit_status, message) = match ended {
        Ok(status) => (Some(status), None),
        Err(words) => (None, Some(words)),
    };
    let mut said = v1::agent::Response::default();
    if older {
        said.r#type = Some(response::Type::WaitNestedContainer as i32);
        said.wait_nested_container =
            Some(response::WaitNestedContainer { exit_status, message, ..Default::default() });
    } else {
        said.r#type = Some(response::Type::WaitContainer as i32);
        said.wait_container = Some(response::WaitContainer { exit_status, message, ..Default::default() });
    }
    super::answers::message(codec, &said)
}

async fn kill(context: &Context, id: &v1::ContainerId, signal: Option<i32>) -> Response {
    let signal = signal.unwrap_or(libc::SIGKILL);
    let found = match nested::find(context, id).await {
        None => false,
        Some(Found::Session(_)) => {
            let id = id.clone();
            tokio::task::spawn_blocking(move || nested::signal(&id, signal)).await.unwrap_or(false)
        }
        Some(Found::Container { client, .. }) => client.signal(signal).await.is_ok(),
    };
    match found {
        true => empty(),
        false => refused(
            StatusCode::NOT_FOUND,
            format!("Container '{}' cannot be found (or is already killed)", nested::name(id)),
        ),
    }
}

fn remove(context: &Context, id: &v1::ContainerId) -> Response {
    match context.sessions.remove(id) {
        true => empty(),
        false => refused(StatusCode::INTERNAL_SERVER_ERROR, "Nested container has not terminated yet"),
    }
}

/// `ATTACH_CONTAINER_INPUT`: a stream of records, the first of which says whose input follows. Answered when it ends, or
/// its container.
pub(super) async fn input(context: &Context, codec: Codec, body: Body) -> Response {
    let mut chunks = body.into_data_stream();
    let mut decoder = Decoder::default();
    let mut target: Option<Found> = None;
    loop {
        match decoder.next() {
            Err(error) => return bad(error.to_string()),
            Ok(Some(bytes)) => {
                let call = match decode::<Call>(codec, &bytes) {
                    Ok(call) => call,
                    Err(error) => return bad(format!("Failed to parse body into Call protobuf: {error}")),
                };
                let Some(said) = call.attach_container_input else {
                    return missing("attach_container_input");
                };
                match (&target, said.container_id, said.process_io) {
                    (None, Some(id), _) => match nested::find(context, &id).await {
                        None => return no_container(&id),
                        Some(Found::Container { tty: false, .. }) => {
                            return refused(StatusCode::INTERNAL_SERVER_ERROR, NO_SWITCHBOARD);
                        }
                        found => target = found,
                    },
                    (None, None, _) => {
                        return bad("Expecting 'attach_container_input.container_id' to be present");
                    }
                    (Some(found), _, Some(io)) => pass_on(found, io).await,
                    (Some(_), _, None) => {
                        return bad("Expecting 'attach_container_input.process_io' to be present");
                    }
                }
            }
            Ok(None) => {
                let ended = async {
                    match &target {
                        Some(Found::Session(session)) => drop(session.wait().await),
                        Some(Found::Container { client, .. }) => drop(client.wait().await),
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    chunk = chunks.next() => match chunk {
                        Some(Ok(chunk)) => decoder.push(&chunk),
                        Some(Err(error)) => return bad(format!("the input broke off: {error}")),
                        None if target.is_none() => return bad("Received EOF while reading request body"),
                        None => return empty(),
                    },
                    () = ended => return empty(),
                }
            }
        }
    }
}

async fn pass_on(found: &Found, io: ProcessIo) {
    let short = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    match io.r#type() {
        process_io::Type::Data => {
            let bytes = io.data.unwrap_or_default().data.unwrap_or_default();
            match found {
                Found::Session(session) => session.write(&bytes).await,
                Found::Container { client, .. } => {
                    let bytes = if bytes.is_empty() { vec![4] } else { bytes };
                    let _ = client.type_in(&bytes).await;
                }
            }
        }
        process_io::Type::Control => {
            let said = io.control.unwrap_or_default();
            let Control { tty_info, .. } = said;
            let size = tty_info.filter(|_| said.r#type == Some(control::Type::TtyInfo as i32));
            let Some(size) = size.and_then(|info| info.window_size) else { return };
            match found {
                Found::Session(session) => session.resize(short(size.rows), short(size.columns)).await,
                Found::Container { client, .. } => {
                    let _ = client.resize(short(size.rows), short(size.columns)).await;
                }
            }
        }
        process_io::Type::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_sent_to_those_who_take_them() {
        let form_of = |kind, values: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in values {
                headers.append(*name, HeaderValue::from_static(value));
            }
            form(&headers, kind).map_err(|refused| refused.status().as_u16())
        };
        let output = call::Type::AttachContainerOutput;
        let both = [
            ("accept", "application/x-protobuf"),
            ("accept", RECORDIO),
            ("message-accept", "application/x-protobuf"),
        ];
        assert_eq!(form_of(output, &both).unwrap(), Form::Records(Codec::Protobuf));
        assert_eq!(form_of(output, &[]).unwrap(), Form::Plain(Codec::Json));
        assert_eq!(form_of(output, &[("accept", RECORDIO)]).unwrap(), Form::Records(Codec::Json));
        let wait = call::Type::WaitContainer;
        assert_eq!(
            form_of(wait, &[("accept", "application/x-protobuf")]).unwrap(),
            Form::Plain(Codec::Protobuf)
        );
        let refused =
            form_of(wait, &[("accept", "application/json"), ("message-accept", "application/json")]);
        assert_eq!(refused.unwrap_err(), 406);
    }
}
