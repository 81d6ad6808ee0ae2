//! What clients of the services say, in their protocols' own words.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer may take longer.
pub const LIMIT: Duration = Duration::from_secs(10);

/// A mapped port as this machine reaches it.
pub fn here(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// One GET over a connection of its own: the text of a 200.
///
/// # Errors
/// Everything else, in words.
pub fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let talk = || -> std::io::Result<String> {
        let mut stream = connect(address)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = talk().map_err(|error| error.to_string())?;
    match answer.split_once("\r\n\r\n") {
        Some((head, text)) if head.starts_with("HTTP/1.1 200 ") => Ok(text.trim().to_owned()),
        _ => Err(format!("answered {answer:?}")),
    }
}

/// One command to redis: its answer without the protocol around it.
///
/// # Errors
/// There was none, or it is an error; in words.
pub fn redis(address: SocketAddr, command: &str) -> Result<String, String> {
    let talk = || -> std::io::Result<String> {
        let mut stream = connect(address)?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut lines = BufReader::new(stream).lines();
        let mut line = || lines.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()));
        let head = line()?;
        match head.as_bytes().first() {
            Some(b'$') if head != "$-1" => line(),
            Some(b'-') => Err(std::io::Error::other(head)),
            _ => Ok(head.trim_start_matches(['+', ':', '$']).to_owned()),
        }
    };
    talk().map_err(|error| error.to_string())
}
