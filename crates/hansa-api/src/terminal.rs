//! A terminal in a task's container over a WebSocket: `GET /hansa/v1/tasks/{id}/terminal?command=&columns=&rows=`.
//!
//! Binary messages are bytes, of the keyboard from the client and of the screen from the server. Text messages are JSON: the
//! client's are [`Asks`], the server's is one [`Says`], the last before it closes. What agents speak is [`crate::exec`].

use crate::exec::Size;
use crate::hansa::Error;
use hansa_model::task::Exit;
use serde::{Deserialize, Serialize};

/// What a client says besides its input: `{"resize":{"columns":80,"rows":24}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// The window has another size.
    Resize(Size),
}

/// The last word of the server: `{"exit":{"code":0}}`, `{"exit":{"signal":9}}` or `{"error":{…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// The command ended like this.
    Exit(Exit),
    /// There is no command, or nobody knows how it ended.
    Error(Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_promised() {
        let text = |says: Says| serde_json::to_string(&says).unwrap();
        assert_eq!(text(Says::Exit(Exit::Code(0))), r#"{"exit":{"code":0}}"#);
        assert_eq!(text(Says::Exit(Exit::Signal(9))), r#"{"exit":{"signal":9}}"#);
        let asked: Asks = serde_json::from_str(r#"{"resize":{"columns":80,"rows":24}}"#).unwrap();
        assert_eq!(asked, Asks::Resize(Size { rows: 24, columns: 80 }));
    }
}
