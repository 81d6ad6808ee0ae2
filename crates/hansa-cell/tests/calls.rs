//! Calls of schedulers that are not built in reach the kernel, and its answers come back.

use hansa_cell::{Answer, Cell, Failure, Input, Output, Refusal, Request, Settings};
use hansa_model::scheduler::{self, Call};
use hansa_model::{InstanceId, Owner, Principal, Term, Timestamp};

fn ask(owner: Owner, call: Call) -> Result<Answer, Failure> {
    let now = Timestamp(1_000);
    let (mut cell, mut outputs) = Cell::open(now, Settings::default(), Term(1), Vec::new()).unwrap();
    let request = Request::Call { owner, call };
    outputs.extend(cell.apply(now, Input::Request { id: 7, principal: Principal::loopback(), request }));
    let mut answers = Vec::new();
    while let Some(output) = (!outputs.is_empty()).then(|| outputs.remove(0)) {
        match output {
            Output::Commit { index, .. } => outputs.extend(cell.apply(now, Input::Committed { index })),
            Output::Reply { id, answer, .. } => answers.push((id, answer)),
            _ => {}
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (id, answer) = answers.remove(0);
    assert_eq!(id, 7);
    answer
}

fn kill() -> Call {
    Call::Kill { instance: InstanceId::from("nobody.instance-1"), grace_ms: None, message: String::new() }
}

#[test]
fn the_kernel_answers_a_scheduler_of_its_own() {
    let answer = ask(Owner::from("bench"), kill());
    assert!(matches!(answer, Ok(Answer::Call(scheduler::Answer::UnknownInstance))), "{answer:?}");
}

#[test]
fn nobody_speaks_for_what_is_built_in() {
    match ask(Owner::services(), kill()) {
        Err(Failure::Kernel(Refusal::Invalid(why))) => assert!(why.contains("is built in"), "{why}"),
        other => panic!("it was let through: {other:?}"),
    }
}
