//! Containers made of images: from a registry on loopback to a running task and back.

use crate::Test;
use crate::fixture::{Fixture, shell};
use crate::support::image::TestImage;
use crate::support::registry::Registry;
use hansa_model::container::{ContainerSpec, Engine, ImageSpec};
use hansa_model::spec::{Command, Launch};
use hansa_model::task::TaskState;
use serde_json::json;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "an image is pulled, unpacked, and run as it says", run: an_image },
        Test { name: "an image that cannot be had says why", run: no_image },
    ]
}

fn is_root() -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::geteuid() == 0 }
}

/// A task of an image. No words: what the image says.
fn of_image(name: &str, reference: &str, engine: Engine, words: &[&str]) -> Launch {
    let mut launch = shell(name, "");
    let mut group = (*launch.group).clone();
    let task = &mut group.tasks[0];
    task.command = Command::Argv(words.iter().map(|word| (*word).to_owned()).collect());
    task.container = ContainerSpec {
        engine,
        image: Some(ImageSpec { reference: reference.to_owned(), ..ImageSpec::default() }),
        ..ContainerSpec::default()
    };
    launch.group = group.into();
    launch
}

fn an_image() {
    let Some(registry) = Registry::start("") else { return };
    if !is_root() {
        println!("not tested: containers with images need root");
        return;
    }
    let mut fixture = Fixture::new();
    let config = json!({
        "Entrypoint": ["/bin/sh", "-c", "echo $0 $*; id -u; id -G; pwd; echo $GREETING $PATH; cat /etc/passwd | wc -l; exec sleep 100", "entry"],
        "Cmd": ["cmd"],
        "Env": ["GREETING=hello", "PATH=/bin"],
        "User": "web",
        "WorkingDir": "/srv/deep",
        "Volumes": {"/var/data": {}},
    });
    fixture.runtime.block_on(registry.push("app:1", &TestImage::busybox(config)));
    fixture.start_agent();
    let reference = registry.reference("app:1");
    fixture.with_master(async |master| {
        master.launch(of_image("first", &reference, Engine::Docker, &[]));
        master.state(TaskState::Running).await;
    });
    let expected = "entry cmd\n1234\n1235 77\n/srv/deep\nhello /bin\n2\n";
    fixture.until("the image's command has run", || fixture.read("first", "stdout").len() >= expected.len());
    assert_eq!(fixture.read("first", "stdout"), expected);
    // Once more, without the registry; and with arguments.
    drop(registry);
    fixture.with_master(async |master| {
        master.launch(of_image("second", &reference, Engine::Docker, &["a", "b"]));
        master.state(TaskState::Running).await;
    });
    fixture.until("the second has run", || fixture.read("second", "stdout").contains("hello"));
    assert!(fixture.read("second", "stdout").starts_with("entry a b\n"));
    fixture.with_master(async |master| {
        for name in ["first", "second"] {
            master.kill(name, 0);
            master.state(TaskState::Killed).await;
        }
    });
}

fn no_image() {
    let Some(registry) = Registry::start("") else { return };
    let mut fixture = Fixture::new();
    fixture.start_agent();
    let reference = registry.reference("nothing:1");
    let failed = fixture.with_master(async |master| {
        master.launch(of_image("none", &reference, Engine::Docker, &[]));
        master.update(|status| status.state.is_terminal()).await
    });
    let expected = if is_root() {
        format!(
            "cannot pull {reference}: the registry has no such image: manifest unknown (404) (check the name and the tag)"
        )
    } else {
        format!("cannot run {reference}: containers with an image need an agent with all of root's rights")
    };
    assert!(failed.message.starts_with(&expected), "{}", failed.message);
}
