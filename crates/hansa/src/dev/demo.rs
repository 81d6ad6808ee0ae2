//! `hansa dev --demo`: what is deployed, the wait until it is healthy, and what to try next. The program itself is the
//! workload, for nothing else can be assumed to be installed.

use crate::client::Client;
use crate::commands::task::list::table;
use crate::dev::process::own_program;
use crate::failure::{Exit, Failure};
use crate::follow::{Progress, Started, describe_service};
use crate::table::terminal_width;
use crate::text;
use hansa_api::hansa::{Health, Service, Services, Task, Tasks};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WEB: &str = "/demo/web";
const WORKER: &str = "/demo/worker";

/// The running demo.
pub struct Demo {
    tasks: Vec<Task>,
}

/// Deploys the demo and waits until it is healthy.
pub async fn deploy(client: &Client, progress: &Progress) -> Result<Demo, Failure> {
    let program = own_program()?;
    let apps = apps(&program.to_string_lossy());
    let query = [("force", "true"), ("partialUpdate", "false")];
    let _: Started = client.call(Method::PUT, "/v2/apps", &query, Some(&apps)).await?;
    let begun = Instant::now();
    loop {
        let all: Services = client.get("/hansa/v1/services", &[]).await?;
        let demo: Vec<&Service> =
            all.services.iter().filter(|service| [WEB, WORKER].contains(&service.id.as_str())).collect();
        let healthy = demo.iter().filter(|service| service.health == Health::Healthy).count();
        if healthy == 2 {
            break;
        }
        // One deployment brings both: what it waits for is the same for each, and says no more than the numbers.
        let numbers =
            |service: &&Service| describe_service(&Service { waiting_for: None, ..(*service).clone() });
        let words: Vec<String> = demo.iter().map(numbers).collect();
        progress.say(words.join(" · "));
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(Failure::new(
                Exit::TimedOut,
                format!("the demo does not become healthy: {}", words.join("; ")),
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let tasks: Tasks = client.get("/hansa/v1/tasks", &[("state", "TASK_RUNNING")]).await?;
    Ok(Demo { tasks: tasks.tasks })
}

/// The demo's definitions, in Marathon's JSON.
fn apps(program: &str) -> Value {
    json!([
        {
            "id": WEB,
            "args": [program, "demo-web"],
            "cpus": 0.1,
            "mem": 32,
            "instances": 3,
            "portDefinitions": [{ "port": 0, "protocol": "tcp", "name": "http" }],
            "healthChecks": [{
                "protocol": "HTTP",
                "path": "/health",
                "portIndex": 0,
                "gracePeriodSeconds": 30,
                "intervalSeconds": 1,
                "timeoutSeconds": 1,
                "maxConsecutiveFailures": 3,
                "delaySeconds": 0
            }],
            "constraints": [["hostname", "GROUP_BY"]]
        },
        {
            "id": WORKER,
            "args": [program, "demo-worker"],
            "cpus": 0.1,
            "mem": 64,
            "instances": 1,
            "portDefinitions": []
        }
    ])
}

impl Demo {
    /// What runs where, and what to try next.
    pub fn summary(&self, address: &str) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "hansa".into());
        let program = match address {
            crate::config::DEFAULT_MASTER => program,
            other => format!("{program} --master {other}"),
        };
        let web = self.tasks.iter().find(|task| task.app.as_ref().is_some_and(|app| app.as_str() == WEB));
        let port = web.and_then(|task| task.ports.first()).copied().unwrap_or(0);
        let id = web.map_or_else(String::new, |task| crate::commands::task::logs::short_id(&task.id));
        let tries = [
            (format!("curl http://127.0.0.1:{port}/"), "ask one instance of the web service"),
            (format!("{program} app list"), ""),
            (format!("{program} app scale demo/web 5"), ""),
            (format!("{program} task kill {id}"), "it comes back"),
            (
                format!("{program} app update demo/web cpus=100 --no-wait"),
                "fits nowhere: it waits, nothing is stopped",
            ),
            (format!("{program} explain demo/web"), "says why"),
            (format!("{program} logs -f demo/worker"), ""),
            (format!("{program} --help"), ""),
        ];
        let width = tries.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
        let tries: String = tries
            .iter()
            .map(|(command, why)| format!("  {}\n", format!("{command:<width$}  {why}").trim_end()))
            .collect();
        format!("\n{}\nTry:\n{tries}", table(&self.tasks, text::now()).render(terminal_width()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_summary_names_what_runs_and_what_to_try() {
        let demo = Demo { tasks: vec![samples::task("demo_web.instance-0123456789._app.1")] };
        let text = demo.summary("http://127.0.0.1:9");
        assert!(
            text.contains("demo_web.instance-0123456789._app.1") && text.contains("127.0.0.1:31000/"),
            "{text}"
        );
        assert!(text.contains("--master http://127.0.0.1:9 task kill 23456789 "), "{text}");
        assert!(demo.summary(crate::config::DEFAULT_MASTER).lines().all(|line| !line.contains("--master")));
    }
}
