//! Images from registries: Debian's `docker-registry`, and one made here that does what no honest one does.

mod fake;
mod faults;
mod logins;
mod secure;
mod sharing;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

use hansa_images::{Failure, Image, Images, Request, Settings};
use std::path::Path;
use std::time::Duration;

/// A store in this directory that tries again at once and does not mind a full disk.
fn settings(root: &Path) -> Settings {
    let mut settings = Settings::new(root);
    settings.retry_pause = Duration::from_millis(1);
    settings.limits.reserve_bytes = 1 << 20;
    settings.limits.reserve_inodes = 10;
    // However full the machine's disk is, nothing is collected behind a test's back.
    settings.high_percent = 100;
    settings
}

fn request<'a>(reference: &'a str, holder: &'a str) -> Request<'a> {
    Request { reference, force_pull: false, logins: None, holder }
}

async fn acquire(images: &Images, reference: &str) -> Result<Image, Failure> {
    images.acquire(&request(reference, "test"), |_| {}).await
}

/// Files in the store that belong to half-made things.
fn half_made(root: &Path) -> usize {
    std::fs::read_dir(root.join("tmp")).unwrap().count()
}

/// Waits for something that is about to hold.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(tokio::time::Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
