//! What `hansa exec` and an agent say to each other, once an HTTP request has been upgraded to [`PROTOCOL`]; the master
//! only passes bytes through.
//!
//! Frames, both ways: a byte that says what it is, four bytes of length (the highest first), that many bytes. A frame of a
//! kind that is not known is skipped.

use hansa_model::task::Exit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the `Upgrade` header says.
pub const PROTOCOL: &str = "hansa-exec-1";

/// The longest content of a frame, in bytes.
pub const MOST: usize = 64 << 10;

/// Bytes before a frame's content.
const HEAD: usize = 5;

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
enum FrameError {
    /// It would be longer than [`MOST`].
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// It does not hold what it should.
    #[error("a frame cannot be read: {0}")]
    Nonsense(#[from] serde_json::Error),
}

impl Frame {
    /// The next frame of a known kind; None at the end. Dropped half-way, it loses what it has read.
    ///
    /// # Errors
    /// The connection breaks, or the other side speaks another language.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        loop {
            let mut head = [0; HEAD];
            match from.read_exact(&mut head).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            };
            let mut content = vec![0; Self::length(&head).map_err(io::Error::other)?];
            from.read_exact(&mut content).await?;
            if let Some(frame) = Self::decode(head[0], content).map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
        }
    }

    /// Says it at once. Content longer than [`MOST`] has to be split before.
    ///
    /// # Errors
    /// It is too long, or the connection breaks.
    pub async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        to.write_all(&self.encode().map_err(io::Error::other)?).await?;
        to.flush().await
    }

    fn encode(&self) -> Result<Vec<u8>, FrameError> {
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
    fn length(head: &[u8; HEAD]) -> Result<usize, FrameError> {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > MOST { Err(FrameError::TooLong(length)) } else { Ok(length) }
    }

    /// From its kind (the head's first byte) and content; None: not known here.
    fn decode(kind: u8, content: Vec<u8>) -> Result<Option<Self>, FrameError> {
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

    #[tokio::test]
    async fn frames_come_back_as_they_went() {
        let start = Start {
            argv: vec!["sh".into()],
            env: BTreeMap::from([("TERM".into(), "xterm".into())]),
            terminal: Some(Size { rows: 24, columns: 80 }),
        };
        let end = End { exit: Some(Exit::Code(3)), error: None };
        let frames = [
            Frame::Start(start),
            Frame::Stdin(Vec::new()),
            Frame::Resize(Size { rows: 1, columns: 2 }),
            Frame::Stdout(vec![0, 255]),
            Frame::Stderr(b"x".to_vec()),
            Frame::End(end),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            // A later version's word comes before each.
            bytes.extend([99, 0, 0, 0, 1, 0]);
            frame.write(&mut bytes).await.unwrap();
        }
        let mut rest = bytes.as_slice();
        for frame in frames {
            assert_eq!(Frame::read(&mut rest).await.unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut rest).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_frame_is_refused() {
        assert!(Frame::Stdin(vec![0; MOST + 1]).write(&mut Vec::new()).await.is_err());
        for wrong in [&[1, 255, 255, 255, 255][..], &[0, 0, 0, 0, 1, b'{'], &[1, 0, 0, 0, 2, 0]] {
            assert!(Frame::read(&mut &*wrong).await.is_err(), "{wrong:?}");
        }
    }
}
