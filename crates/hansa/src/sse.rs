//! Server-sent events: bytes in, frames out. Only what the master sends: `event:`, `data:`, `id:`, comments.

use crate::client::Client;
use crate::failure::Failure;
use reqwest::Response;

/// One event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Its `event:` field.
    pub event: String,
    /// Its `data:` lines.
    pub data: String,
    /// Its `id:` field, if it has one.
    pub id: Option<String>,
}

/// Collects bytes until frames are whole.
#[derive(Default)]
pub struct Parser {
    pending: Vec<u8>,
    frame: Frame,
}

impl Parser {
    /// Takes the next bytes and hands back the frames that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.pending.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let frame = std::mem::take(&mut self.frame);
                if frame != Frame::default() {
                    frames.push(frame);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.frame.event),
                "id" => self.frame.id = Some(value.to_owned()),
                "data" => {
                    if !self.frame.data.is_empty() {
                        self.frame.data.push('\n');
                    }
                    self.frame.data.push_str(value);
                }
                _ => {}
            }
        }
        frames
    }
}

/// An open stream of events.
pub struct Events {
    response: Response,
    parser: Parser,
    ready: std::collections::VecDeque<Frame>,
}

impl Events {
    /// Opens the stream at `path`.
    pub async fn open(client: &Client, path: &str) -> Result<Self, Failure> {
        Self::open_with(client, path, &[]).await
    }

    /// Opens the cluster's stream of these kinds of events.
    pub async fn of(client: &Client, kinds: &str) -> Result<Self, Failure> {
        Self::open_with(client, "/hansa/v1/events", &[("only", kinds)]).await
    }

    async fn open_with(client: &Client, path: &str, query: &[(&str, &str)]) -> Result<Self, Failure> {
        let response = client.stream(path, query).await?;
        Ok(Self { response, parser: Parser::default(), ready: Default::default() })
    }

    /// The next event; None when the stream has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            let bytes = self.response.chunk().await.ok().flatten()?;
            self.ready.extend(self.parser.push(&bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let text = ": hello\n\nevent: task\nid: 1-2\ndata: {\"a\":\ndata: 1}\n\nevent:usage\r\ndata:x\r\n\r\nevent: half";
        let expected = [
            Frame { event: "task".into(), data: "{\"a\":\n1}".into(), id: Some("1-2".into()) },
            Frame { event: "usage".into(), data: "x".into(), id: None },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let frames: Vec<Frame> =
                text.as_bytes().chunks(size).flat_map(|piece| parser.push(piece)).collect();
            assert_eq!(frames, expected, "in pieces of {size}");
        }
    }
}
