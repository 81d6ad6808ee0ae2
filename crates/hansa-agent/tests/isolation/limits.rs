//! Limits that hold, and that say so.

use crate::Test;
use crate::fixture::Fixture;
use hansa_agent::cgroup::Driver;
use hansa_agent::shim::{Cause, ShimSpec};
use hansa_model::task::Exit;

pub fn tests() -> Vec<Test> {
    let test = |name, run| Test { name, needs_root: true, run, plain: false };
    vec![
        test("a memory hog is killed, with used and limit", memory_hog),
        test("a memory hog among several processes ends the container", memory_hog_beside_others),
        test("a fork bomb stays below its limit and hurts nobody", fork_bomb),
        test("half a cpu gets half of what a whole one gets", cpu_shares),
        test("a quota holds on an idle machine", cpu_quota),
        test("a gigabyte of output is bounded on disk", much_output),
        test("what a container uses is measured", stats),
    ]
}

const MEGABYTE: u64 = 1 << 20;

fn limited(mut spec: ShimSpec, megabytes: u64) -> ShimSpec {
    spec.limits.memory_bytes = Some(megabytes * MEGABYTE);
    spec
}

fn memory_hog() {
    let fixture = Fixture::new();
    let record = fixture.run(&limited(fixture.workload("c", &["eat", "200"]), 32));
    assert_eq!((record.cause, record.exit), (Cause::OutOfMemory, Some(Exit::Signal(libc::SIGKILL))));
    let limitation = record.limitation.clone().unwrap();
    assert_eq!(limitation.limit, 32 * MEGABYTE);
    assert!(limitation.used > 31 * MEGABYTE && limitation.used <= 33 * MEGABYTE, "{limitation:?}");
    assert_eq!(fixture.stdout("c"), "");
    // The same within its limit.
    let record = fixture.run(&limited(fixture.workload("d", &["eat", "16"]), 64));
    assert_eq!((record.cause, record.exit, &record.limitation), (Cause::Exited, Some(Exit::Code(0)), &None));
    assert_eq!(fixture.stdout("d"), "ate 16\n");
    fixture.assert_nothing_left();
}

fn memory_hog_beside_others() {
    let fixture = Fixture::new();
    let exe = crate::fixture::exe();
    let script = format!("{} workload eat 200 & sleep 1000", exe.display());
    let record = fixture.run(&limited(fixture.shell("c", &script), 32));
    assert_eq!((record.cause, record.exit), (Cause::OutOfMemory, Some(Exit::Signal(libc::SIGKILL))));
    fixture.assert_nothing_left();
}

fn fork_bomb() {
    let fixture = Fixture::new();
    let neighbour =
        fixture.spawn(&fixture.shell("neighbour", "while :; do /bin/true && echo alive; sleep 0.01; done"));
    let mut spec = fixture.workload("bomb", &["fork-bomb"]);
    spec.limits.pids = 50;
    let record = fixture.run(&spec);
    assert_eq!(record.exit, Some(Exit::Code(0)));
    // Its init and itself count, too.
    assert_eq!(fixture.stdout("bomb"), "48 Resource temporarily unavailable (os error 11)\n");
    let lines = fixture.stdout("neighbour").len();
    fixture.until("the neighbour forks on", || fixture.stdout("neighbour").len() > lines);
    fixture.within(neighbour.kill()).unwrap();
    fixture.wait(&neighbour);
    fixture.assert_nothing_left();
}

/// CPU nanoseconds that containers have used, in order.
fn used(fixture: &Fixture, names: &[&str]) -> Vec<f64> {
    let driver = Driver::detect().driver.unwrap();
    let cpu = |name: &&str| {
        driver.container(&fixture.agent, name).sampler().unwrap().sample().unwrap().cpu_ns.unwrap() as f64
    };
    names.iter().map(cpu).collect()
}

fn cpu_shares() {
    let fixture = Fixture::new();
    // Several threads of each for each processor: the machine is full whatever else it does, and the kernel cannot spread
    // them so badly that every processor is left to one container.
    let threads = 4 * std::thread::available_parallelism().unwrap().get();
    let names = ["half", "whole"];
    let clients = [500, 1000].map(|millis| {
        let name = if millis == 500 { "half" } else { "whole" };
        let mut spec = fixture.workload(name, &["spin", &threads.to_string()]);
        spec.limits.cpu_millis = Some(millis);
        fixture.spawn(&spec)
    });
    fixture.until("both spin", || used(&fixture, &names).iter().all(|ns| *ns > 1e7));
    let begin = used(&fixture, &names);
    let delta =
        || -> Vec<f64> { used(&fixture, &names).iter().zip(&begin).map(|(now, then)| now - then).collect() };
    fixture.until("four seconds of cpu are used", || delta().iter().sum::<f64>() > 4e9);
    let [half, whole] = delta()[..] else { unreachable!() };
    let ratio = half / whole;
    println!("  half a cpu got {ratio:.3} of what a whole one got");
    assert!((0.3..0.8).contains(&ratio), "{ratio}");
    for client in &clients {
        fixture.within(client.kill()).unwrap();
        fixture.wait(client);
    }
    fixture.assert_nothing_left();
}

