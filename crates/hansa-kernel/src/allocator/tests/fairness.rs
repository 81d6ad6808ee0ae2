//! Who gets what.

use super::world::*;

#[test]
fn two_roles_share_alike() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b");
    world.machines("m1 m2 m3 m4");
    assert_eq!(
        world.propose(),
        ["f a m1 4000/4096", "g b m2 4000/4096", "f a m3 4000/4096", "g b m4 4000/4096"]
    );
}

#[test]
fn what_is_refused_goes_to_the_next_and_comes_back_in_time() {
    let mut world = World::new();
    world.join("f", "a");
    world.join("g", "b");
    world.machines("m1");
    assert_eq!(world.propose(), ["f a m1 4000/4096"]);
    world.decline("f", 5_000);
    assert_eq!(world.propose(), ["g b m1 4000/4096"]);
    world.decline("g", 20_000);
    assert_eq!(world.propose(), [""; 0]);
    assert_eq!(world.allocator.next_deadline(), Some(world.now + 5_000));
    assert_eq!(world.pass(4_999), [""; 0]);
    assert_eq!(world.pass(1), ["f a m1 4000/4096"]);
}
