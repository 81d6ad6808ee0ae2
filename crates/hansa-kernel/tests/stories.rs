//! Stories of a cluster's life: commands, and what each leads to.

mod world;

use hansa_model::task::TaskState::*;
use world::*;

#[test]
fn a_task_from_claim_to_release() {
    let mut world = World::new();
    check(
        world.hello(agent("a")),
        "record put agent a Active
         event agent a Active 0",
    );
    let spec = world.spec(cpus(1000));
    check(
        world.place("web", spec, "a"),
        "< ok
         record put spec 1
         record put assignment 1 web
         event web.t TASK_STAGING Placed
         to a launch web under b1",
    );
    check(
        world.pass(200),
        "event agent a Active 1000
         event role * 1000",
    );
    check(
        world.update("a", "web", 1, Running),
        "event web.t TASK_RUNNING
         notice services web.t TASK_RUNNING
         to a acknowledge web.t 1",
    );
    check(
        world.update("a", "web", 2, Finished),
        "record delete assignment 1
         event web.t TASK_FINISHED
         event web.t removed
         notice services web.t TASK_FINISHED
         to a acknowledge web.t 2
         to a release web",
    );
    assert_eq!(world.free("a"), "cpus:4;mem:4096;disk:1000;ports:[31000-31009]");
    check(world.update("a", "web", 2, Finished), "to a acknowledge web.t 2\nto a release web");
}
