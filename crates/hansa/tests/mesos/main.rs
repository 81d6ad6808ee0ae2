//! Whether a master speaks Mesos' v1 API: what is sent, and what must come back.
//!
//! One readable case for each thing that clients rely on. All of it is plain HTTP by hand ([`wire`]), so it can be pointed
//! at any master that has at least two agents with 2 cpus and 1 GiB each and whose agents run on this machine:
//!
//! ```text
//! MESOS_MASTER=127.0.0.1:5050 cargo test -p hansa --test mesos
//! ```
//!
//! Otherwise clusters of our own are started. Cases of one file run one after the other, files beside each other. Words on
//! the command line choose cases by their names, `--list` lists them.
//!
//! A case's name begins with the row that it shows:
//!
//! | rows | what | files |
//! |---|---|---|
//! | A.1 | paths, media types, redirects, version, health | [`plumbing`] |
//! | A.2 | calls of schedulers | [`calls`] |
//! | A.3 | ACCEPT and its operations | [`operations`] |
//! | A.4 | offers, filters, who is offered what | [`offers`], [`sharing`] |
//! | A.5 | persistent volumes, reservations; volumes and GPUs of later tasks | [`volumes`], [`later`] |
//! | A.4, A.5 | what agents keep for roles, and disks of their own (clusters of our own only) | [`configured`] |
//! | A.6 | tasks' lives, reconciliation; machines that are lost (clusters of our own only) | [`tasks`], [`loss`] |
//! | A.7 | what tasks may ask for; containers inside of containers | [`containers`], [`features`], [`nested`] |
//! | A.8 | executors | [`executors`] |
//! | A.7, A.8 | images, networks, GPUs, timers (clusters of our own only) | [`apart`] |
//! | A.9 | operators' calls on masters and agents | [`operator`], [`stewards`], [`agents`] |
//! | A.11 | older endpoints that tell, and that change something | [`legacy`], [`forms`] |
//! | A.12 | names of metrics | [`scraped`] |
//! | C.1, C.6, C.7 | what is easily missed | [`meaning`] |
//! | C.2 | what is accepted though it is not as written | [`lenient`] |
//! | C.4 | streams, byte by byte | [`streams`] |
//! | C.5 | the order of checks and their statuses | [`checks`] |

mod agents;
mod apart;
mod calls;
mod checks;
mod configured;
mod containers;
mod executors;
mod features;
mod forms;
#[path = "../../../hansa-images/tests/support/mod.rs"]
mod images;
mod later;
mod legacy;
mod lenient;
mod loss;
mod meaning;
mod nested;
mod offers;
mod operations;
mod operator;
mod plumbing;
mod scheduler;
mod scraped;
mod sharing;
mod stewards;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod volumes;
mod wire;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Mutex;
use support::Cluster;

/// Longer than anything takes on a slow and busy machine.
const PATIENCE: std::time::Duration = support::PATIENCE;

/// How many clusters run beside each other.
const LANES: usize = 2;

/// What a case is given.
pub struct World {
    /// The master's `host:port`.
    pub master: String,
    /// The cluster behind it, if it is one of ours.
    pub cluster: Option<Cluster>,
}

/// One thing that clients rely on.
pub struct Case {
    name: &'static str,
    run: for<'w> fn(&'w World) -> Pin<Box<dyn Future<Output = ()> + 'w>>,
}

/// Lists functions with what they show.
#[macro_export]
macro_rules! cases {
    ($($function:ident: $name:literal,)*) => {
        /// The cases of this file.
        pub const CASES: &[$crate::Case] =
            &[$($crate::Case { name: $name, run: |world| Box::pin($function(world)) }),*];
    };
}

/// The files with their sections.
const SECTIONS: &[(&str, &[Case])] = &[
    ("A.6", loss::CASES),
    ("A.6", tasks::CASES),
    ("A.3", operations::CASES),
    ("A.8", executors::CASES),
    ("A.2", calls::CASES),
    ("A.4", offers::CASES),
    ("A.4", sharing::CASES),
    ("A.5", volumes::CASES),
    ("A.5", later::CASES),
    // Each name says which of them.
    ("", configured::CASES),
    ("C.5", checks::CASES),
    ("C.4", streams::CASES),
    ("C.2", lenient::CASES),
    ("A.7", containers::CASES),
    ("A.7", features::CASES),
    ("A.7", nested::CASES),
    ("A.9", operator::CASES),
    ("A.9", stewards::CASES),
    ("A.9", agents::CASES),
    ("A.11", legacy::CASES),
    ("A.11", forms::CASES),
    ("A.12", scraped::CASES),
    // Each name says which of them.
    ("", meaning::CASES),
    ("", apart::CASES),
    ("A.1", plumbing::CASES),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let all = SECTIONS.iter().map(|(section, cases)| {
        let named = cases.iter().map(|case| (format!("{section} {}", case.name).trim().to_owned(), case));
        let chosen = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(*filter));
        named.filter(|(name, _)| chosen(name)).collect::<Vec<_>>()
    });
    let queue: VecDeque<Vec<(String, &Case)>> = all.filter(|cases| !cases.is_empty()).collect();
    if words.iter().any(|word| word == "--list") {
        queue.iter().flatten().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let lanes = match std::env::var("MESOS_MASTER") {
        Ok(_) => 1,
        Err(_) => LANES.min(queue.len()),
    };
    let queue = Mutex::new(queue);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(|| lane(&queue))).collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().unwrap_or_else(|_| vec!["a lane broke".into()]))
            .collect()
    });
    let passed = PASSED.load(std::sync::atomic::Ordering::SeqCst);
    for name in &failed {
        println!("failed: {name}");
    }
    println!("\n{passed} passed, {} failed", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

static PASSED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Takes sections until there are none, on one cluster; the names of the cases that failed.
fn lane(queue: &Mutex<VecDeque<Vec<(String, &Case)>>>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let world = runtime.block_on(async {
        match std::env::var("MESOS_MASTER") {
            Ok(master) => World { master, cluster: None },
            Err(_) => {
                let cluster = Cluster::start_with(2, &["--allow-exec"]).await;
                World { master: cluster.http.base.replace("http://", ""), cluster: Some(cluster) }
            }
        }
    });
    let mut failed = Vec::new();
    loop {
        let Some(cases) = queue.lock().expect("nobody panics with it").pop_front() else { break };
        for (name, case) in cases {
            let begun = std::time::Instant::now();
            let good = catch_unwind(AssertUnwindSafe(|| runtime.block_on((case.run)(&world)))).is_ok();
            println!(
                "test {name} ... {} ({} ms)",
                if good { "ok" } else { "FAILED" },
                begun.elapsed().as_millis()
            );
            match good {
                true => drop(PASSED.fetch_add(1, std::sync::atomic::Ordering::SeqCst)),
                false => failed.push(name),
            }
        }
    }
    // Its end waits for children; that is no place for async.
    drop(world);
    failed
}
