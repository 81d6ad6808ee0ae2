//! What tests and benches need from the machine besides Rust: looked for, installed where that is possible, else asked for in
//! one line.

use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// Something a step needs.
struct Need {
    /// How to find out whether it is there.
    probe: &'static [&'static str],
    /// Debian's packages that bring it.
    packages: &'static [&'static str],
    /// Whether tests that miss it skip themselves, and say so.
    optional: bool,
}

/// How to find out whether there is a browser.
const BROWSER: &[&str] = &["/usr/bin/chromium", "--version"];

const NEEDS: &[Need] = &[
    Need { probe: &["cc", "--version"], packages: &["gcc", "libc6-dev"], optional: false },
    Need { probe: &["npm", "--version"], packages: &["nodejs", "npm"], optional: false },
    // `venv` alone is there also where its `ensurepip` is not.
    Need {
        probe: &["python3", "-c", "import venv, ensurepip"],
        packages: &["python3", "python3-venv"],
        optional: false,
    },
    // A registry, and what images in tests are made of.
    Need { probe: &["docker-registry", "--version"], packages: &["docker-registry"], optional: true },
    Need { probe: &["/bin/busybox", "true"], packages: &["busybox-static"], optional: true },
    Need { probe: &["/usr/sbin/nginx", "-v"], packages: &["nginx-light"], optional: true },
    Need { probe: &["redis-server", "--version"], packages: &["redis-server"], optional: true },
    // Networks for tests alone.
    Need { probe: &["ip", "-V"], packages: &["iproute2"], optional: true },
    // For the console's pages.
    Need { probe: BROWSER, packages: &["chromium"], optional: true },
    // For a guest with cgroup v2; only kernels of this architecture boot in it.
    #[cfg(target_arch = "x86_64")]
    Need { probe: &["qemu-system-x86_64", "--version"], packages: &["qemu-system-x86"], optional: true },
];

/// What benches compare with; a bench that misses one leaves it out, and says so.
const RIVALS: &[Need] = &[
    Need { probe: &["runc", "--version"], packages: &["runc"], optional: true },
    Need { probe: &["crun", "--version"], packages: &["crun"], optional: true },
    Need { probe: &["/usr/sbin/dockerd", "--version"], packages: &["docker.io"], optional: true },
    Need { probe: &["skopeo", "--version"], packages: &["skopeo"], optional: true },
    Need { probe: &["umoci", "--version"], packages: &["umoci"], optional: true },
];

/// Makes sure that everything is there that tests need.
pub fn provide() -> Result<()> {
    install(&missing(NEEDS, |_| true))?;
    let missing = missing(NEEDS, |need| !need.optional);
    if !missing.is_empty() {
        bail!("the tests need: {0}. On Debian or Ubuntu: apt-get install -y {0}", missing.join(" "));
    }
    Ok(())
}

/// The same for benches of containers.
pub fn provide_for_benches() -> Result<()> {
    provide()?;
    install(&missing(RIVALS, |_| true))
}

/// Whether pages can be looked at in a browser.
pub fn has_browser() -> bool {
    works(BROWSER)
}

/// Installs packages if there are any to install, and this is a system and a user that can.
fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() || !is_root() || !works(&["apt-get", "--version"]) {
        return Ok(());
    }
    println!("installing from the system: {}", packages.join(" "));
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], packages].concat())
}

fn missing(needs: &[Need], asked: impl Fn(&Need) -> bool) -> Vec<&'static str> {
    needs
        .iter()
        .filter(|need| asked(need) && !works(need.probe))
        .flat_map(|need| need.packages)
        .copied()
        .collect()
}

fn works(command: &[&str]) -> bool {
    let mut run = Command::new(command[0]);
    run.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    run.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status()?;
    if !status.success() {
        bail!("apt-get {} failed", arguments.join(" "));
    }
    Ok(())
}
