//! The server's side of a WebSocket (RFC 6455, version 13), as far as a terminal needs it: messages both ways, no
//! extensions, no sub-protocols.
//!
//! Written here because it is small: a library would bring half a dozen crates along for what these lines do. What a client
//! may send is bounded before it is taken; whatever breaks the protocol ends the connection with the code that says why.

use super::error::ApiError;
use axum::body::Body;
use axum::http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a message, all its parts together: more than anybody pastes.
const MAX_MESSAGE: usize = 1 << 20;

/// Bytes of a control frame's content.
const MAX_CONTROL: usize = 125;

/// What the standard adds to a client's key.
const SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is sent and received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Bytes.
    Binary(Vec<u8>),
    /// Text.
    Text(String),
    /// Is anybody there? To be answered with the same bytes.
    Ping(Vec<u8>),
    /// Somebody is.
    Pong(Vec<u8>),
    /// It is over, with this code.
    Close(u16),
}

/// It went as it should.
pub(super) const NORMAL: u16 = 1000;

/// Why nothing more is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The connection broke or ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The client broke the protocol.
    #[error("{words}")]
    Protocol {
        /// What to close with.
        code: u16,
        /// How.
        words: &'static str,
    },
}

fn fault(code: u16, words: &'static str) -> Fault {
    Fault::Protocol { code, words }
}

