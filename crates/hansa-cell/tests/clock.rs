//! A clock that went back while no master ran.

use hansa_cell::{Cell, Input, Output, Request, Settings};
use hansa_model::framework::{FrameworkCall, FrameworkInfo};
use hansa_model::record::{Mutation, Table};
use hansa_model::{Principal, Term, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What is stored, by table and key.
type Store = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Stores what is to be written, and answers that it is durable, until nothing is left to do.
fn settle(cell: &mut Cell, store: &mut Store, now: Timestamp, mut outputs: Vec<Output>) {
    while let Some(output) = (!outputs.is_empty()).then(|| outputs.remove(0)) {
        let Output::Commit { index, mutations } = output else { continue };
        for Mutation { table, key, value } in mutations {
            match value {
                Some(value) => drop(store.insert((table, key), value)),
                None => drop(store.remove(&(table, key))),
            }
        }
        outputs.extend(cell.apply(now, Input::Committed { index }));
    }
}

fn open(store: &mut Store, now: Timestamp, term: u64) -> Cell {
    let rows = |table: Table| {
        let own = store.iter().filter(move |((of, _), _)| *of == table);
        (table, own.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    };
    let tables = Table::ALL.into_iter().map(rows).collect();
    let (mut cell, outputs) = Cell::open(now, Settings::default(), Term(term), tables).unwrap();
    settle(&mut cell, store, now, outputs);
    cell
}

#[test]
fn whoever_waits_waits_no_longer_because_the_clock_went_back() {
    let mut store = Store::new();
    let then = Timestamp(50_000_000);
    let mut cell = open(&mut store, then, 1);
    let info = FrameworkInfo {
        id: "f".into(),
        name: "f".into(),
        user: String::new(),
        roles: BTreeSet::from(["r".into()]),
        capabilities: BTreeSet::new(),
        failover_timeout_ms: 3_600_000,
        checkpoint: true,
        hostname: String::new(),
        webui_url: None,
        principal: None,
        labels: Vec::new(),
        min_allocatable: BTreeMap::new(),
    };
    let call = FrameworkCall::Subscribe {
        stream: 1,
        info: Box::new(info),
        suppressed: BTreeSet::new(),
        constraints: Box::default(),
    };
    let request = Request::Framework { framework: None, call: Box::new(call) };
    let outputs = cell.apply(then, Input::Request { id: 1, principal: Principal::loopback(), request });
    settle(&mut cell, &mut store, then, outputs);

    // The next master's clock is eight hours behind, and its framework has an hour to come back.
    let now = Timestamp(then.0 - 8 * 3_600_000);
    let mut cell = open(&mut store, now, 2);
    assert!(cell.now() >= then, "time does not go back");
    let (before, end) = (cell.now(), now + 3_600_000);
    while let Some(at) = cell.next_deadline().filter(|at| *at <= end) {
        assert!(at >= now, "what is due is told by the clock that is there");
        let outputs = cell.apply(at, Input::Tick);
        settle(&mut cell, &mut store, at, outputs);
    }
    assert_eq!(cell.now(), before + 3_600_000);
    let explained = cell.kernel().explain_framework(&"f".into());
    assert!(explained.is_none(), "its time to come back is over");
}
