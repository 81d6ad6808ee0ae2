//! `hansa agent --drain-on-stop`: an agent that is told to stop first asks the master to move its tasks elsewhere, waits a
//! few seconds for it, and ends what is left. At its next start it takes work again, unless an operator had forbidden it.

use crate::client::Client;
use crate::dev::sweep::ask_to_end;
use crate::failure::{Exit, Failure};
use hansa_api::hansa::{Done, Node};
use hansa_model::event::AgentState;
use reqwest::Method;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{info, warn};

/// How long the tasks have to be replaced elsewhere. An agent stops within ten seconds, and more has to be done.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long what is left has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// An agent as its master knows it.
pub struct Drain {
    client: Client,
    data_dir: PathBuf,
}

impl Drain {
    /// For the agent in `data_dir`.
    pub fn new(master: &str, data_dir: &Path) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(master)?, data_dir: data_dir.to_owned() })
    }

    /// That this agent was drained by its own stop, and not by an operator.
    fn mark(&self) -> PathBuf {
        self.data_dir.join("drained-on-stop")
    }

    /// The id is the agent's own to make; it is there once the agent has started.
    fn path(&self) -> Result<String, Failure> {
        let id = std::fs::read_to_string(self.data_dir.join("agent-id"))?;
        Ok(format!("/hansa/v1/nodes/{}", id.trim()))
    }

    /// Lets the agent take work again if its own last stop had drained it. Tries until the master answers.
    pub async fn undo(&self) {
        while self.mark().exists() {
            match self.reactivate().await {
                Ok(()) => return info!("takes work again"),
                Err(failure) => warn!(%failure, "cannot take work again yet"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn reactivate(&self) -> Result<(), Failure> {
        let path = self.path()?;
        let _: Done = self.client.call(Method::POST, &format!("{path}/reactivate"), &[], None).await?;
        Ok(std::fs::remove_file(self.mark())?)
    }

    /// Asks for the tasks to be moved and waits for it a while.
    pub async fn empty(&self) {
        let moved = tokio::time::timeout(PATIENCE, self.move_tasks()).await;
        match moved.unwrap_or_else(|_| Err(Failure::new(Exit::TimedOut, "not all were replaced in time"))) {
            Ok(()) => info!("drained"),
            Err(failure) => warn!(%failure, "stops with tasks of its own"),
        }
    }

    async fn move_tasks(&self) -> Result<(), Failure> {
        let path = self.path()?;
        let node: Node = self.client.get(&path, &[]).await?;
        if node.state == AgentState::Active {
            std::fs::write(self.mark(), "")?;
        }
        let _: Done = self.client.call(Method::POST, &format!("{path}/drain"), &[], None).await?;
        while self.client.get::<Node>(&path, &[]).await?.tasks > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends what is left, once the agent has stopped.
    pub async fn end(&self) {
        let runtime = self.data_dir.join("runtime");
        let _ = tokio::time::timeout(GRACE + Duration::from_secs(1), ask_to_end(&[runtime], GRACE)).await;
    }
}
