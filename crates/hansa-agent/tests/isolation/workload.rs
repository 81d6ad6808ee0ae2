//! What containers run: small programs inside this binary.

use std::ffi::OsString;
use std::hint::black_box;
use std::io::Write;

pub fn main(args: &[OsString]) -> ! {
    let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap()).collect();
    match words[..] {
        ["eat", megabytes] => eat(megabytes.parse().unwrap()),
        ["spin"] => loop {
            black_box(0u64);
        },
        ["fork-bomb"] => fork_bomb(),
        ["shout", megabytes] => shout(megabytes.parse().unwrap()),
        ref other => panic!("no such workload: {other:?}"),
    }
    std::process::exit(0)
}

/// Uses memory, megabyte by megabyte, and says how much.
fn eat(megabytes: usize) {
    let mut kept = Vec::new();
    for _ in 0..megabytes {
        kept.push(vec![1u8; 1 << 20]);
    }
    println!("ate {}", black_box(kept).len());
}

/// Forks until the kernel refuses, says how often it worked, and stays.
fn fork_bomb() {
    let mut children = 0;
    loop {
        // SAFETY: the child only waits.
        match unsafe { libc::fork() } {
            -1 => break,
            0 => loop {
                // SAFETY: no memory is passed.
                unsafe { libc::pause() };
            },
            _ => children += 1,
        }
    }
    println!("{children} {}", std::io::Error::last_os_error());
}

/// Writes numbered lines of 1 KiB, so many MiB in all, and at the end a last line.
fn shout(megabytes: usize) {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let filler = "x".repeat(1013);
    for line in 0..megabytes * 1024 {
        writeln!(out, "{line:09} {filler}").unwrap();
    }
    writeln!(out, "the end").unwrap();
    out.flush().unwrap();
}
