//! Registries and networks that misbehave.

use crate::fake::{Fake, Reply, Rule};
use crate::support::archive::Archive;
use crate::support::image::{TestImage, digest, gzip};
use crate::{acquire, half_made, request, settings, until};
use hansa_images::{Images, Kind};
use serde_json::json;
use std::time::Duration;

/// An image of one layer with a large file that does not compress.
fn image() -> TestImage {
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(3_000_000)
    .collect();
    TestImage::new(json!({"Cmd": ["x"]}), &[Archive::new().file("noise", &noise).finish()])
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    for ranges in [true, false] {
        let image = image();
        let registry = Fake::start(&[("a:1", &image)], move |asked, honest| {
            if !asked.path.contains("/blobs/") || honest.body.len() < 100_000 {
                return None;
            }
            let mut reply = honest.clone();
            if ranges && let Some(range) = asked.headers.get("range") {
                let from: usize = range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
                let length = honest.body.len();
                reply = Reply::new(206, &honest.body[from..])
                    .header("content-range", format!("bytes {from}-{}/{length}", length - 1));
            }
            // Three times a part, then the rest.
            reply.cut = (asked.before < 3).then(|| reply.body.len().min(700_000 * (1 + asked.before)));
            Some(reply)
        })
        .await;
        let temp = tempfile::tempdir().unwrap();
        let images = Images::open(settings(temp.path())).unwrap();
        let found = acquire(&images, &registry.reference("a:1")).await.unwrap();
        assert_eq!(
            std::fs::metadata(found.layers[0].join("noise")).unwrap().len(),
            3_000_000,
            "ranges {ranges}"
        );
        assert_eq!(half_made(temp.path()), 0);
    }
}

/// A registry that does this to every request.
type Bad = fn(&crate::fake::Asked, &Reply) -> Option<Reply>;

