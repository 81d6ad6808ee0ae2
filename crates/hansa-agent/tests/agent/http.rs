//! The agent's own port.

use crate::Test;
use crate::fixture::{Fixture, limited, shell};
use hansa_link::ToAgentBody;
use hansa_model::task::TaskState;
use serde_json::Value;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test { name: "output is read from any place and followed to the end", run: output },
        Test { name: "nothing outside a sandbox is handed out", run: traversal },
        Test { name: "a sandbox is listed and read, also when its task has ended", run: files },
        Test { name: "foreign pages are refused", run: foreign },
        Test { name: "state and figures", run: figures },
    ]
}

pub(crate) struct Http<'a> {
    fixture: &'a Fixture,
    base: String,
    client: reqwest::Client,
}

impl<'a> Http<'a> {
    pub(crate) fn new(fixture: &'a Fixture, address: &str) -> Self {
        Self { fixture, base: format!("http://{address}"), client: reqwest::Client::new() }
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self.client.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.fixture.runtime.block_on(limited(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }))
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, &[])
    }

    /// The headers of an answer that must be there.
    fn heads(&self, path: &str) -> reqwest::header::HeaderMap {
        let request = self.client.get(format!("{}{path}", self.base));
        self.fixture.runtime.block_on(limited(async {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{path}");
            answer.headers().clone()
        }))
    }

    /// JSON.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.post_as(path, "application/json", body)
    }

    pub(crate) fn post_as(&self, path: &str, kind: &str, body: &str) -> (u16, String) {
        let url = format!("{}{path}", self.base);
        let request = self.client.post(url).header("content-type", kind).body(body.to_owned());
        self.fixture.runtime.block_on(limited(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }))
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

fn output() {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| {
        master.launch(shell("x", "printf 0123456789; while [ ! -e go ]; do sleep 0.02; done; printf rest"));
        master.state(TaskState::Running).await;
    });
    fixture.until("it has written", || fixture.read("x", "stdout") == "0123456789");
    let http = Http::new(&fixture, &address);
    for (query, expected) in [
        ("", "0123456789"),
        ("?offset=4", "456789"),
        ("?offset=4&limit=2", "45"),
        ("?offset=-3", "789"),
        ("?offset=100", ""),
        ("?limit=0", ""),
    ] {
        assert_eq!(http.get(&format!("/files/x.1/stdout{query}")), (200, expected.into()), "{query}");
    }
    assert_eq!(http.get("/files/x.1/stderr").1, "");
    assert_eq!(http.get("/slave(1)/files/x.1/stdout?offset=9").1, "9");
    assert_eq!(http.get("/files/x.1/stdout?offset=abc").0, 400);
    // Whoever follows gets what comes, and an end when the task ends.
    let sandbox = fixture.sandbox("x");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::write(sandbox.join("go"), "").unwrap();
    });
    assert_eq!(http.get("/files/x.1/stdout?offset=8&follow=true"), (200, "89rest".into()));
    writer.join().unwrap();
}

fn traversal() {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| {
        master.launch(shell(
            "x",
            "mkdir d; echo in > d/f; ln -s /etc/passwd link; ln -sf /etc/passwd stderr; sleep 1000",
        ));
        master.state(TaskState::Running).await;
    });
    fixture.until("it has linked", || fixture.sandbox("x").join("link").symlink_metadata().is_ok());
    let data = fixture.data_dir();
    let data = data.display();
    let http = Http::new(&fixture, &address);
    for bad in [
        "/files/x.1/journal".to_owned(),
        "/files/..%2fjournal/stdout".into(),
        "/files/../journal".into(),
        "/files/%2e%2e/stdout".into(),
        "/files/x.1%2f../stdout".into(),
        "/files/x.1/..%2f..%2fjournal".into(),
        "/files/x.1/stderr%00".into(),
        "/files/nobody/stdout".into(),
        format!("/files/read?path={data}/sandboxes/x.1/link&offset=0"),
        format!("/files/read?path={data}/sandboxes/x.1/../../journal&offset=0"),
        format!("/files/read?path={data}/sandboxes/../journal&offset=0"),
        format!("/files/read?path={data}/journal&offset=0"),
        "/files/read?path=/etc/passwd&offset=0".into(),
        format!("/files/download?path={data}/sandboxes/x.1/d/../../../journal"),
        format!("/files/browse?path={data}/sandboxes"),
        format!("/files/browse?path={data}/sandboxes/"),
        format!("/files/browse?path={data}/sandboxes/.."),
        "/files/browse?path=/".into(),
    ] {
        let (status, text) = http.get(&bad);
        assert!(status == 404, "{bad}: {status} {text}");
    }
    let (_, leaked) = http.get("/files/x.1/stderr");
    assert!(!leaked.contains("root"), "through a link that the task made: {leaked}");
    // What is inside is there, in Mesos' way.
    let read = http.json(&format!("/files/read?path={data}/sandboxes/x.1/d/f&offset=1&length=10"));
    assert_eq!(read, serde_json::json!({"data": "n\n", "offset": 1}));
    let size = http.json(&format!("/files/read?path={data}/sandboxes/x.1/d/f&offset=-1"));
    assert_eq!(size, serde_json::json!({"data": "", "offset": 3}));
    let listed = http.json(&format!("/files/browse?path={data}/sandboxes/x.1/d"));
    assert_eq!(listed[0]["path"], format!("{data}/sandboxes/x.1/d/f"));
    assert_eq!(http.get(&format!("/files/download?path={data}/sandboxes/x.1/d/f")), (200, "in\n".into()));
}

