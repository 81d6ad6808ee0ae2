//! What every client command needs: the master, the output format, and finding things by the names people type.

use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::Format;
use crate::suggest::nearest;
use hansa_api::hansa::{Nodes, Services, Task, Tasks};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What every client command is given.
pub struct Context {
    /// The master.
    pub client: Arc<Client>,
    /// How data is printed.
    pub format: Format,
}

/// The absolute path of a service: `web` is `/web`.
pub fn app_path(typed: &str) -> String {
    format!("/{}", typed.trim_matches('/'))
}

/// A name as part of a service's path: lower case, digits and dashes.
pub fn path_part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}

impl Context {
    /// Turns "not found" into a failure that names the nearest service.
    pub async fn explain_missing_app(&self, app: &str, failure: Failure) -> Failure {
        if failure.exit != Exit::NotFound {
            return failure;
        }
        let known: Services = match self.client.get("/hansa/v1/services", &[]).await {
            Ok(known) => known,
            Err(_) => return failure,
        };
        let missing =
            Failure::new(Exit::NotFound, format!("there is no service '{app}'")).at(self.client.address());
        match nearest(app, known.services.iter().map(|service| service.id.as_str())) {
            Some(name) => missing.remedy(format!("did you mean '{name}'?")),
            None if known.services.is_empty() => {
                missing.remedy("no service runs yet; `hansa app run FILE` starts one")
            }
            None => missing.remedy("`hansa app list` shows all services"),
        }
    }

    /// Turns "not found" into a failure that names the nearest machine.
    pub async fn explain_missing_node(&self, node: &str, failure: Failure) -> Failure {
        if failure.exit != Exit::NotFound {
            return failure;
        }
        let known: Nodes = match self.client.get("/hansa/v1/nodes", &[]).await {
            Ok(known) => known,
            Err(_) => return failure,
        };
        let names = known.nodes.iter().flat_map(|known| [known.hostname.as_str(), known.id.as_str()]);
        let missing =
            Failure::new(Exit::NotFound, format!("there is no node '{node}'")).at(self.client.address());
        match nearest(node, names) {
            Some(name) => missing.remedy(format!("did you mean '{name}'?")),
            None => missing.remedy("`hansa node list` shows all nodes"),
        }
    }

    /// All tasks, of one service if one is given.
    pub async fn tasks(&self, filters: &[(&str, &str)]) -> Result<Vec<Task>, Failure> {
        let parts = |page: Tasks| (page.tasks, page.next.map(|next| next.to_string()));
        self.pages("/hansa/v1/tasks", filters, parts).await
    }

    /// A list as a whole, page after page; `parts` takes a page apart into what is in it and what to go on after.
    pub async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        parts: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            if let Some(after) = &after {
                query.push(("after", after));
            }
            let (some, next) = parts(self.client.get(path, &query).await?);
            all.extend(some);
            // Whoever says the same twice would be asked for ever.
            match next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// The task with this id, or the only one whose id contains the text, or that its framework calls so.
    pub async fn task(&self, typed: &str) -> Result<Task, Failure> {
        match self.client.get(&format!("/hansa/v1/tasks/{typed}"), &[]).await {
            Err(failure) if failure.exit == Exit::NotFound => {
                let mut all = self.tasks(&[]).await?;
                // Those that have ended only where none is meant that lives.
                if !all.iter().any(|task| is_meant(task, typed)) {
                    all = self.tasks(&[("ended", "true")]).await?;
                }
                choose_task(typed, all).map_err(|missing| missing.at(self.client.address()))
            }
            other => other,
        }
    }
}

/// Whether a piece of an id, or a name that a framework gave, can mean a task.
fn is_meant(task: &Task, typed: &str) -> bool {
    let piece = typed.len() >= 4 && task.id.as_str().contains(typed);
    piece || task.framework_task.as_deref() == Some(typed)
}

/// The only task that a shortened id or a framework's name can mean.
fn choose_task(typed: &str, all: Vec<Task>) -> Result<Task, Failure> {
    let none = Failure::new(Exit::NotFound, format!("there is no task '{typed}'"));
    if let Some(exact) = all.iter().position(|task| task.id.as_str() == typed) {
        return Ok(all.into_iter().nth(exact).expect("the position was just found"));
    }
    let (mut matching, rest): (Vec<Task>, Vec<Task>) =
        all.into_iter().partition(|task| is_meant(task, typed));
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(match nearest(typed, rest.iter().map(|task| task.id.as_str())) {
            Some(id) => none.remedy(format!("did you mean '{id}'?")),
            None => none.remedy("`hansa task list` shows all tasks"),
        }),
        many => {
            let examples: Vec<&str> = matching.iter().take(3).map(|task| task.id.as_str()).collect();
            Err(Failure::new(Exit::Usage, format!("'{typed}' could be any of {many} tasks"))
                .remedy(format!("more of the id: {}", examples.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn paths_become_absolute() {
        assert_eq!((app_path("web").as_str(), app_path("/a/b/").as_str()), ("/web", "/a/b"));
    }

    #[test]
    fn a_task_may_be_called_as_its_framework_calls_it() {
        let of = |id: &str, name: &str| Task { framework_task: Some(name.into()), ..samples::task(id) };
        let all = || vec![of("f-1.a", "1"), of("f-1.b", "2"), of("f-2.c", "2")];
        assert_eq!(choose_task("1", all()).unwrap().id.as_str(), "f-1.a");
        let unclear = choose_task("2", all()).unwrap_err();
        assert!(unclear.to_string().contains("any of 2 tasks"), "{unclear}");
    }

    #[test]
    fn a_piece_of_an_id_is_enough_if_only_one_task_has_it() {
        let tasks =
            || vec![samples::task("web.instance-aaaa-1._app.1"), samples::task("web.instance-bbbb-2._app.1")];
        assert_eq!(choose_task("bbbb", tasks()).unwrap().id.as_str(), "web.instance-bbbb-2._app.1");
        assert_eq!(choose_task("instance", tasks()).unwrap_err().exit, Exit::Usage);
        assert_eq!(choose_task("zzzz", tasks()).unwrap_err().exit, Exit::NotFound);
        assert_eq!(choose_task("b", tasks()).unwrap_err().exit, Exit::NotFound, "too short to mean anything");
    }
}
