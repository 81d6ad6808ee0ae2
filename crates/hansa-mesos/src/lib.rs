//! Mesos' v1 protocols: what their messages look like and what they mean in our model.
//!
//! Pure translation. Who is offered what, who may ask, and how HTTP carries it is decided elsewhere; nothing here keeps
//! state, reads a clock or talks to anybody. What Mesos calls by a name keeps that name, so that its documentation can be read
//! beside this.
//!
//! Where to start: [`proto`] (the messages), [`codec`] (their bytes, JSON and protobuf), [`recordio`] (streams of them);
//! then [`resources`] and [`framework`], on which all else rests.

pub mod call;
pub mod codec;
pub mod constraints;
pub mod duration;
pub mod event;
pub mod framework;
pub mod legacy;
pub mod logging;
pub mod names;
pub mod offer;
pub mod proto;
pub mod recordio;
pub mod resources;
pub mod status;
pub mod task;

/// Something that cannot be meant, in words; where Mesos has words for it that people search for, in Mesos'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    fn new(words: &str) -> Self {
        Self(words.to_owned())
    }
}
