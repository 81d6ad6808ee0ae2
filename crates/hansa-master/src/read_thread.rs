//! The read model's thread: folds what was published, tells subscribers, and hands answers to those who wait for them.
//!
//! Everything comes through one channel in the loop's order, so an answer that stands behind what it caused is given
//! only when the picture shows it.

use crate::master::{Replied, Shared};
use hansa_model::AgentId;
use hansa_model::agent::Usage;
use hansa_model::event::Published;
use std::sync::{Arc, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Messages taken at once; bounds how long the picture is locked (a millisecond or two).
const AT_ONCE: usize = 256;

/// What the thread is told, in order.
#[derive(Debug)]
pub(crate) enum News {
    Published(Published),
    Usage {
        agent: AgentId,
        usage: Usage,
    },
    Reply {
        to: oneshot::Sender<Replied>,
        replied: Box<Replied>,
    },
    /// Everything before this is in the picture.
    Caught(oneshot::Sender<()>),
}

/// Works until nobody can send news any more.
pub(crate) fn run(shared: &Shared, mut news: mpsc::Receiver<News>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut replies = Vec::new();
    loop {
        let taken = news.blocking_recv_many(&mut batch, AT_ONCE);
        if taken == 0 {
            return;
        }
        let mut model = shared.model.write().unwrap_or_else(PoisonError::into_inner);
        for one in batch.drain(..) {
            match one {
                News::Published(published) => {
                    let published = Arc::new(published);
                    model.fold(&published);
                    // Nobody listening is no error.
                    let _ = shared.published.send(published);
                }
                News::Usage { agent, usage } => {
                    if model.fold_usage(&agent, usage.clone()) {
                        let _ = shared.usage.send((agent, usage));
                    }
                }
                News::Reply { to, replied } => {
                    model.reached(replied.0);
                    replies.push((to, *replied));
                }
                News::Caught(to) => {
                    let _ = to.send(());
                }
            }
        }
        drop(model);
        shared.folded.send_modify(|folded| *folded += taken as u64);
        for (to, replied) in replies.drain(..) {
            // The client may have gone away; what it asked for is done all the same.
            let _ = to.send(replied);
        }
    }
}