fn cpu_quota() {
    let fixture = Fixture::new();
    let mut spec = fixture.workload("c", &["spin", "1"]);
    spec.limits.cpu_millis = Some(100);
    spec.limits.cpu_quota = true;
    let client = fixture.spawn(&spec);
    fixture.until("it spins", || used(&fixture, &["c"])[0] > 1e7);
    let (begin, clock) = (used(&fixture, &["c"])[0], std::time::Instant::now());
    fixture.until("some periods pass", || clock.elapsed().as_millis() > 700);
    let share = (used(&fixture, &["c"])[0] - begin) / clock.elapsed().as_nanos() as f64;
    println!("  a tenth of a cpu used {share:.3} of one");
    // Never more, however busy the machine is; a period more or less at the ends.
    assert!(share < 0.2, "{share}");
    fixture.within(client.kill()).unwrap();
    fixture.wait(&client);
}

fn much_output() {
    let fixture = Fixture::new();
    // An emulated machine is spared the gigabyte.
    let megabytes: u64 = if std::env::var_os(crate::guest::INSIDE).is_some() { 48 } else { 1024 };
    let mut spec = fixture.workload("c", &["shout", &megabytes.to_string()]);
    spec.output.max_bytes = 4 * MEGABYTE;
    spec.output.files = 3;
    let begin = std::time::Instant::now();
    let record = fixture.run(&spec);
    println!("  {megabytes} MiB of output took {} ms", begin.elapsed().as_millis());
    assert_eq!((record.exit, record.output_lost_bytes), (Some(Exit::Code(0)), 0));
    let mut names: Vec<String> = std::fs::read_dir(fixture.sandbox("c"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["stderr", "stdout", "stdout.1", "stdout.2"]);
    let parts = ["stdout.2", "stdout.1", "stdout"].map(|name| fixture.file("c", name));
    assert!(parts.iter().all(|part| part.len() as u64 <= 4 * MEGABYTE && part.ends_with('\n')));
    // Not a line is missing between the oldest kept and the last.
    let all = parts.concat();
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.last(), Some(&"the end"));
    let numbers: Vec<u64> = lines[..lines.len() - 1].iter().map(|line| line[..9].parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(numbers.last(), Some(&(megabytes * 1024 - 1)));
    assert!(all.len() as u64 > 8 * MEGABYTE);
    fixture.assert_nothing_left();
}

fn stats() {
    let fixture = Fixture::new();
    let driver = Driver::detect().driver.unwrap();
    let client = fixture.spawn(&limited(fixture.workload("c", &["eat-and-spin", "40"]), 256));
    fixture.until("it has eaten and spun", || {
        let stats = client.stats(&driver).unwrap();
        // Its init, itself, and the thread that spins.
        stats.memory_bytes.unwrap() > 40 * MEGABYTE
            && stats.cpu_ns.unwrap() > 20_000_000
            && stats.pids == Some(3)
    });
    let stats = client.stats(&driver).unwrap();
    assert_eq!(stats.oom_kills, Some(0));
    assert!(stats.memory_bytes.unwrap() < 60 * MEGABYTE, "{stats:?}");
    fixture.within(client.kill()).unwrap();
    let record = fixture.wait(&client);
    assert!(record.cpu_ns.unwrap() >= stats.cpu_ns.unwrap());
    assert!(record.memory_peak_bytes.is_none_or(|peak| peak > 40 * MEGABYTE));
    assert_eq!(client.stats(&driver), None);
    fixture.assert_nothing_left();
}

/// How long a start and an end take, and how much memory a shim holds. Not a test: figures depend on the machine.
pub fn bench() {
    let fixture = Fixture::new();
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    // So that the agent's directory stays and counts.
    let keeper = fixture.spawn(&fixture.shell("keeper", "sleep 1000"));
    for n in 0..200 {
        let spec = fixture.shell(&format!("c{n}"), "exit 0");
        let begin = std::time::Instant::now();
        let client = fixture.spawn(&spec);
        starts.push(begin.elapsed().as_micros());
        fixture.wait(&client);
        ends.push(begin.elapsed().as_micros());
    }
    for (what, mut times) in [("start", starts), ("start to end", ends)] {
        times.sort_unstable();
        println!("{what}: p50 {} us, p99 {} us", times[times.len() / 2], times[times.len() * 99 / 100]);
    }
    let client = fixture.spawn(&fixture.shell("memory", "sleep 1000"));
    if let Some(dir) = fixture.cgroups().iter().find(|dir| dir.join("cpuacct.usage").exists()) {
        let used = std::fs::read_to_string(dir.join("cpuacct.usage")).unwrap();
        println!("cpu of each: {} us", used.trim().parse::<u64>().unwrap() / 1000 / 202);
    }
    for (what, pid) in [("shim", client.started().shim.pid), ("init", client.started().init.pid)] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let kept = |line: &&str| ["Rss:", "Pss:", "Private_Dirty:"].iter().any(|name| line.starts_with(name));
        let lines: Vec<&str> = text.lines().filter(kept).collect();
        println!("{what}: {}", lines.join(", ").replace("  ", ""));
    }
    drop(keeper);
}
