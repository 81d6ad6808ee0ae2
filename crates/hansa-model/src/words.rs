//! Numbers with their nouns, and errors in short, for everything that says something to people.

/// `1 task`, `2 tasks`, `0 tasks`: for nouns that only take an `s`.
pub fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// The innermost cause of an error, which says it shortest: `Connection refused (os error 111)`, without what was asked for
/// from where.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::{counted, innermost};
    use std::io::{Error, ErrorKind};

    /// An error around another.
    #[derive(Debug)]
    struct Around(Error);

    impl std::fmt::Display for Around {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("error sending request for url (http://a.test/)")
        }
    }

    impl std::error::Error for Around {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_innermost_cause_is_told() {
        let inner = Error::new(ErrorKind::ConnectionRefused, "nobody listens");
        assert_eq!(innermost(&Around(inner)), "nobody listens");
    }

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "task")), ["0 tasks", "1 task", "2 tasks"]);
    }
}
