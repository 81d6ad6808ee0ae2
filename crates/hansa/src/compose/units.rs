//! Quantities as compose files write them: `512m`, `1m30s`, `"0.5"`, and command lines.

use serde_json::Value;

/// Bytes: `64M`, `1gb`, `1.5G`, or a bare number.
pub fn bytes(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => return number.as_u64(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => return None,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit: u32 = match text[digits..].trim() {
        "" | "b" => 0,
        "k" | "kb" => 1,
        "m" | "mb" => 2,
        "g" | "gb" => 3,
        "t" | "tb" => 4,
        _ => return None,
    };
    let number: f64 = text[..digits].parse().ok()?;
    let bytes = number * 1024_f64.powi(unit as i32);
    (0.0..1e18).contains(&bytes).then_some(bytes as u64)
}

/// Seconds, rounded up: `90s`, `1m30s`, `500ms`, or a bare number of seconds.
pub fn seconds(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => return number.as_u64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let mut micros = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "us" => 1.0,
            "ms" => 1e3,
            "s" | "" => 1e6,
            "m" => 60e6,
            "h" => 3600e6,
            _ => return None,
        };
        micros = micros.checked_add((number * unit) as u64)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(micros.div_ceil(1_000_000))
}

/// A number, also as text.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite() && *number >= 0.0)
}

/// Any scalar as text; nothing as an empty text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A command line's words, as a shell would split them; nothing is expanded. None: a quote is not closed.
pub fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_are_read() {
        assert_eq!(bytes(&json!("64M")), Some(64 << 20));
        assert_eq!(bytes(&json!("1.5gb")), Some(3 << 29));
        assert_eq!((bytes(&json!(7)), bytes(&json!("x")), bytes(&json!("-1"))), (Some(7), None, None));
        assert_eq!(seconds(&json!("1m30s")), Some(90));
        assert_eq!(
            (seconds(&json!("500ms")), seconds(&json!("2")), seconds(&json!("1d"))),
            (Some(1), Some(2), None)
        );
        assert_eq!(
            (seconds(&json!("")), number(&json!("0.5")), number(&json!("-1"))),
            (None, Some(0.5), None)
        );
    }

    #[test]
    fn command_lines_are_split_and_put_together() {
        let split = words(r#"a "b c"  'd "e' f\ g """#).unwrap();
        assert_eq!(split, ["a", "b c", "d \"e", "f g", ""]);
        assert_eq!(words("a 'b"), None);
        let again: Vec<String> = split.iter().map(|word| quoted(word)).collect();
        assert_eq!(words(&again.join(" ")).unwrap(), split);
    }
}
