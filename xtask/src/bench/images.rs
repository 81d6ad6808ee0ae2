//! Containers of images: a bench program of the `hansa` package, which shares its images, its clients and its clusters with
//! that package's tests.

use crate::system;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// Runs it; what it compares with is installed first where that is possible, and left out where it is not.
pub fn images(root: &Path) -> Result<()> {
    system::provide_for_benches()?;
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).args(["bench", "--quiet", "-p", "hansa", "--bench", "images"]);
    let status = command.status()?;
    if !status.success() {
        bail!("it ended with {status}");
    }
    Ok(())
}
