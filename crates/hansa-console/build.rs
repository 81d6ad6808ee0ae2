//! Release builds build the web UI first, so that the program has it inside. Development and test builds never need
//! npm: they serve what was built by hand, or a plain page.
//!
//! `HANSA_UI=build` builds it in any profile, `HANSA_UI=skip` in none.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// What the built UI depends on, in `ui/`.
const INPUTS: [&str; 7] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

fn main() -> Result<(), String> {
    let here = env::var("CARGO_MANIFEST_DIR").map_err(|error| error.to_string())?;
    let ui = Path::new(&here).join("../../ui");
    // The program reads from this folder later, and only if it was there when the program was built.
    fs::create_dir_all(ui.join("dist"))
        .map_err(|error| format!("cannot make {}/dist: {error}", ui.display()))?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HANSA_UI");
    // Cargo takes a file that is not there for changed, every time.
    for input in INPUTS.iter().map(|input| ui.join(input)).filter(|input| input.exists()) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let is_wanted = match env::var("HANSA_UI").as_deref() {
        Ok("build") => true,
        Ok("skip") => false,
        _ => is_release,
    };
    if is_wanted && ui.join("package.json").exists() {
        if !is_installed(&ui) {
            npm(&ui, &["ci", "--no-audit", "--no-fund"])?;
        }
        npm(&ui, &["run", "build"])?;
    }
    Ok(())
}

/// Whether `node_modules` is what the lock file says.
fn is_installed(ui: &Path) -> bool {
    let changed = |file: &str| fs::metadata(ui.join(file)).and_then(|metadata| metadata.modified()).ok();
    let (installed, locked) = (changed("node_modules/.package-lock.json"), changed("package-lock.json"));
    installed.is_some() && installed >= locked
}

fn npm(ui: &Path, arguments: &[&str]) -> Result<(), String> {
    let command = format!("npm {}", arguments.join(" "));
    let hint = "the console is built with Node and npm; HANSA_UI=skip builds the program without it";
    match Command::new("npm").args(arguments).current_dir(ui).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command} in {}: {status} ({hint})", ui.display())),
        Err(error) => Err(format!("{command}: {error} ({hint})")),
    }
}
