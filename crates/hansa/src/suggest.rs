//! The nearest existing name to a mistyped one.

/// The most similar candidate, if any is similar enough to be meant.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let similarity = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let whole = strsim::jaro_winkler(&wrong, &candidate);
        // `web` is close to `/demo/web`: compare the last part of paths too.
        let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        let part = strsim::jaro_winkler(&last(&wrong), &last(&candidate)) * 0.98;
        if whole > part { whole } else { part }
    };
    candidates
        .into_iter()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(one.1)))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let apps = ["/demo/web", "/demo/worker", "/shop/db"];
        assert_eq!(nearest("/demo/wbe", apps), Some("/demo/web"));
        assert_eq!(nearest("/web", apps), Some("/demo/web"));
        assert_eq!(nearest("/Shop/DB", apps), Some("/shop/db"));
        assert_eq!(nearest("/zebra", apps), None);
        assert_eq!(nearest("/x", []), None);
    }
}
