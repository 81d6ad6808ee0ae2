//! Registries behind TLS. Plain HTTP is spoken with loopback addresses, so that a plain one leads to the one that matters.

use crate::fake::{Fake, Reply};
use crate::support::archive::Archive;
use crate::support::image::TestImage;
use crate::tls::{Authority, EXPIRED, VALID, in_front_of, not_tls};
use crate::{acquire, settings};
use hansa_images::web::Trust;
use hansa_images::{Images, Kind};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;

/// A registry whose every answer is at the same path of another server, over TLS.
async fn leading_to(secure: SocketAddr) -> Fake {
    Fake::start(&[], move |asked, _| {
        Some(Reply::new(307, "").header("location", format!("https://{secure}{}", asked.path)))
    })
    .await
}

/// Trusts an authority by a file, as users do.
fn trusting(authority: &Authority, dir: &Path) -> Trust {
    let file = dir.join("authority.pem");
    std::fs::write(&file, format!("a comment\n{}", authority.pem())).unwrap();
    Trust::with_files(&[file]).unwrap()
}

#[tokio::test]
async fn a_registry_is_believed_for_its_authority_its_name_and_its_time() {
    let image = TestImage::new(json!({"Cmd": ["x"]}), &[Archive::new().file("a", b"b").finish()]);
    let registry = Fake::honest(&[("a:1", &image)]).await;
    let [authority, stranger, namesake] = ["one", "other", "one"].map(Authority::new);
    for (trusted, name, valid, why) in [
        (&authority, "127.0.0.1", VALID, None),
        (
            &stranger,
            "127.0.0.1",
            VALID,
            Some(["an authority that this machine does not trust", "--ca-file FILE"]),
        ),
        (
            &namesake,
            "127.0.0.1",
            VALID,
            Some(["not of the authority that this machine trusts", "--ca-file FILE"]),
        ),
        (
            &authority,
            "127.0.0.1",
            EXPIRED,
            Some(["its certificate expired ", " days ago (give the server a valid one"]),
        ),
        (
            &authority,
            "registry.example",
            VALID,
            Some(["is for registry.example, and not for 127.0.0.1", "by a name"]),
        ),
    ] {
        let secure = in_front_of(authority.server(name, valid), registry.address).await;
        let front = leading_to(secure).await;
        let temp = tempfile::tempdir().unwrap();
        let mut settings = settings(&temp.path().join("images"));
        settings.trust = trusting(trusted, temp.path());
        let images = Images::open(settings).unwrap();
        let found = acquire(&images, &front.reference("a:1")).await;
        let Some(words) = why else {
            assert!(found.unwrap().layers[0].join("a").is_file());
            continue;
        };
        let failure = found.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.kind, Kind::Tls, "{text}");
        assert!(text.contains(&format!("no secure connection to {secure}: ")), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(front.count("/v2/"), 1, "trying again does not help");
    }
    assert!(registry.count("/v2/") > 0);
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let plain = not_tls().await;
    let front = leading_to(plain).await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let failure = acquire(&images, &front.reference("a:1")).await.unwrap_err();
    let text = failure.to_string();
    assert!(failure.kind == Kind::Tls && text.contains("plain HTTP"), "{text}");
    assert!(text.contains(&format!("--insecure-registry {plain}")), "{text}");
}