fn files() {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    let script = "mkdir d many; printf 'text' > d/t; printf 'a\\0b' > d/b; ln -s /etc/passwd link; ln -s / d/root; \
                  for n in 1 2 3 4 5; do : > many/f$n; done; mkfifo pipe; touch ready; \
                  while ! [ -e go ]; do sleep 0.05; done";
    fixture.with_master(async |master| {
        master.launch(shell("x", script));
        master.state(TaskState::Running).await;
    });
    fixture.until("its files are there", || fixture.sandbox("x").join("ready").exists());
    let base = "/hansa/v1/tasks/x.1/files";
    let look = |http: &Http<'_>| {
        let root = http.json(base);
        let kinds: Vec<(&str, &str)> = root["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["name"].as_str().unwrap(), entry["kind"].as_str().unwrap()))
            .collect();
        for wanted in [("d", "directory"), ("link", "link"), ("pipe", "other"), ("ready", "file")] {
            assert!(kinds.contains(&wanted), "{wanted:?} in {kinds:?}");
        }
        let inside = http.json(&format!("{base}?path=d"));
        assert_eq!((&inside["path"], &inside["entries"][2]["size"]), (&"d".into(), &4.into()), "{inside}");
        assert!(inside["entries"][2]["mode"].as_str().unwrap().starts_with("-rw"), "{inside}");
        let page = http.json(&format!("{base}?path=many&limit=2&after=f1"));
        assert_eq!((&page["entries"][0]["name"], &page["next"]), (&"f2".into(), &"f3".into()));
        assert_eq!(http.get(&format!("{base}/content?path=d/t")), (200, "text".into()));
        assert_eq!(http.get(&format!("{base}/content?path=d/t&offset=-3&limit=2")), (200, "ex".into()));
        assert_eq!(http.get(&format!("{base}/content?path=d/t&offset=99")), (200, String::new()));
        let heads = http.heads(&format!("{base}/content?path=d/b&download=true"));
        assert_eq!(heads["x-hansa-binary"], "true");
        assert_eq!(heads["x-hansa-size"], "3");
        assert_eq!(heads["content-type"], "application/octet-stream");
        assert!(heads["content-disposition"].to_str().unwrap().contains("filename=\"b\""));
        for bad in [
            "?path=..",
            "?path=link",
            "?path=d/root",
            "?path=d/../../..",
            "/content?path=link",
            "/content?path=d/root/etc/passwd",
            "/content?path=../../journal",
            "/content?path=pipe",
            "/content?path=/etc/passwd",
            "/content?path=nothing",
        ] {
            let (status, text) = http.get(&format!("{base}{bad}"));
            assert!(status == 404 && text.contains("not-found"), "{bad}: {status} {text}");
        }
        let (status, text) = http.get(&format!("{base}/content?path=d"));
        assert!(status == 400 && text.contains("is a directory"), "{status} {text}");
        assert_eq!(http.get("/hansa/v1/tasks/..%2fx.1/files").0, 404);
        assert_eq!(http.get("/hansa/v1/tasks/nobody/files").0, 404);
    };
    let http = Http::new(&fixture, &address);
    look(&http);
    let past = http.json("/hansa/v1/tasks/x.1/history?span=15m");
    assert_eq!((&past["step_ms"], &past["limits"]["cpus_milli"]), (&15_000.into(), &100.into()));
    assert_eq!(http.get("/hansa/v1/tasks/x.1/history?span=1y").0, 400);
    assert_eq!(http.get("/hansa/v1/tasks/nobody/history").0, 404);
    std::fs::write(fixture.sandbox("x").join("go"), "").unwrap();
    fixture.with_master(async |master| master.state(TaskState::Finished).await);
    look(&Http::new(&fixture, &address));
}

fn foreign() {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    let http = Http::new(&fixture, &address);
    assert_eq!(http.get("/health").0, 200);
    assert_eq!(http.get_with("/health", &[("host", "evil.example")]).0, 403);
    assert_eq!(http.get_with("/state", &[("origin", "http://evil.example")]).0, 403);
    assert_eq!(http.get_with("/state", &[("origin", "http://localhost:8080")]).0, 200);
    assert_eq!(http.get("/nothing").0, 404);
}

fn figures() {
    let mut fixture = Fixture::new();
    let address = fixture.start_agent().address;
    fixture.with_master(async |master| {
        master.launch(shell("x", "while :; do :; done"));
        master.state(TaskState::Running).await;
        master.say(ToAgentBody::Watch { on: true });
    });
    let http = Http::new(&fixture, &address);
    let state = http.json("/slave(1)/state");
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["directory"], fixture.sandbox("x").display().to_string());
    assert_eq!(executor["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(state["resources"]["ports"], "[31000-31099]");
    if hansa_agent::cgroup::Driver::detect().driver.is_none() {
        println!("no cgroups here: figures are not tested");
        return;
    }
    fixture.until("it is seen to use a CPU", || {
        let usage = http.json("/hansa/v1/tasks/x.1/usage");
        let samples = usage["samples"].as_array().unwrap();
        samples.iter().any(|sample| sample["cpus_milli"].as_u64().unwrap() > 100)
    });
    let statistics = http.json("/monitor/statistics");
    assert_eq!(statistics[0]["executor_id"], "x.1");
    assert!(statistics[0]["statistics"]["mem_rss_bytes"].as_u64().unwrap() > 0);
    assert_eq!(http.get("/hansa/v1/tasks/nobody/usage").0, 404);
}
