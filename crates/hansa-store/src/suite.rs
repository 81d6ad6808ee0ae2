//! What every store must do, as a suite that any implementation can be put through. Panics where one does not.

use crate::{Error, MAX_BATCH_MUTATIONS, Rows, Store};
use hansa_model::record::{Mutation, Table};
use std::collections::BTreeMap;

/// Opens one and the same store, again and again.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Store>, Error>>;

/// Puts an implementation through everything; each call of `fresh` gives a store that nobody has used.
pub fn check(mut fresh: impl FnMut() -> Opener) {
    starts_empty_and_raises_its_term(&fresh());
    keeps_what_was_committed(&fresh());
    keeps_tables_apart(&fresh());
    applies_in_order(&fresh());
    loads_in_the_order_of_keys(&fresh());
    takes_empty_and_strange_keys_and_values(&fresh());
    has_one_opening_at_a_time(&fresh());
    refuses_too_large_a_batch_whole(&fresh());
    agrees_with_a_map(&fresh());
}

/// The mutation that stores a value.
pub fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Mutation {
    Mutation { table, key: key.into(), value: Some(value.into()) }
}

/// The mutation that deletes one.
pub fn delete(table: Table, key: impl Into<Vec<u8>>) -> Mutation {
    Mutation { table, key: key.into(), value: None }
}

fn opened(open: &Opener) -> Box<dyn Store> {
    open().expect("the store opens")
}

fn rows(store: &mut dyn Store, table: Table) -> Rows {
    store.load(table).expect("the table loads")
}

fn starts_empty_and_raises_its_term(open: &Opener) {
    let mut last = 0;
    for _ in 0..3 {
        let mut store = opened(open);
        assert!(store.term() > last, "term {} is not above {last}", store.term());
        last = store.term();
        for table in Table::ALL {
            assert_eq!(rows(&mut *store, table), Rows::new());
        }
        store.commit(&[]).expect("an empty batch is no error");
    }
}

fn keeps_what_was_committed(open: &Opener) {
    let mut store = opened(open);
    store.commit(&[put(Table::Apps, "/a", "1"), put(Table::Apps, "/b", "1")]).expect("commits");
    store
        .commit(&[put(Table::Apps, "/a", "2"), delete(Table::Apps, "/b"), delete(Table::Apps, "/none")])
        .expect("commits");
    let expected: Rows = vec![(b"/a".to_vec(), b"2".to_vec())];
    assert_eq!(rows(&mut *store, Table::Apps), expected);
    drop(store);
    assert_eq!(rows(&mut *opened(open), Table::Apps), expected);
}

fn keeps_tables_apart(open: &Opener) {
    let mut store = opened(open);
    let all: Vec<_> = Table::ALL.iter().map(|&table| put(table, "key", table.name())).collect();
    store.commit(&all).expect("commits");
    drop(store);
    let mut store = opened(open);
    for table in Table::ALL {
        assert_eq!(rows(&mut *store, table), [(b"key".to_vec(), table.name().as_bytes().to_vec())]);
    }
}

fn applies_in_order(open: &Opener) {
    let mut store = opened(open);
    let batch = [
        put(Table::Specs, "a", "first"),
        put(Table::Roles, "r", "1"),
        delete(Table::Specs, "a"),
        put(Table::Specs, "b", "first"),
        put(Table::Specs, "b", "last"),
        put(Table::Specs, "c", "gone"),
        delete(Table::Specs, "c"),
        delete(Table::Specs, "d"),
        put(Table::Specs, "d", "back"),
    ];
    store.commit(&batch).expect("commits");
    let expected = [(b"b".to_vec(), b"last".to_vec()), (b"d".to_vec(), b"back".to_vec())];
    assert_eq!(rows(&mut *store, Table::Specs), expected);
}

fn loads_in_the_order_of_keys(open: &Opener) {
    let mut store = opened(open);
    for number in [300_u64, 2, 65_536, 1, 255, 256] {
        store.commit(&[put(Table::Assignments, number.to_be_bytes(), "x")]).expect("commits");
    }
    let keys: Vec<_> = rows(&mut *store, Table::Assignments).into_iter().map(|(key, _)| key).collect();
    let expected: Vec<_> =
        [1_u64, 2, 255, 256, 300, 65_536].iter().map(|number| number.to_be_bytes().to_vec()).collect();
    assert_eq!(keys, expected);
}

fn takes_empty_and_strange_keys_and_values(open: &Opener) {
    let mut store = opened(open);
    let large = vec![7; 2 * 1024 * 1024];
    let batch = [
        put(Table::Deployments, "", "empty key"),
        put(Table::Deployments, "empty value", ""),
        put(Table::Deployments, [0, 0xff, 0], [0, 0xff, 0]),
        put(Table::Deployments, "large", large.clone()),
    ];
    store.commit(&batch).expect("commits");
    drop(store);
    let found: BTreeMap<_, _> = rows(&mut *opened(open), Table::Deployments).into_iter().collect();
    assert_eq!(found.len(), 4);
    assert_eq!(found[b"".as_slice()], b"empty key");
    assert_eq!(found[b"empty value".as_slice()], b"");
    assert_eq!(found[[0, 0xff, 0].as_slice()], [0, 0xff, 0]);
    assert_eq!(found[b"large".as_slice()], large);
}

fn has_one_opening_at_a_time(open: &Opener) {
    let first = opened(open);
    match open() {
        Err(Error::InUse(_)) => {}
        Err(other) => panic!("a second opening fails with {other:?}"),
        Ok(_) => panic!("a second opening succeeds"),
    }
    drop(first);
    drop(opened(open));
}

fn refuses_too_large_a_batch_whole(open: &Opener) {
    let mut store = opened(open);
    let batch: Vec<_> =
        (0..=MAX_BATCH_MUTATIONS as u64).map(|number| put(Table::Specs, number.to_be_bytes(), "")).collect();
    assert!(matches!(store.commit(&batch), Err(Error::TooLarge(_))));
    assert_eq!(rows(&mut *store, Table::Specs), Rows::new());
    store.commit(&batch[1..]).expect("the largest allowed batch commits");
    assert_eq!(rows(&mut *store, Table::Specs).len(), MAX_BATCH_MUTATIONS);
}

/// A few hundred pseudo-random batches with re-openings in between, against a plain map.
fn agrees_with_a_map(open: &Opener) {
    let mut expected: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut store = opened(open);
    for round in 0..200_u64 {
        let mut batch = Vec::new();
        for _ in 0..random(20) {
            let table = Table::ALL[random(Table::ALL.len() as u64) as usize];
            let key = random(40).to_be_bytes()[random(8) as usize..].to_vec();
            if random(3) == 0 {
                expected.remove(&(table, key.clone()));
                batch.push(delete(table, key));
            } else {
                let value = vec![round as u8; random(300) as usize];
                expected.insert((table, key.clone()), value.clone());
                batch.push(put(table, key, value));
            }
        }
        store.commit(&batch).expect("commits");
        if round % 50 == 49 {
            drop(store);
            store = opened(open);
        }
    }
    for table in Table::ALL {
        let own = expected.iter().filter(|((of, _), _)| *of == table);
        let own: Rows = own.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        assert_eq!(rows(&mut *store, table), own, "table {}", table.name());
    }
}
