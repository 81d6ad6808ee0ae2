//! The agents' streams: gRPC on the one port.

use crate::Master;
use crate::session::SessionSender;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt;
use hansa_link::{ToMaster, grpc};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::debug;

/// `POST /hansa.link.v1.Link/Session`
pub(super) async fn session(State(master): State<Master>, request: Request) -> Response {
    let Ok(session) = master.connect().await else {
        return Status::unavailable("the master is stopping").into_http();
    };
    let stopping = master.stopping();
    let answer = grpc::serve(request, move |incoming| {
        tokio::spawn(listen(incoming, session.to_master, stopping.clone()));
        let outgoing = ReceiverStream::new(session.to_agent).map(Ok);
        Ok(outgoing.take_until(Box::pin(stop(stopping))))
    });
    answer.await.map(Body::new)
}

/// Passes on what the agent says until either side ends the stream.
async fn listen(
    mut incoming: Streaming<ToMaster>,
    mut loop_end: SessionSender,
    stopping: watch::Receiver<bool>,
) {
    let stop = stop(stopping);
    tokio::pin!(stop);
    loop {
        let message = tokio::select! {
            message = incoming.message() => message,
            () = loop_end.ended() => return,
            () = &mut stop => return,
        };
        match message {
            Ok(Some(message)) => {
                if loop_end.send(message).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(status) => {
                debug!(%status, "an agent's stream broke");
                return;
            }
        }
    }
}

async fn stop(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
