//! The YAML of a compose file as a JSON value, with merge keys (`<<`) and anchors resolved by the library.

use serde_json::Value;

/// Reads one document.
///
/// # Errors
/// It is not YAML, or has keys that are not text; in words with line and column.
pub fn read(text: &str) -> Result<Value, String> {
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value) => Ok(value),
        Err(error) => Err(format!("this is not YAML: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let value = read("x-base: &base {a: 1, b: two}\none: {<<: *base, b: yes}\n").unwrap();
        assert_eq!(value["one"]["a"], json!(1));
        assert_eq!(value["x-base"]["b"], json!("two"));
    }

    #[test]
    fn broken_yaml_names_its_line() {
        assert!(read("a: [1,\nb: 2\n").unwrap_err().contains("line"));
    }
}
