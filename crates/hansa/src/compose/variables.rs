//! `${…}` in the values of a compose file, and `.env` files.

use serde_json::Value;
use std::collections::BTreeMap;

/// Puts values in place of variables in every text of the document; keys are left alone.
///
/// # Errors
/// A variable that must be set is not, or a `${` has no end; in words.
pub fn substitute(value: &mut Value, environment: &BTreeMap<String, String>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if text.contains('$') {
                *text = expand(text, environment)?;
            }
        }
        Value::Array(list) => {
            for item in list {
                substitute(item, environment)?;
            }
        }
        Value::Object(map) => {
            for item in map.values_mut() {
                substitute(item, environment)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let end = closing(inside).ok_or_else(|| format!("{text:?}: a ${{ without its }}"))?;
            out.push_str(&value_of(&inside[..end], environment)?);
            rest = &inside[end + 1..];
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            match environment.get(&rest[..end]) {
                _ if end == 0 => out.push('$'),
                Some(value) => out.push_str(value),
                None => {}
            }
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace that was opened before `text` is closed, nested ones passed over.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What stands for the inside of one `${…}`.
fn value_of(inside: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, operation) = inside.split_at(end);
    let set = environment.get(name);
    let filled = set.filter(|value| !value.is_empty());
    let (operator, operand) = match operation.as_bytes() {
        [b':', b'-' | b'?' | b'+', ..] => operation.split_at(2),
        [b'-' | b'?' | b'+', ..] => operation.split_at(1),
        [] => return Ok(set.cloned().unwrap_or_default()),
        _ => return Err(format!("${{{inside}}}: not a way to write a variable")),
    };
    let otherwise = || expand(operand, environment);
    match operator {
        ":-" => filled.cloned().map_or_else(otherwise, Ok),
        "-" => set.cloned().map_or_else(otherwise, Ok),
        ":+" => filled.map_or(Ok(String::new()), |_| otherwise()),
        "+" => set.map_or(Ok(String::new()), |_| otherwise()),
        _ => {
            let found = if operator == ":?" { filled } else { set };
            found.cloned().ok_or_else(|| match operand {
                "" => format!("{name}: the file needs this variable; set it in the environment or in .env"),
                words => format!("{name}: {words}"),
            })
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The `NAME=value` lines of a file; quotes around values are taken off, comments and empty lines passed over.
pub fn read_env_file(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        let bare = ['"', '\'']
            .iter()
            .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
            .unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim_end());
        variables.insert(name.trim().to_owned(), bare.to_owned());
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let environment = BTreeMap::from(
            [("A", "1"), ("EMPTY", "")].map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for (text, expected) in [
            ("$A ${A} $$A $B.", "1 1 $A ."),
            ("${B:-two} ${EMPTY:-two} ${EMPTY-two}", "two two "),
            ("${A:+on} ${EMPTY:+on} ${EMPTY+on}", "on  on"),
            ("${B:-${A}x}", "1x"),
            ("cost: 5$", "cost: 5$"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
        assert!(expand("${B:?please}", &environment).unwrap_err().contains("please"));
        assert!(expand("${EMPTY:?}", &environment).unwrap_err().contains("EMPTY"));
        assert!(expand("${A", &environment).is_err() && expand("${A!}", &environment).is_err());
    }

    #[test]
    fn env_files_are_read() {
        let read = read_env_file("# c\nexport A=1\nB=\"x y\" \nC='#'\nD=v # c\nbroken\n");
        let expected = [("A", "1"), ("B", "x y"), ("C", "#"), ("D", "v")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
