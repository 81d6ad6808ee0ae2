//! Calls of schedulers that are not built in reach the kernel, and its answers come back.

use hansa_cell::{Answer, Cell, Failure, Input, Output, Outsider, Refusal, Request, Settings};
use hansa_model::scheduler::{self, Call, Claim};
use hansa_model::{InstanceId, Owner, Principal, RoleName, SpecId, Term, Timestamp};

fn ask(by: Outsider, call: Call) -> Result<Answer, Failure> {
    let now = Timestamp(1_000);
    let (mut cell, mut outputs) = Cell::open(now, Settings::default(), Term(1), Vec::new()).unwrap();
    let request = Request::Call { by, call };
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
    let answer = ask(Outsider::named("bench"), kill());
    assert!(matches!(answer, Ok(Answer::Call(scheduler::Answer::UnknownInstance))), "{answer:?}");
}

#[test]
fn nobody_speaks_for_what_is_built_in() {
    for name in [Owner::services().as_str(), "", "../services"] {
        let by = Outsider::named(name);
        assert_ne!(*by.owner(), Owner::services());
        // What a claim says of itself does not help.
        let claim = Claim {
            owner: Owner::services(),
            role: RoleName::any(),
            principal: Principal::loopback(),
            gang: false,
            constraints: Vec::new(),
            placements: Vec::new(),
        };
        for call in [Call::Claim(claim), Call::DropSpec { spec: SpecId(0) }] {
            match ask(by.clone(), call) {
                Err(Failure::Kernel(Refusal::Invalid(why))) => assert!(why.contains("outside/"), "{why}"),
                other => panic!("it was let through: {other:?}"),
            }
        }
    }
}
