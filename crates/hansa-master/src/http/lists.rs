//! What every list can be asked for: words, labels, an order, a page of it.

use super::error::ApiError;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Words to look for: each must be in one of the texts, in small letters or large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(Vec<String>);

impl Words {
    /// None, or those between blanks.
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(text.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
    }

    /// Whether nothing is looked for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all are there. Makes no copies: it is asked of 100,000 tasks.
    pub(super) fn are_in(&self, texts: &[&str]) -> bool {
        self.0.iter().all(|word| texts.iter().any(|text| has(text, word)))
    }
}

fn has(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some(&first) = word.first() else { return true };
    let last = text.len().checked_sub(word.len());
    last.is_some_and(|last| {
        (0..=last).any(|at| {
            text[at].eq_ignore_ascii_case(&first) && text[at..at + word.len()].eq_ignore_ascii_case(word)
        })
    })
}

/// A selector of labels: all terms must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

impl Selector {
    /// `k=v`, `k==v`, `k!=v`, `k`, `!k`, separated by commas.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let terms = text.unwrap_or_default().split(',').map(str::trim).filter(|term| !term.is_empty());
        let parse = |term: &str| {
            let parsed = match (term.split_once("!="), term.split_once('='), term.strip_prefix('!')) {
                (Some((key, value)), _, _) => Term::IsNot(key.trim().into(), value.trim().into()),
                (None, Some((key, value)), _) => {
                    Term::Is(key.trim().into(), value.trim_start_matches('=').trim().into())
                }
                (None, None, Some(key)) => Term::HasNot(key.trim().into()),
                (None, None, None) => Term::Has(term.into()),
            };
            let (Term::Is(key, _) | Term::IsNot(key, _) | Term::Has(key) | Term::HasNot(key)) = &parsed;
            match key.is_empty() {
                true => Err(ApiError::invalid("label", format!("'{term}' names no label"))
                    .remedy("write k=v, k!=v, k or !k, separated by commas")),
                false => Ok(parsed),
            }
        };
        terms.map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it selects what has these labels. As everywhere, `k!=v` also holds where there is no `k`.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|term| match term {
            Term::Is(key, value) => labels.get(key) == Some(value),
            Term::IsNot(key, value) => labels.get(key) != Some(value),
            Term::Has(key) => labels.contains_key(key),
            Term::HasNot(key) => !labels.contains_key(key),
        })
    }
}

/// What a list is sorted by: a value of an element, and whether the largest comes first.
pub(super) struct Order<T> {
    of: fn(&T) -> Key,
    largest_first: bool,
}

impl<T> Clone for Order<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Order<T> {}

/// A value to sort by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Before everything that is there.
    Nothing,
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// A name that a list can be sorted by, and how its value is found.
pub(super) type SortBy<T> = (&'static str, fn(&T) -> Key);

impl<T> Order<T> {
    /// By a name out of those that there are, with `-` in front for the largest first; None: the list's own order.
    pub(super) fn parse(text: Option<&str>, known: &[SortBy<T>]) -> Result<Option<Self>, ApiError> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let (name, largest_first) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let found = known.iter().find(|(known, _)| *known == name);
        let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        match found {
            Some((_, of)) => Ok(Some(Self { of: *of, largest_first })),
            None => Err(ApiError::invalid("sort", format!("nothing is sorted by '{name}'"))
                .remedy(format!("one of {}; with - in front the largest first", names()))),
        }
    }

    /// Sorts; what is equal stands by its id.
    pub(super) fn sort<I: Ord>(self, items: Vec<T>, id: impl Fn(&T) -> I) -> Vec<T> {
        let mut keyed: Vec<(Key, I, T)> =
            items.into_iter().map(|item| ((self.of)(&item), id(&item), item)).collect();
        keyed.sort_by(|(a, a_id, _), (b, b_id, _)| {
            let by_key = if self.largest_first { b.cmp(a) } else { a.cmp(b) };
            if by_key == Ordering::Equal { a_id.cmp(b_id) } else { by_key }
        });
        keyed.into_iter().map(|(_, _, item)| item).collect()
    }
}

/// A page of a list that is in order, and what the next begins after.
///
/// # Errors
/// What it is to begin after is not there.
pub(super) fn page<T, I: Borrow<str>>(
    mut items: Vec<T>,
    id: impl Fn(&T) -> I,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<T>, Option<I>), ApiError> {
    if let Some(after) = after {
        let Some(at) = items.iter().position(|item| id(item).borrow() == after) else {
            return Err(ApiError::invalid("after", format!("'{after}' is not in this list (any more)"))
                .remedy("begin with the first page, without `after`"));
        };
        items.drain(..=at);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(id);
    Ok((items, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_their_letters() {
        let words = Words::parse(Some(" WEB  node1 "));
        assert!(words.are_in(&["/shop/web.1", "Node17"]));
        assert!(!words.are_in(&["/shop/web.1", "node2"]));
        assert!(Words::parse(None).are_in(&[]));
        assert!(Words::parse(Some("größe")).are_in(&["die größe"]));
        assert!(!Words::parse(Some("long")).are_in(&["lon"]));
    }

    #[test]
    fn selectors_select() {
        let labels =
            BTreeMap::from([("tier".to_owned(), "web".to_owned()), ("on".to_owned(), String::new())]);
        let selects = |text| Selector::parse(Some(text)).unwrap().selects(&labels);
        for text in ["", "tier=web", "tier==web,on", "tier!=db", "!gone", "other!=x", "on="] {
            assert!(selects(text), "{text}");
        }
        for text in ["tier=db", "tier!=web", "gone", "!tier", "tier=web,gone"] {
            assert!(!selects(text), "{text}");
        }
        for text in ["=x", "!", "!=x"] {
            assert!(Selector::parse(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_sorted_and_come_in_pages() {
        let known: [SortBy<(&'static str, u64)>; 1] = [("size", |item| Key::Number(item.1))];
        let items = vec![("a", 2), ("b", 1), ("c", 2), ("d", 3)];
        let sorted = |text| {
            let order = Order::parse(Some(text), &known).unwrap().unwrap();
            order.sort(items.clone(), |item| item.0)
        };
        assert_eq!(sorted("size"), [("b", 1), ("a", 2), ("c", 2), ("d", 3)]);
        assert_eq!(sorted("-size"), [("d", 3), ("a", 2), ("c", 2), ("b", 1)]);
        assert!(Order::parse(Some("colour"), &known).is_err());
        assert!(Order::parse(None, &known).unwrap().is_none());
        let page = |after, limit| page(sorted("size"), |item| item.0, after, limit).ok();
        assert_eq!(page(None, 3), Some((vec![("b", 1), ("a", 2), ("c", 2)], Some("c"))));
        assert_eq!(page(Some("c"), 3), Some((vec![("d", 3)], None)));
        assert_eq!(page(Some("gone"), 3), None);
    }
}
