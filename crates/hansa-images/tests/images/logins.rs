//! Registries that want to know who asks.

use crate::fake::{Asked, Fake, Reply};
use crate::support::archive::Archive;
use crate::support::image::TestImage;
use crate::{request, settings};
use hansa_images::{Images, Kind, Logins, Request};
use serde_json::json;

/// `alice:secret`
const ALICE: &str = "Basic YWxpY2U6c2VjcmV0";

fn image() -> TestImage {
    TestImage::new(json!({}), &[Archive::new().file("a", b"1").finish()])
}

fn config(host: &str, entry: serde_json::Value) -> String {
    json!({"auths": {host: entry}}).to_string()
}

#[tokio::test]
async fn passwords_and_tokens_open_a_registry() {
    let alice = json!({"auth": "YWxpY2U6c2VjcmV0"});
    // Basic; a token for a password; a token for a token; a token as it is.
    for (scheme, entry) in [
        ("basic", alice.clone()),
        ("bearer", alice),
        ("bearer", json!({"identitytoken": "refresh-me"})),
        ("bearer", json!({"registrytoken": "granted"})),
    ] {
        let image = image();
        let registry = Fake::start(&[("team/app:1", &image)], move |asked: &Asked, _: &Reply| {
            let shown = asked.headers.get("authorization").map(String::as_str);
            if asked.path.starts_with("/token") {
                let scope = "scope=repository%3Ateam%2Fapp%3Apull";
                let by_password = asked.method == "GET" && shown == Some(ALICE) && asked.path.contains(scope);
                let by_token = asked.method == "POST" && asked.body.contains("refresh_token=refresh-me");
                return Some(match by_password || by_token {
                    true => Reply::new(200, r#"{"access_token":"granted","expires_in":60}"#),
                    false => Reply::new(401, ""),
                });
            }
            let expected = if scheme == "basic" { ALICE } else { "Bearer granted" };
            let host = &asked.headers["host"];
            let challenge = match scheme {
                "basic" => "Basic realm=\"r\"".to_owned(),
                _ => format!(
                    "Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:team/app:pull\""
                ),
            };
            (shown != Some(expected)).then(|| Reply::new(401, "").header("www-authenticate", challenge))
        })
        .await;
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("images");
        let file = temp.path().join("config.json");
        let reference = registry.reference("team/app:1");
        let login = config(&registry.address.to_string(), entry);

        let bare = Images::open(settings(&root)).unwrap();
        let refused = bare.acquire(&request(&reference, "x"), |_| {}).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Unauthorized);
        assert!(refused.to_string().contains("--docker-config"), "{refused}");

        // From the app.
        let logins = Logins::parse("app", login.as_bytes()).unwrap();
        let own = Request { logins: Some(logins), ..request(&reference, "x") };
        bare.acquire(&own, |_| {}).await.unwrap();
        bare.prune(&[]);

        // From the agent's file, which is read when it is needed.
        std::fs::write(
            &file,
            config(&registry.address.to_string(), json!({"username": "eve", "password": "no"})),
        )
        .unwrap();
        let mut with_file = settings(&root);
        with_file.docker_config = Some(file.clone());
        let images = Images::open(with_file).unwrap();
        let refused = images.acquire(&request(&reference, "x"), |_| {}).await.unwrap_err();
        assert!(refused.to_string().contains("check the login"), "{refused}");
        std::fs::write(&file, &login).unwrap();
        images.acquire(&request(&reference, "x"), |_| {}).await.unwrap();
    }
}

#[tokio::test]
async fn logins_do_not_follow_a_redirect_to_another_server() {
    let image = image();
    let elsewhere = Fake::start(&[("a:1", &image)], |asked: &Asked, _: &Reply| {
        asked.headers.contains_key("authorization").then(|| Reply::new(400, "a login was passed on"))
    })
    .await;
    let other = elsewhere.address.to_string();
    let registry = Fake::start(&[("a:1", &image)], move |asked: &Asked, _: &Reply| {
        if asked.headers.get("authorization").map(String::as_str) != Some(ALICE) {
            return Some(Reply::new(401, "").header("www-authenticate", "Basic realm=\"r\""));
        }
        let is_blob = asked.path.contains("/blobs/");
        is_blob.then(|| Reply::new(307, "").header("location", format!("http://{other}{}", asked.path)))
    })
    .await;
    let temp = tempfile::tempdir().unwrap();
    let images = Images::open(settings(temp.path())).unwrap();
    let login = config(&registry.address.to_string(), json!({"auth": "YWxpY2U6c2VjcmV0"}));
    let logins = Some(Logins::parse("app", login.as_bytes()).unwrap());
    let reference = registry.reference("a:1");
    images.acquire(&Request { logins, ..request(&reference, "x") }, |_| {}).await.unwrap();
    assert_eq!(elsewhere.count("/blobs/"), 2);
}
