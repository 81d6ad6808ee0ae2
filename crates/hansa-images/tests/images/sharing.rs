//! One copy of everything, for as long as somebody needs it.

use crate::fake::Fake;
use crate::support::archive::{Archive, Entry};
use crate::support::image::{TestImage, architecture, digest, gzip};
use crate::support::registry::Registry;
use crate::{acquire, half_made, request, settings, until};
use hansa_images::{Images, Kind};
use serde_json::json;
use std::os::unix::fs::MetadataExt;

fn layer(name: &str, content: &str) -> Vec<u8> {
    Archive::new().file(name, content.as_bytes()).finish()
}

#[tokio::test]
async fn a_real_registry_serves_images_by_tag_digest_and_platform() {
    let Some(registry) = Registry::start("") else { return };
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let first = TestImage::new(json!({"Cmd": ["one"]}), &[layer("base", "b"), layer("top", "1")]);
    let second = TestImage::new(json!({"Cmd": ["two"]}), &[layer("base", "b"), layer("top", "2")]);
    registry.push("team/app:1", &first).await;
    registry.push("team/app:2", &second).await;
    let one = acquire(&images, &registry.reference("team/app:1")).await.unwrap();
    assert_eq!(
        (one.config.cmd.as_slice(), one.digest.to_string()),
        (&["one".to_owned()][..], digest(&first.manifest))
    );
    assert_eq!(std::fs::read_to_string(one.layers[0].join("top")).unwrap(), "1");
    let two = acquire(&images, &registry.reference("team/app:2")).await.unwrap();
    assert_eq!(one.layers[1], two.layers[1], "the lower layer is shared");
    assert_ne!(one.layers[0], two.layers[0]);
    let pinned = registry.reference(&format!("team/app:2@{}", digest(&first.manifest)));
    assert_eq!(acquire(&images, &pinned).await.unwrap().digest, one.digest, "the digest counts, not the tag");

    let Ok(_) = std::fs::metadata("/bin/busybox") else {
        println!("not tested: there is no /bin/busybox; install the package busybox-static");
        return;
    };
    registry.push("busybox:1", &TestImage::busybox(json!({}))).await;
    let busybox = acquire(&images, &registry.reference("busybox:1")).await.unwrap();
    let inode = |name: &str| std::fs::metadata(busybox.layers[0].join(name)).unwrap().ino();
    assert_eq!(inode("bin/sh"), inode("bin/busybox"), "hard links stay links");

    // An index: this machine's image is chosen; without one the others are named.
    let entry = |image: &TestImage, architecture: &str| {
        json!({"mediaType": crate::support::image::MANIFEST, "digest": digest(&image.manifest), "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let kind = "application/vnd.oci.image.index.v1+json";
    for (tag, own) in [("many", architecture()), ("foreign", "s390x")] {
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [entry(&first, "riscv64"), entry(&second, own)]});
        registry.put_manifest("team/app", tag, kind, index.to_string().into_bytes()).await;
    }
    assert_eq!(acquire(&images, &registry.reference("team/app:many")).await.unwrap().digest, two.digest);
    let foreign = acquire(&images, &registry.reference("team/app:foreign")).await.unwrap_err();
    assert_eq!(foreign.kind, Kind::Platform);
    assert!(foreign.to_string().contains("it is for linux/riscv64, linux/s390x, not for"), "{foreign}");
    let missing = acquire(&images, &registry.reference("team/other")).await.unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound, "{missing}");
    let names: Vec<String> = images.list().into_iter().flat_map(|image| image.references).collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[tokio::test]
async fn twenty_who_want_the_same_cause_one_pull() {
    let image = TestImage::new(json!({}), &[layer("a", "1"), layer("b", "2")]);
    let registry = Fake::honest(&[("a:1", &image)]).await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let reference = registry.reference("a:1");
    let all = futures_util::future::join_all((0..20).map(|_| acquire(&images, &reference))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((registry.count("/manifests/"), registry.count("/blobs/")), (1, 3));
    // And none once it is there; unless it is asked for.
    acquire(&images, &reference).await.unwrap();
    assert_eq!(registry.count("/v2/"), 4);
    let forced = hansa_images::Request { force_pull: true, ..request(&reference, "x") };
    images.acquire(&forced, |_| {}).await.unwrap();
    assert_eq!(
        (registry.count("/manifests/"), registry.count("/blobs/")),
        (2, 3),
        "the manifest, but nothing that is there"
    );
}

#[tokio::test]
async fn a_tag_that_moves_is_followed_when_asked() {
    let (old, new) =
        (TestImage::new(json!({}), &[layer("a", "1")]), TestImage::new(json!({}), &[layer("a", "2")]));
    let registry = Registry::start("");
    let Some(registry) = registry else { return };
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let reference = registry.reference("moving:latest");
    registry.push("moving:latest", &old).await;
    let first = acquire(&images, &reference).await.unwrap();
    registry.push("moving:latest", &new).await;
    assert_eq!(acquire(&images, &reference).await.unwrap().digest, first.digest, "not asked, not looked");
    let forced = hansa_images::Request { force_pull: true, ..request(&reference, "x") };
    let second = images.acquire(&forced, |_| {}).await.unwrap();
    assert_eq!(second.digest.to_string(), digest(&new.manifest));
    assert_eq!(acquire(&images, &reference).await.unwrap().digest, second.digest);
    let names: Vec<usize> = images.list().iter().map(|image| image.references.len()).collect();
    assert_eq!((names.iter().sum::<usize>(), names.len()), (1, 2), "the old one has lost its name");
}

#[tokio::test]
async fn what_is_held_stays_and_what_is_not_goes() {
    let shared = layer("base", "shared");
    let (a, b) = (
        TestImage::new(json!({}), &[shared.clone(), layer("a", "1")]),
        TestImage::new(json!({}), &[shared, layer("b", "22")]),
    );
    let registry = Fake::honest(&[("a:1", &a), ("b:1", &b)]).await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let held = images.acquire(&request(&registry.reference("a:1"), "task-a"), |_| {}).await.unwrap();
    drop(acquire(&images, &registry.reference("b:1")).await.unwrap());
    let used: Vec<Vec<String>> = images.list().into_iter().map(|image| image.used_by).collect();
    assert!(used.contains(&vec!["task-a".to_owned()]) && used.contains(&vec![]), "{used:?}");
    let but = [registry.reference("b:1").parse().unwrap()];
    assert_eq!(images.prune(&but), Default::default(), "one is held, the other named");
    let removed = images.prune(&[]);
    assert_eq!((removed.images.len(), removed.bytes), (1, 2), "only what b alone had: {removed:?}");
    assert!(held.layers.iter().all(|layer| layer.is_dir()));

    // A new life of the agent: what the container recorded holds it again; a half-made layer is swept.
    let (digest, chains) = (held.digest.clone(), held.chains.clone());
    drop((held, images));
    std::fs::create_dir_all(temp.path().join("tmp/99/fs/half")).unwrap();
    std::fs::create_dir(temp.path().join("layers/unknown")).unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    assert_eq!(half_made(temp.path()), 0);
    assert!(!temp.path().join("layers/unknown").exists());
    let lease = images.hold("task-a", &digest, &chains);
    assert_eq!(images.prune(&[]).images.len(), 0);
    assert_eq!(images.list()[0].used_by, ["task-a"]);
    drop(lease);
    assert_eq!(images.prune(&[]).images.len(), 1);
    assert_eq!(std::fs::read_dir(temp.path().join("layers")).unwrap().count(), 0);
    acquire(&images, &registry.reference("a:1")).await.unwrap();
}

/// Images `old:1` and `new:1`, both pulled and used in this order and held by nobody, on a disk that is too full.
async fn under_pressure() -> (tempfile::TempDir, Images) {
    let image = |name: &str| TestImage::new(json!({}), &[layer(name, name)]);
    let (old, new) = (image("old"), image("new"));
    let registry = Fake::honest(&[("old:1", &old), ("new:1", &new)]).await;
    let temp = tempfile::tempdir().unwrap();
    let mut settings = settings(temp.path());
    let calm = Images::open(settings.clone()).unwrap();
    for name in ["old:1", "new:1", "old:1", "new:1"] {
        drop(acquire(&calm, &registry.reference(name)).await.unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    until("all is on the disk", || layers_synced(temp.path()) == 2).await;
    drop(calm);
    // Every disk is fuller than nothing, and none is ever emptied so far.
    (settings.high_percent, settings.low_percent) = (0, 0);
    let images = Images::open(settings).unwrap();
    (temp, images)
}

#[tokio::test]
async fn under_pressure_what_is_wanted_is_there_all_the_same() {
    let (_temp, images) = under_pressure().await;
    // Even so, what is pulled now is there for whoever wants it.
    for _ in 0..10 {
        let forced = TestImage::new(json!({}), &[layer("forced", "1")]);
        let registry = Fake::honest(&[("forced:1", &forced)]).await;
        let held = acquire(&images, &registry.reference("forced:1")).await.unwrap();
        assert!(held.layers[0].is_dir());
    }
    let names: Vec<String> = images.list().into_iter().flat_map(|image| image.references).collect();
    assert!(!names.iter().any(|name| name.ends_with("/old:1")), "{names:?}");
}

#[tokio::test]
async fn the_order_of_removal_is_that_of_use() {
    let (_temp, images) = under_pressure().await;
    let removed = images.relieve();
    let names: Vec<&str> = removed.images.iter().map(|name| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["old:1", "new:1"]);
}

fn layers_synced(root: &std::path::Path) -> usize {
    let dirs = std::fs::read_dir(root.join("layers")).unwrap();
    dirs.filter(|dir| {
        let record =
            std::fs::read_to_string(dir.as_ref().unwrap().path().join("layer.json")).unwrap_or_default();
        record.contains("\"synced\":true")
    })
    .count()
}

#[tokio::test]
async fn directories_that_a_layer_only_implies_look_as_below() {
    // SAFETY: no memory is passed.
    if unsafe { libc::geteuid() } != 0 {
        println!("not tested: owners need root");
        return;
    }
    let below = Archive::new()
        .dir("tmp", 0o1777)
        .entry(&Entry {
            name: b"srv",
            kind: b'5',
            mode: 0o750,
            owner: (12, 34),
            mtime: 56,
            ..Entry::default()
        })
        .finish();
    let above = Archive::new().file("tmp/x", b"").file("srv/y", b"").file("new/z", b"").finish();
    let zstd = ruzstd::encoding::compress_to_vec(&above[..], ruzstd::encoding::CompressionLevel::Fastest);
    let diffs = [digest(&below), digest(&above)];
    let image = TestImage::of_blobs(json!({}), &diffs, vec![gzip(&below), zstd]);
    let registry = Fake::honest(&[("a:1", &image)]).await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let found = acquire(&images, &registry.reference("a:1")).await.unwrap();
    let data = |name: &str| std::fs::metadata(found.layers[0].join(name)).unwrap();
    assert_eq!(data("tmp").mode() & 0o7777, 0o1777);
    let srv = data("srv");
    assert_eq!((srv.mode() & 0o7777, srv.uid(), srv.gid(), srv.mtime()), (0o750, 12, 34, 56));
    assert_eq!(data("new").mode() & 0o7777, 0o755);
}
