//! Marathon's event stream, read without anything in between, so that the moment of an event is known.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Events of tasks' states as they come.
pub struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    /// Follows a master; everything from here on is heard.
    pub fn open(master: &str) -> Self {
        let path = "/v2/events?event_type=status_update_event";
        let mut lines = BufReader::new(send(master, "GET", path, "", "text/event-stream"));
        // The head ends with an empty line; the events begin after it.
        let mut line = String::new();
        while lines.read_line(&mut line).expect("the stream's head") > 2 {
            line.clear();
        }
        Self { lines }
    }

    /// Waits until so many tasks of an app run.
    pub fn running(&mut self, app: &str, count: usize) {
        let wanted = format!("\"appId\":\"{app}\"");
        let (mut line, mut seen) = (String::new(), 0);
        while seen < count {
            line.clear();
            assert!(self.lines.read_line(&mut line).expect("an event") > 0, "the event stream ended");
            if line.contains(&wanted) {
                assert!(!line.contains("TASK_FAILED"), "{line}");
                seen += usize::from(line.contains("TASK_RUNNING"));
            }
        }
    }
}

/// Sends an app; its answer is read once the app runs, so that reading it costs no time before.
pub fn post(master: &str, app: &serde_json::Value) -> Posted {
    Posted(send(master, "POST", "/v2/apps", &app.to_string(), "application/json"))
}

/// The answer to come.
pub struct Posted(TcpStream);

impl Posted {
    /// Panics unless it was taken.
    pub fn taken(mut self) {
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

fn send(master: &str, method: &str, path: &str, body: &str, accept: &str) -> TcpStream {
    let address = master.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the master");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a socket");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("the request is sent");
    stream
}
