//! A document as a page to read: plain HTML made of the document, without scripts.

use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1c2024;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}\
section{border-top:1px solid #d9dde1;padding:.6rem 0}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}\
b.m{display:inline-block;min-width:4.2rem;font:600 12px ui-monospace,monospace}table{border-collapse:collapse;margin:.4rem 0}\
td{padding:.1rem 1rem .1rem 0;vertical-align:top}p{margin:.3rem 0}a{color:#0b62c4}.q{color:#5b6570}\
@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#15181b}section{border-color:#343a40}a{color:#6fb1ff}.q{color:#9aa4ae}}";

/// The page.
pub fn page(document: &Value) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let title = escaped(text("/info/title"));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}: API</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}: API <span class=\"q\">{}</span></h1><p>{}</p>\
         <p>The same for programs: <a href=\"openapi.json\">openapi.json</a>.</p><h2>Paths</h2>",
        escaped(text("/info/version")),
        escaped(text("/info/description")),
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            one(&mut html, path, method, operation);
        }
    }
    html.push_str("<h2>Schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let words = escaped(schema["description"].as_str().unwrap_or_default());
        let _ = write!(html, "<section id=\"{0}\"><p><code><b>{0}</b></code> {words}</p>", escaped(name));
        let fields = schema["properties"].as_object().into_iter().flatten();
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        rows(
            &mut html,
            fields.map(|(name, field)| {
                let mark = if required(name) { "" } else { "?" };
                (format!("{name}{mark}"), kind(field), field["description"].as_str().unwrap_or_default())
            }),
        );
        let choices = schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|choice| choice["properties"].as_object().into_iter().flatten());
        rows(&mut html, choices.map(|(name, field)| (name.clone(), kind(field), "")));
        html.push_str("</section>");
    }
    html.push_str("</main></body></html>");
    html
}

fn one(html: &mut String, path: &str, method: &str, operation: &Value) {
    let words = escaped(operation["summary"].as_str().unwrap_or_default());
    let method = escaped(&method.to_uppercase());
    let _ = write!(
        html,
        "<section><p><b class=\"m\">{method}</b><code>{}</code></p><p>{words}</p>",
        escaped(path)
    );
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let queries = parameters.filter(|parameter| parameter["in"] == "query");
    rows(
        html,
        queries.map(|parameter| {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            (name, kind(&parameter["schema"]), parameter["description"].as_str().unwrap_or_default())
        }),
    );
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        let _ = write!(html, "<p class=\"q\">takes {}</p>", kind(body));
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        for (media, content) in answer["content"].as_object().into_iter().flatten() {
            if status != "default" {
                let _ = write!(
                    html,
                    "<p class=\"q\">{status}: {} ({})</p>",
                    kind(&content["schema"]),
                    escaped(media)
                );
            }
        }
    }
    html.push_str("</section>");
}

/// A table of names, kinds (HTML already) and words.
fn rows<'a>(html: &mut String, rows: impl Iterator<Item = (String, String, &'a str)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    html.push_str("<table>");
    for (name, kind, words) in rows {
        let (name, words) = (escaped(&name), escaped(words));
        let _ = write!(html, "<tr><td><code>{name}</code></td><td>{kind}</td><td>{words}</td></tr>");
    }
    html.push_str("</table>");
}

/// A schema in a few words, as HTML.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().filter_map(Value::as_str).map(escaped).collect();
        return words.join(" | ");
    }
    if let Some(choices) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) if name == "object" && !schema["additionalProperties"].is_null() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        Value::String(name) => escaped(name),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).map(escaped).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_schema_stands_on_the_page_and_every_link_leads_somewhere() {
        let document = crate::openapi::hansa();
        let html = page(&document);
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(html.contains(&format!("<code>{path}</code>")), "{path}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(html.contains(&format!("id=\"{name}\"")), "{name}");
        }
        for link in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(html.contains(&format!("id=\"{link}\"")), "{link}");
        }
        assert!(!html.contains("<script"));
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
