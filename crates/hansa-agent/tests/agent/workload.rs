//! What runs in containers of tests: `workload serve <port> <name>` and `workload ask <tcp|udp> <address>`.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Nothing that works takes longer than a moment.
const PATIENCE: Duration = Duration::from_secs(3);

/// Never returns.
pub fn main(args: &[OsString]) -> ! {
    let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap()).collect();
    match words[..] {
        ["serve", port, name] => serve(port.parse().unwrap(), name),
        ["ask", protocol, address] => {
            println!("{}", ask(protocol, address));
            std::process::exit(0)
        }
        _ => panic!("{words:?}"),
    }
}

/// Answers every TCP connection and every UDP datagram on a port with its name and who asks. To `GET` it speaks HTTP.
fn serve(port: u16, name: &str) -> ! {
    let datagrams = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let own = name.to_owned();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = datagrams.recv_from(&mut buffer) {
            let _ = datagrams.send_to(format!("{own} {}", from.ip()).as_bytes(), from);
        }
    });
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    println!("serves");
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let name = name.to_owned();
        std::thread::spawn(move || answer(&mut stream, &name));
    }
    unreachable!()
}

fn answer(stream: &mut TcpStream, name: &str) {
    let from = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer).unwrap_or_default();
    let said = format!("{name} {from}");
    let _ = match buffer[..length].starts_with(b"GET ") {
        true => write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
            said.len()
        ),
        false => write!(stream, "{said}"),
    };
}

/// What the server at an address says, or why it says nothing.
pub fn ask(protocol: &str, address: &str) -> String {
    let asked = match protocol {
        "tcp" => ask_tcp(address),
        "udp" => ask_udp(&UdpSocket::bind("0.0.0.0:0").unwrap(), address),
        _ => panic!("{protocol}"),
    };
    asked.unwrap_or_else(|error| format!("{:?}", error.kind()))
}

fn ask_tcp(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse().unwrap(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"who\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// Asks from this socket, again and again as is usual with datagrams.
pub fn ask_udp(socket: &UdpSocket, address: &str) -> std::io::Result<String> {
    socket.set_read_timeout(Some(PATIENCE / 10))?;
    let begin = Instant::now();
    let mut buffer = [0; 64];
    loop {
        socket.send_to(b"who", address)?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Ok(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Err(_) if begin.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
    }
}
