//! What the program logs: to stderr, what `HANSA_LOG` or the caller chooses, and for a while more when somebody asks.

use hansa_master::options::Verbosity;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tracing::{info, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// What is logged unless something else is asked for.
pub const FILTER: &str = "warn,hansa=info";

/// What can be changed while the program runs.
struct Loudness {
    handle: reload::Handle<EnvFilter, Registry>,
    /// What is logged at level 0.
    usual: String,
    level: u32,
    /// How often the level was set.
    times: u64,
}

static LOUDNESS: OnceLock<Mutex<Loudness>> = OnceLock::new();

/// Starts logging; a second call in one process (a test) changes nothing.
pub fn start(filter: &str) {
    let usual = std::env::var("HANSA_LOG").ok().filter(|text| EnvFilter::try_new(text).is_ok());
    let usual = usual.unwrap_or_else(|| filter.to_owned());
    let (layer, handle) = reload::Layer::new(EnvFilter::new(&usual));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    if tracing_subscriber::registry().with(layer).with(lines).try_init().is_ok() {
        let _ = LOUDNESS.set(Mutex::new(Loudness { handle, usual, level: 0, times: 0 }));
    }
}

/// The way for others to change it.
pub fn verbosity() -> Verbosity {
    Verbosity { get: level, set }
}

fn with<T>(look: impl FnOnce(&mut Loudness) -> T) -> Option<T> {
    LOUDNESS.get().map(|loudness| look(&mut loudness.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn level() -> u32 {
    with(|loudness| loudness.level).unwrap_or(0)
}

fn set(level: u32, time: Duration) {
    let Some(times) = with(|loudness| change(loudness, level)) else { return };
    info!(level, ?time, "the logging level was set");
    if level == 0 {
        return;
    }
    // Handlers call this, and they have a runtime.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            tokio::time::sleep(time).await;
            let back = with(|loudness| {
                let newest = loudness.times == times;
                if newest {
                    change(loudness, 0);
                }
                newest
            });
            if back == Some(true) {
                info!("the logging level is the usual one again");
            }
        });
    }
}

/// Gives the number of times that it was changed.
fn change(loudness: &mut Loudness, level: u32) -> u64 {
    let filter = filter(&loudness.usual, level);
    if let Err(error) = loudness.handle.reload(EnvFilter::new(filter)) {
        warn!(%error, "the logging level cannot be changed");
    }
    loudness.level = level;
    loudness.times += 1;
    loudness.times
}

/// What is logged at a level: that of the program itself first, of what it is made of last.
fn filter(usual: &str, level: u32) -> String {
    match level {
        0 => usual.to_owned(),
        1 => format!("{usual},hansa=debug"),
        2 => format!("{usual},hansa=trace"),
        _ => "debug,hansa=trace".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_says_more() {
        let loudest = |level| EnvFilter::new(filter("warn,hansa=info", level)).to_string();
        assert_eq!(filter("error", 0), "error");
        assert!(loudest(1).contains("hansa=debug") && !loudest(1).contains("hansa=info"), "{}", loudest(1));
        assert!(loudest(2).contains("hansa=trace") && loudest(3).contains("debug"));
    }
}