/// The answer to a handshake.
///
/// # Errors
/// It is none, or one of another version.
pub(super) fn accept(headers: &HeaderMap) -> Result<Response, ApiError> {
    let has = |name, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
        let mut words = values.flat_map(|value| value.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let upgrade_required = |words: &str| ApiError::new(StatusCode::UPGRADE_REQUIRED, "invalid", words);
    if !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return Err(upgrade_required(
            "this path is a WebSocket: say `Connection: Upgrade` and `Upgrade: websocket`",
        ));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(upgrade_required("this path speaks version 13: say `Sec-WebSocket-Version: 13`"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).map(str::trim);
    let Some(key) = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)) else {
        return Err(ApiError::invalid("Sec-WebSocket-Key", "the handshake has no key of 16 bytes"));
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.extend(HeaderValue::from_str(&answer_to(key)).ok().map(|value| (SEC_WEBSOCKET_ACCEPT, value)));
    Ok(response)
}

fn answer_to(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{SALT}").as_bytes()))
}

/// Reads messages. Not safe to be cancelled in the middle of one.
pub(super) struct Reader<R> {
    from: R,
    /// The message that has begun: whether it is text, and its bytes.
    begun: Option<(bool, Vec<u8>)>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// At the beginning.
    pub(super) fn new(from: R) -> Self {
        Self { from, begun: None }
    }

    /// The next message, put together from its parts.
    ///
    /// # Errors
    /// The connection is over, or what came is no WebSocket.
    pub(super) async fn next(&mut self) -> Result<Message, Fault> {
        loop {
            let mut head = [0; 2];
            self.from.read_exact(&mut head).await?;
            let (is_last, kind) = (head[0] & 0x80 != 0, head[0] & 0x0f);
            if head[0] & 0x70 != 0 {
                return Err(fault(1002, "a frame uses an extension that was not agreed upon"));
            }
            if head[1] & 0x80 == 0 {
                return Err(fault(1002, "a frame is not masked"));
            }
            let length = self.length(head[1] & 0x7f).await?;
            let is_control = kind >= 8;
            if is_control && (length > MAX_CONTROL || !is_last) {
                return Err(fault(1002, "a control frame is too long or in parts"));
            }
            let held = self.begun.as_ref().map_or(0, |(_, bytes)| bytes.len());
            if length > MAX_MESSAGE || held + length > MAX_MESSAGE {
                return Err(fault(1009, "a message is longer than a MiB"));
            }
            let mut mask = [0; 4];
            self.from.read_exact(&mut mask).await?;
            let mut content = vec![0; length];
            self.from.read_exact(&mut content).await?;
            content.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            match (kind, &mut self.begun) {
                (0, Some((_, bytes))) => bytes.extend(content),
                (1 | 2, begun @ None) => *begun = Some((kind == 1, content)),
                (8, _) => {
                    let code = content.first_chunk().map_or(NORMAL, |code| u16::from_be_bytes(*code));
                    return Ok(Message::Close(code));
                }
                (9, _) => return Ok(Message::Ping(content)),
                (10, _) => return Ok(Message::Pong(content)),
                _ => return Err(fault(1002, "a frame comes where it must not")),
            }
            if is_last
                && !is_control
                && let Some((is_text, bytes)) = self.begun.take()
            {
                return match is_text {
                    true => String::from_utf8(bytes)
                        .map(Message::Text)
                        .map_err(|_| fault(1007, "a text is not UTF-8")),
                    false => Ok(Message::Binary(bytes)),
                };
            }
        }
    }

    async fn length(&mut self, short: u8) -> Result<usize, Fault> {
        let length = match short {
            126 => u64::from(self.from.read_u16().await?),
            127 => self.from.read_u64().await?,
            short => u64::from(short),
        };
        usize::try_from(length).map_err(|_| fault(1009, "a message is longer than a MiB"))
    }

    /// Takes what still comes until the other side ends: a connection that is closed with something unread is reset, and what
    /// was said last may be lost with it.
    pub(super) async fn drain(mut self) {
        let mut rest = [0; 1024];
        while self.from.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

/// Sends a message.
///
/// # Errors
/// The connection is broken.
pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), message: &Message) -> io::Result<()> {
    let code;
    let (kind, content): (u8, &[u8]) = match message {
        Message::Text(text) => (1, text.as_bytes()),
        Message::Binary(bytes) => (2, bytes),
        Message::Close(with) => {
            code = with.to_be_bytes();
            (8, &code)
        }
        Message::Ping(bytes) => (9, bytes),
        Message::Pong(bytes) => (10, bytes),
    };
    let mut frame = Vec::with_capacity(content.len() + 10);
    frame.push(0x80 | kind);
    match content.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(content);
    to.write_all(&frame).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a client sends it.
    fn frame(first: u8, content: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first];
        match content.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    async fn read(bytes: Vec<u8>) -> (Vec<Message>, Fault) {
        let mut reader = Reader::new(bytes.as_slice());
        let mut messages = Vec::new();
        loop {
            match reader.next().await {
                Ok(message) => messages.push(message),
                Err(fault) => return (messages, fault),
            }
        }
    }

    #[test]
    fn a_key_is_answered_as_the_standard_shows() {
        assert_eq!(answer_to("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_a_handshake_is_accepted() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            accept(&pairs.collect()).is_ok()
        };
        let upgrade = [("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")];
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        assert!(headers(&[upgrade[0], upgrade[1], key, version]));
        assert!(!headers(&[upgrade[0], key, version]));
        assert!(!headers(&[upgrade[1], key, version]));
        assert!(!headers(&[upgrade[0], upgrade[1], key, ("sec-websocket-version", "8")]));
        assert!(!headers(&[upgrade[0], upgrade[1], version, ("sec-websocket-key", "short")]));
    }

    #[tokio::test]
    async fn messages_are_put_together() {
        let long = vec![7; 70_000];
        let bytes = [
            frame(0x82, b"abc"),
            frame(0x01, "gr".as_bytes()),
            frame(0x89, b"there?"),
            frame(0x80, "öße".as_bytes()),
            frame(0x82, &long),
            frame(0x82, &[1; 300]),
            frame(0x88, &1000_u16.to_be_bytes()),
        ];
        let (messages, fault) = read(bytes.concat()).await;
        let wanted = [
            Message::Binary(b"abc".to_vec()),
            Message::Ping(b"there?".to_vec()),
            Message::Text("größe".into()),
            Message::Binary(long),
            Message::Binary(vec![1; 300]),
            Message::Close(1000),
        ];
        assert_eq!(messages, wanted);
        assert!(matches!(fault, Fault::Io(_)), "{fault}");
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_is_refused() {
        let endless = {
            let mut head = vec![0x82, 0x80 | 127];
            head.extend(u64::MAX.to_be_bytes());
            head
        };
        let part = vec![0; MAX_MESSAGE - 1];
        for (bytes, wanted) in [
            (vec![0x82, 0x01, b'x'], 1002),
            (frame(0xc2, b"x"), 1002),
            (frame(0x80, b"nothing has begun"), 1002),
            ([frame(0x02, b"a"), frame(0x82, b"b")].concat(), 1002),
            (frame(0x83, b""), 1002),
            (frame(0x09, b"in parts"), 1002),
            (frame(0x89, &[0; 126]), 1002),
            (frame(0x81, &[0xff, 0xfe]), 1007),
            (endless, 1009),
            ([frame(0x02, &part), frame(0x80, b"ab")].concat(), 1009),
        ] {
            let (messages, fault) = read(bytes).await;
            assert!(matches!(fault, Fault::Protocol { code, .. } if code == wanted), "{wanted}: {fault}");
            assert_eq!(messages, []);
        }
    }

    #[tokio::test]
    async fn what_is_sent_has_the_shortest_head() {
        for (length, head) in [(3, 2), (126, 4), (70_000, 10)] {
            let mut bytes = Vec::new();
            send(&mut bytes, &Message::Binary(vec![0; length])).await.unwrap();
            assert_eq!(bytes.len(), head + length);
            assert_eq!(bytes[0], 0x82);
        }
        let mut bytes = Vec::new();
        send(&mut bytes, &Message::Close(NORMAL)).await.unwrap();
        assert_eq!(bytes, [0x88, 2, 0x03, 0xe8]);
    }
}
