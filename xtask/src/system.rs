//! What the tests need from the machine besides Rust: looked for, installed where that is possible, else asked for in
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
    // For a guest with cgroup v2; only kernels of this architecture boot in it.
    #[cfg(target_arch = "x86_64")]
    Need { probe: &["qemu-system-x86_64", "--version"], packages: &["qemu-system-x86"], optional: true },
];

/// Makes sure that everything is there.
pub fn provide() -> Result<()> {
    let missing = missing(|_| true);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if is_root() && works(&["apt-get", "--version"]) {
        println!("installing from the system: {packages}");
        apt(&["update", "-q"])?;
        let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
        install.extend(&missing);
        apt(&install)?;
    }
    let missing = self::missing(|need| !need.optional);
    if !missing.is_empty() {
        bail!("the tests need: {0}. On Debian or Ubuntu: apt-get install -y {0}", missing.join(" "));
    }
    Ok(())
}

fn missing(asked: impl Fn(&Need) -> bool) -> Vec<&'static str> {
    NEEDS
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
