//! What the demo runs: the program itself, since nothing else can be assumed to be installed.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A tiny web server on `$PORT0` that tells which instance answers.
pub fn web() -> std::io::Result<()> {
    end_on_sigterm();
    let port: u16 = env("PORT0").parse().unwrap_or(0);
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    println!("listening on port {}", listener.local_addr()?.port());
    let started = Instant::now();
    for (served, stream) in (1u64..).zip(listener.incoming()) {
        let Ok(stream) = stream else { continue };
        // One thread for each connection: a client that says nothing keeps nobody else waiting.
        std::thread::spawn(move || {
            if let Err(error) = answer(stream, served, started) {
                eprintln!("a client went away: {error}");
            }
        });
    }
    Ok(())
}

fn answer(stream: TcpStream, served: u64, started: Instant) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    if path != "/health" {
        println!("{request}");
    }
    let body = match path {
        "/health" => "healthy\n".to_owned(),
        _ => format!(
            "Hello from {}\n\nservice   {}\nmachine   {}\nport      {}\nrequest   {served}\nup        {} s\n",
            env("MESOS_TASK_ID"),
            env("MARATHON_APP_ID"),
            env("HOST"),
            env("PORT0"),
            started.elapsed().as_secs()
        ),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(body.as_bytes())
}

/// Counts primes, a little every second, and holds some memory.
pub fn worker() -> std::io::Result<()> {
    end_on_sigterm();
    // Written to, so that it is really used.
    let mut memory = vec![1u8; 16 << 20];
    let mut candidate = 2u64;
    let mut found = 0u64;
    for round in 0u64.. {
        let until = Instant::now() + Duration::from_millis(30);
        while Instant::now() < until {
            found += u64::from(
                (2..)
                    .take_while(|divisor| divisor * divisor <= candidate)
                    .all(|divisor| !u64::is_multiple_of(candidate, divisor)),
            );
            candidate += 1;
        }
        let at = usize::try_from(round).unwrap_or(0) * 4096 % memory.len();
        memory[at] = memory[at].wrapping_add(1);
        if round % 10 == 0 {
            println!("{found} primes below {candidate}");
        }
        std::thread::sleep(Duration::from_millis(970));
    }
    Ok(())
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| "?".into())
}

/// As a container's first process a program without a handler does not even notice SIGTERM.
fn end_on_sigterm() {
    extern "C" fn end(_: libc::c_int) {
        // SAFETY: `_exit` is allowed in signal handlers.
        unsafe { libc::_exit(0) }
    }
    let handler: extern "C" fn(libc::c_int) = end;
    // SAFETY: the handler does nothing but end the process.
    unsafe {
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
    }
}
