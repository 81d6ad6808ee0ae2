//! What containers run: small programs inside this binary.

use std::ffi::OsString;
use std::hint::black_box;
use std::io::Write;

pub fn main(args: &[OsString]) -> ! {
    let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap()).collect();
    match words[..] {
        ["eat", megabytes] => eat(megabytes.parse().unwrap()),
        ["eat-and-spin", megabytes] => {
            let eaten = vec![1u8; megabytes.parse::<usize>().unwrap() << 20];
            spin(1);
            drop(black_box(eaten));
        }
        ["probe"] => crate::probe::run(),
        ["missing"] => {
            for line in hansa_agent::launcher::missing_isolation() {
                println!("{line}");
            }
        }
        ["fences"] => fences(),
        ["spin", threads] => spin(threads.parse().unwrap()),
        ["agent", runtime_dir, spec] => agent(runtime_dir, spec),
        ["fork-bomb"] => fork_bomb(),
        ["shout", megabytes] => shout(megabytes.parse().unwrap()),
        ref other => panic!("no such workload: {other:?}"),
    }
    std::process::exit(0)
}

/// In a line: effective and bounding capabilities, no_new_privs, seccomp mode, and what `unshare` gives.
fn fences() {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    // SAFETY: no memory is passed.
    let code = unsafe { libc::unshare(0) };
    let denied = code != 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
    let unshare = if denied { "EPERM" } else { "done" };
    let status = ["CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"].map(field).join(" ");
    println!("{status} {unshare}");
}

/// Starts a container as an agent does, and then just lives.
fn agent(runtime_dir: &str, spec: &str) {
    let spec = serde_json::from_str(&std::fs::read_to_string(spec).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let exe = std::env::current_exe().unwrap();
        let client = hansa_agent::shim::spawn(runtime_dir.as_ref(), &spec, &exe).await.unwrap();
        let _ = client.wait().await;
    });
}

/// Uses so many processors, for ever.
fn spin(threads: usize) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    black_box(0u64);
                }
            });
        }
    });
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
