//! What [`crate::plans`] looks like on the wire.

use super::reference;
use super::schema::{Fields, count, list_of, object, or_null, text};

pub(super) fn schemas() -> Fields {
    let explained = object(
        "Where one more instance would go, or why nowhere.",
        [
            ("demand", reference("Demand")),
            ("machines", count()),
            ("fitting", count()),
            ("choice", or_null(text())),
            ("choice_hostname", or_null(text())),
            ("groups", list_of("ObstacleGroup")),
            ("nearest", or_null(text())),
            ("summary", text()),
        ],
    );
    vec![("Explained".to_owned(), explained)]
}
