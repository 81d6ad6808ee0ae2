//! What `hansa exec` and an agent say to each other, once an HTTP request has been upgraded to [`PROTOCOL`]; the master
//! only passes bytes through.
//!
//! Frames, both ways: a byte that says what it is, four bytes of length (the highest first), that many bytes. A frame of a
//! kind that is not known is skipped.

use hansa_model::task::Exit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the `Upgrade` header says.
pub const PROTOCOL: &str = "hansa-exec-1";

/// The longest content of a frame, in bytes.
pub const MOST: usize = 64 << 10;

/// Bytes before a frame's content.
pub const HEAD: usize = 5;

/// The first word, from the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables besides the container's own, which win.
    pub env: BTreeMap<String, String>,
    /// Whether its standard streams are to be a terminal, and how large that is.
    pub terminal: Option<Size>,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// The last word, from the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// How the command ended; None: it never ran.
    pub exit: Option<Exit>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// To the agent: what to run.
    Start(Start),
    /// To the agent: input; empty: there is no more.
    Stdin(Vec<u8>),
    /// To the agent: the terminal has another size.
    Resize(Size),
    /// From the agent.
    Stdout(Vec<u8>),
    /// From the agent.
    Stderr(Vec<u8>),
    /// From the agent: it is over.
    End(End),
}

/// Somebody speaks another language.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It would be longer than [`MOST`].
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// It does not hold what it should.
    #[error("a frame cannot be read: {0}")]
    Nonsense(#[from] serde_json::Error),
}

impl Frame {
    /// As bytes. Content longer than [`MOST`] has to be split before.
    ///
    /// # Errors
    /// It is too long.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let (kind, content) = match self {
            Self::Start(start) => (0, serde_json::to_vec(start)?),
            Self::Stdin(bytes) => (1, bytes.clone()),
            Self::Resize(size) => (2, serde_json::to_vec(size)?),
            Self::Stdout(bytes) => (3, bytes.clone()),
            Self::Stderr(bytes) => (4, bytes.clone()),
            Self::End(end) => (5, serde_json::to_vec(end)?),
        };
        let length = u32::try_from(content.len()).ok().filter(|length| *length as usize <= MOST);
        let length = length.ok_or(FrameError::TooLong(content.len()))?;
        let mut bytes = Vec::with_capacity(HEAD + content.len());
        bytes.push(kind);
        bytes.extend(length.to_be_bytes());
        bytes.extend(content);
        Ok(bytes)
    }

    /// How long the content is that follows this head.
    ///
    /// # Errors
    /// It is too long.
    pub fn length(head: &[u8; HEAD]) -> Result<usize, FrameError> {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > MOST { Err(FrameError::TooLong(length)) } else { Ok(length) }
    }

    /// From its kind (the head's first byte) and content; None: not known here.
    ///
    /// # Errors
    /// It does not hold what it should.
    pub fn decode(kind: u8, content: Vec<u8>) -> Result<Option<Self>, FrameError> {
        Ok(Some(match kind {
            0 => Self::Start(serde_json::from_slice(&content)?),
            1 => Self::Stdin(content),
            2 => Self::Resize(serde_json::from_slice(&content)?),
            3 => Self::Stdout(content),
            4 => Self::Stderr(content),
            5 => Self::End(serde_json::from_slice(&content)?),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let start = Start {
            argv: vec!["sh".into()],
            env: BTreeMap::from([("TERM".into(), "xterm".into())]),
            terminal: Some(Size { rows: 24, columns: 80 }),
        };
        let end = End { exit: Some(Exit::Code(3)), error: None };
        for frame in [
            Frame::Start(start),
            Frame::Stdin(Vec::new()),
            Frame::Resize(Size { rows: 1, columns: 2 }),
            Frame::Stdout(vec![0, 255]),
            Frame::Stderr(b"x".to_vec()),
            Frame::End(end),
        ] {
            let bytes = frame.encode().unwrap();
            let (head, content) = bytes.split_at(HEAD);
            assert_eq!(Frame::length(head.try_into().unwrap()).unwrap(), content.len());
            assert_eq!(Frame::decode(head[0], content.to_vec()).unwrap(), Some(frame));
        }
    }

    #[test]
    fn what_is_too_long_or_no_frame_is_refused() {
        assert!(Frame::Stdin(vec![0; MOST + 1]).encode().is_err());
        assert!(Frame::length(&[1, 255, 255, 255, 255]).is_err());
        assert!(Frame::decode(0, b"{".to_vec()).is_err());
        assert_eq!(Frame::decode(99, Vec::new()).unwrap(), None);
    }
}