#[tokio::test]
async fn what_passes_is_tried_again_and_what_stays_is_told() {
    let image = image();
    let busy = |asked: &crate::fake::Asked, _: &Reply| (asked.before < 2).then(|| Reply::new(503, "busy"));
    let registry = Fake::start(&[("a:1", &image)], busy).await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    acquire(&images, &registry.reference("a:1")).await.unwrap();

    for (name, kind, words, rule) in [
        ("down", Kind::Registry, "answers 503", (|_, _| Some(Reply::new(503, "no"))) as Bad),
        ("missing", Kind::NotFound, "no such image: manifest unknown (404)", |_, _| None),
        ("locked", Kind::Unauthorized, "give a login for", |_, _| {
            Some(Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\""))
        }),
        ("closed", Kind::Unauthorized, "refuses", |_, _| Some(Reply::new(403, ""))),
        ("page", Kind::Refused, "not understood", |_, _| Some(Reply::new(200, "<html>hello"))),
        ("long", Kind::Refused, "longer than", |_, _| Some(Reply::new(200, vec![b' '; 5 << 20]))),
        ("plain", Kind::Tls, "not encrypted", |_, _| {
            Some(Reply::new(307, "").header("location", "http://registry.example/"))
        }),
        ("ring", Kind::Registry, "again and again", |asked, _| {
            Some(Reply::new(302, "").header("location", asked.path.clone()))
        }),
        ("nowhere", Kind::Registry, "to nowhere", |_, _| Some(Reply::new(302, ""))),
    ] {
        let registry = Fake::start(&[("a:1", &image)], rule).await;
        let reference = registry.reference(&format!("{name}:1"));
        let failure = acquire(&images, &reference).await.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.kind, kind, "{text}");
        assert!(text.starts_with(&format!("cannot pull {reference}: ")) && text.contains(words), "{text}");
        println!("{text}");
    }
    let nobody = acquire(&images, "127.0.0.1:1/a:1").await.unwrap_err();
    assert_eq!(nobody.kind, Kind::Unreachable);
    assert!(nobody.to_string().contains("Connection refused"), "{nobody}");
    println!("{nobody}");
    let name = acquire(&images, "No Such:Name").await.unwrap_err();
    assert_eq!(name.kind, Kind::Reference);
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_not_kept() {
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let honest = image();
    // The registry gives other bytes: of a layer, of the configuration, of a manifest asked for by digest.
    let layer = |asked: &crate::fake::Asked, honest: &Reply| {
        let is_layer = asked.path.contains("/blobs/") && honest.body.len() > 100_000;
        is_layer.then(|| Reply {
            body: [&honest.body[..100], &[1, 2, 3], &honest.body[103..]].concat(),
            ..honest.clone()
        })
    };
    let config = |asked: &crate::fake::Asked, honest: &Reply| {
        (asked.path.contains("/blobs/") && honest.body.len() < 100_000).then(|| Reply::new(200, "{}"))
    };
    let manifest = |asked: &crate::fake::Asked, _: &Reply| {
        asked.path.contains("/manifests/").then(|| Reply::new(200, "{}"))
    };
    let longer = |asked: &crate::fake::Asked, honest: &Reply| {
        let is_layer = asked.path.contains("/blobs/") && honest.body.len() > 100_000;
        is_layer.then(|| Reply { body: [&honest.body[..], b"more"].concat(), ..honest.clone() })
    };
    let by_digest = format!("a@{}", digest(&honest.manifest));
    let cases: [(&str, Rule); 4] = [
        ("a:1", Box::new(layer)),
        ("a:1", Box::new(config)),
        (&by_digest, Box::new(manifest)),
        ("a:1", Box::new(longer)),
    ];
    for (name, rule) in cases {
        let registry = Fake::start(&[("a:1", &honest)], rule).await;
        let failure = acquire(&images, &registry.reference(name)).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Corrupt, "{failure}");
        println!("{failure}");
    }
    // The configuration names another content than the layer has.
    let archive = Archive::new().file("a", b"1").finish();
    let lying = TestImage::of_blobs(json!({}), &[digest(b"something else")], vec![gzip(&archive)]);
    let registry = Fake::honest(&[("a:1", &lying)]).await;
    let failure = acquire(&images, &registry.reference("a:1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Corrupt, "{failure}");
    until("nothing half-made is left", || half_made(temp.path()) == 0).await;
    assert_eq!(std::fs::read_dir(temp.path().join("layers")).unwrap().count(), 0);
    assert!(images.list().is_empty());
}

#[tokio::test]
async fn a_hostile_image_is_refused_and_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("images");
    let images = Images::open(settings(&root)).unwrap();
    let good = Archive::new().file("fine", b"1").finish();
    let evil = Archive::new().symlink("door", temp.path().to_str().unwrap()).file("door/evil", b"x").finish();
    let image = TestImage::new(json!({}), &[good, evil]);
    let registry = Fake::honest(&[("evil:1", &image)]).await;
    let failure = acquire(&images, &registry.reference("evil:1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Refused);
    assert!(
        failure.to_string().contains("\"door/evil\" is no directory, but has something in it"),
        "{failure}"
    );
    assert!(!temp.path().join("evil").exists());
    until("nothing half-made is left", || half_made(&root) == 0).await;
}

#[tokio::test]
async fn a_full_disk_is_told_before_it_is_full() {
    let temp = tempfile::tempdir().unwrap();
    let mut settings = settings(temp.path());
    settings.limits.reserve_bytes = u64::MAX / 2;
    let images = Images::open(settings).unwrap();
    let registry = Fake::honest(&[("a:1", &image())]).await;
    let failure = acquire(&images, &registry.reference("a:1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::DiskFull);
    assert!(failure.to_string().contains("`hansa image prune`"), "{failure}");
    until("nothing half-made is left", || half_made(temp.path()) == 0).await;
}

#[tokio::test]
async fn a_pull_ends_when_nobody_wants_it_or_its_time_is_over() {
    let image = image();
    let hanging = |asked: &crate::fake::Asked, honest: &Reply| {
        let is_layer = asked.path.contains("/blobs/") && honest.body.len() > 100_000;
        is_layer.then(|| Reply { hang: true, ..honest.clone() })
    };
    let registry = Fake::start(&[("a:1", &image)], hanging).await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let reference = registry.reference("a:1");
    let (own, name) = (images.clone(), reference.clone());
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let pulling = tokio::spawn(async move {
        own.acquire(&request(&name, "a"), |words| drop(said.send(words))).await.map(drop)
    });
    let words = heard.recv().await.unwrap();
    assert_eq!(words, format!("pulling {reference}: 0 of 3 MB"));
    assert_eq!(half_made(temp.path()), 1);
    pulling.abort();
    until("the half-made layer is gone", || half_made(temp.path()) == 0).await;

    let mut short = settings(temp.path());
    short.pull_timeout = Duration::from_millis(50);
    let failure = acquire(&Images::open(short).unwrap(), &reference).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(failure.to_string().contains("--pull-timeout"), "{failure}");
    until("the half-made layer is gone again", || half_made(temp.path()) == 0).await;
}
