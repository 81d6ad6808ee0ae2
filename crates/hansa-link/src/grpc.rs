//! The session on the wire: one bidirectional gRPC stream, its messages as JSON.
//!
//! gRPC gives framing, flow control and multiplexing over HTTP/2 (and later TLS); JSON lets both programs' messages grow by
//! optional fields. There is no schema compiler: one path, one codec, two helpers. Not here: sockets, reconnecting
//! ([`crate::session`] says when), and what to do with a message.

use crate::message::{ToAgent, ToMaster};
use bytes::{Buf, BufMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::server::StreamingService;
use tonic::{Request, Response, Status};

/// Where the master serves sessions: the agent streams [`ToMaster`], the master answers with a stream of [`ToAgent`].
pub const SESSION_PATH: &str = "/hansa.link.v1.Link/Session";

/// Bytes that one message may have. The largest is the hello of a machine with thousands of groups.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// Encodes `Enc` and decodes `Dec` as JSON within gRPC's length-prefixed frames.
pub struct JsonCodec<Enc, Dec>(PhantomData<fn(Enc) -> Dec>);

impl<Enc, Dec> Default for JsonCodec<Enc, Dec> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The writing half of [`JsonCodec`].
pub struct JsonEncoder<T>(PhantomData<fn(T)>);

/// The reading half of [`JsonCodec`].
pub struct JsonDecoder<T>(PhantomData<fn() -> T>);

impl<Enc, Dec> Codec for JsonCodec<Enc, Dec>
where
    Enc: Serialize + Send + 'static,
    Dec: DeserializeOwned + Send + 'static,
{
    type Encode = Enc;
    type Decode = Dec;
    type Encoder = JsonEncoder<Enc>;
    type Decoder = JsonDecoder<Dec>;

    fn encoder(&mut self) -> Self::Encoder {
        JsonEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        JsonDecoder(PhantomData)
    }
}

impl<T: Serialize> Encoder for JsonEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        serde_json::to_writer(frame.writer(), &item)
            .map_err(|error| Status::internal(format!("message cannot be written: {error}")))
    }
}

impl<T: DeserializeOwned> Decoder for JsonDecoder<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        // The frame is whole but may lie in pieces; JSON is read fastest from one.
        let whole = frame.copy_to_bytes(frame.remaining());
        serde_json::from_slice(&whole)
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("message cannot be read: {error}")))
    }
}

/// The agent's end: opens a session over `channel`. What `outgoing` yields is sent, the hello first; when it ends, the
/// agent's direction is closed.
///
/// # Errors
/// The master cannot be reached, does not speak this protocol, or refuses the stream.
pub async fn connect<T, S>(channel: T, outgoing: S) -> Result<Streaming<ToAgent>, Status>
where
    T: GrpcService<Body>,
    T::ResponseBody: http_body::Body + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S: Stream<Item = ToMaster> + Send + 'static,
{
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    client.ready().await.map_err(|error| {
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        Status::unavailable(chain(&*error))
    })?;
    let path = http::uri::PathAndQuery::from_static(SESSION_PATH);
    let codec = JsonCodec::<ToMaster, ToAgent>::default();
    Ok(client.streaming(Request::new(outgoing), path, codec).await?.into_inner())
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The master's end: answers the HTTP request of one session. `open` gets the agent's messages and gives the stream of
/// the master's; it returns at once (what it spawns goes on), or refuses with a status.
///
/// For use in any HTTP/2 handler, an axum one for example:
/// `post(|request: axum::extract::Request| async { grpc::serve(request, |incoming| …).await })` at [`SESSION_PATH`].
pub async fn serve<B, F, S>(request: http::Request<B>, open: F) -> http::Response<Body>
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    F: FnOnce(Streaming<ToMaster>) -> Result<S, Status> + Send,
    S: Stream<Item = Result<ToAgent, Status>> + Send + 'static,
{
    tonic::server::Grpc::new(JsonCodec::<ToAgent, ToMaster>::default())
        .max_decoding_message_size(MAX_MESSAGE)
        .streaming(Opening(Some(open)), request)
        .await
}

/// A gRPC service for exactly one call.
struct Opening<F>(Option<F>);

impl<F, S> StreamingService<ToMaster> for Opening<F>
where
    F: FnOnce(Streaming<ToMaster>) -> Result<S, Status>,
    S: Stream<Item = Result<ToAgent, Status>> + Send + 'static,
{
    type Response = ToAgent;
    type ResponseStream = S;
    type Future = Ready<Result<Response<S>, Status>>;

    fn call(&mut self, request: Request<Streaming<ToMaster>>) -> Self::Future {
        let opened = match self.0.take() {
            Some(open) => open(request.into_inner()),
            None => Err(Status::internal("session opened twice")),
        };
        ready(opened.map(Response::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ToAgentBody, ToMasterBody};
    use hansa_model::{ClusterId, Term};
    use std::net::SocketAddr;
    use tokio::sync::mpsc;
    use tokio_stream::StreamExt;
    use tokio_stream::wrappers::ReceiverStream;

    /// A master that answers every heartbeat, behind an axum router as in production. Gives its address.
    async fn master() -> SocketAddr {
        let answer = |message: Result<ToMaster, Status>| {
            let body = match message?.body {
                ToMasterBody::Heartbeat { number } => ToAgentBody::HeartbeatSeen { number },
                _ => ToAgentBody::Refused { reason: "only heartbeats here".into() },
            };
            Ok(ToAgent { cluster: ClusterId::from("c"), term: Term(7), body })
        };
        let handler = axum::routing::post(move |request: axum::extract::Request| async move {
            serve(request, |incoming| Ok(incoming.map(answer))).await
        });
        let app = axum::Router::new().route(SESSION_PATH, handler);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }

    fn heartbeat(number: u64) -> ToMaster {
        ToMaster { cluster: None, term: Term(0), body: ToMasterBody::Heartbeat { number } }
    }

    #[tokio::test]
    async fn messages_cross_in_both_directions_over_axum() {
        let address = master().await;
        let channel =
            tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let (outbox, outgoing) = mpsc::channel(4);
        let mut incoming = connect(channel, ReceiverStream::new(outgoing)).await.unwrap();
        for number in 1..=3 {
            outbox.send(heartbeat(number)).await.unwrap();
            let answer = incoming.message().await.unwrap().unwrap();
            assert_eq!((answer.term, answer.body), (Term(7), ToAgentBody::HeartbeatSeen { number }));
        }
        drop(outbox);
        assert_eq!(incoming.message().await.unwrap(), None, "the master's direction ends with the agent's");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        // Bound and dropped: the port is free again.
        let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let channel =
            tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let refused = connect(channel, tokio_stream::empty()).await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
    }
}
