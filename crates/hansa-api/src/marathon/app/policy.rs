//! How an app is updated, restarted and given up: `upgradeStrategy`, backoff, `unreachableStrategy`, `killSelection`, and
//! the rules that labels make.

use super::{Faults, INT};
use crate::marathon::read::Fields;
use hansa_model::app::{Backoff, KillSelection, UnreachableStrategy, UpgradeStrategy};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads `killSelection`.
pub(super) fn read_kill_selection(fields: &Fields<'_>, faults: &mut Faults) -> KillSelection {
    match fields.word("killSelection", &["YOUNGEST_FIRST", "OLDEST_FIRST"], &mut faults.types) {
        Some("OLDEST_FIRST") => KillSelection::OldestFirst,
        _ => KillSelection::YoungestFirst,
    }
}

/// Reads `upgradeStrategy`; None: the app does not say.
pub(super) fn read_upgrade(fields: &Fields<'_>, faults: &mut Faults) -> Option<UpgradeStrategy> {
    let at = fields.at("upgradeStrategy");
    let strategy = Fields::of(fields.get("upgradeStrategy")?, &at, &mut faults.types)?;
    let mut share = |name: &str| {
        if strategy.get(name).is_none() {
            faults.types.add(strategy.at(name), "error.path.missing");
        }
        let number = strategy.get(name).and_then(Value::as_f64);
        match number {
            Some(number) if !(0.0..=1.0).contains(&number) => {
                faults
                    .rules
                    .add(strategy.at(name), format!("got {}, expected between 0.0 and 1.0", double(number)));
                0
            }
            _ => strategy
                .milli(name, 0, 1_000, &mut faults.types)
                .and_then(|m| u16::try_from(m).ok())
                .unwrap_or(0),
        }
    };
    Some(UpgradeStrategy {
        minimum_health_milli: share("minimumHealthCapacity"),
        maximum_over_milli: share("maximumOverCapacity"),
    })
}

/// A number as Scala prints a double: `1.0`, `1.2`.
pub(super) fn double(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e7 { format!("{number:.1}") } else { number.to_string() }
}

/// An app with the label `MARATHON_SINGLE_INSTANCE_APP` never runs twice, not even during an update.
pub(super) fn check_single_instance(
    fields: &Fields<'_>,
    instances: u32,
    upgrade: UpgradeStrategy,
    faults: &mut Faults,
) {
    if instances > 1 {
        faults.rules.add(fields.path(), "Single instance app may only have one instance");
    }
    let at = fields.at("upgradeStrategy");
    for (name, milli) in [
        ("minimumHealthCapacity", upgrade.minimum_health_milli),
        ("maximumOverCapacity", upgrade.maximum_over_milli),
    ] {
        if milli != 0 {
            let got = double(f64::from(milli) / 1_000.0);
            faults.rules.add(format!("{at}/{name}"), format!("got {got}, expected 0.0"));
        }
    }
}

/// Labels of the migration API come together or not at all.
pub(super) fn check_migration(fields: &Fields<'_>, labels: &BTreeMap<String, String>, faults: &mut Faults) {
    let label = |name: &str| labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let Some(version) = label("DCOS_MIGRATION_API_VERSION") else { return };
    let complete =
        label("DCOS_PACKAGE_FRAMEWORK_NAME").is_some() && label("DCOS_MIGRATION_API_PATH").is_some();
    if version != "v1" || !complete {
        faults.rules.add(
            fields.path(),
            "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using \
             DCOS_MIGRATION_API_VERSION",
        );
    }
}

/// Reads how failures are slowed down.
pub(super) fn read_backoff(fields: &Fields<'_>, faults: &mut Faults) -> Backoff {
    let seconds = |name: &str, otherwise: u32, faults: &mut Faults| {
        u64::from(fields.count(name, INT, &mut faults.types).unwrap_or(otherwise)) * 1_000
    };
    Backoff {
        initial_ms: seconds("backoffSeconds", 1, faults),
        factor_milli: fields.milli("backoffFactor", 1_000, 1_000_000_000, &mut faults.types).unwrap_or(1_150),
        max_ms: seconds("maxLaunchDelaySeconds", 300, faults),
    }
}

/// Reads `unreachableStrategy`.
pub(super) fn read_unreachable(fields: &Fields<'_>, faults: &mut Faults) -> UnreachableStrategy {
    let default = UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 };
    let at = fields.at("unreachableStrategy");
    let value = match fields.get("unreachableStrategy") {
        None => return default,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("disabled") => {
            return UnreachableStrategy::Disabled;
        }
        Some(Value::String(_)) => {
            faults.types.add(at, "error.unknown.enum.literal");
            return default;
        }
        Some(value) => value,
    };
    let Some(strategy) = Fields::of(value, &at, &mut faults.types) else { return default };
    let mut seconds =
        |name: &str| strategy.int(name, 0, 1_000_000_000_000, &mut faults.types).map_or(0, i64::unsigned_abs);
    let (inactive, expunge) = (seconds("inactiveAfterSeconds"), seconds("expungeAfterSeconds"));
    if inactive > expunge {
        faults.rules.add(
            format!("{at}/inactiveAfterSeconds"),
            format!("inactiveAfterSeconds ({inactive}) must be less or equal to expungeAfterSeconds, which is {expunge}"),
        );
    }
    UnreachableStrategy::After { inactive_ms: inactive * 1_000, expunge_ms: expunge * 1_000 }
}
