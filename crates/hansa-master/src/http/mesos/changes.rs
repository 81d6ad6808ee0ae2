//! What operators change through Mesos' surface, whichever endpoint they use for it.

use super::Mesos;
use super::answers::Refused;
use super::scheduler::refused;
use super::steward::{Improper, Unchanged};
use crate::cell::{AgentOrder, Request};
use axum::http::StatusCode;
use hansa_mesos::call::operation;
use hansa_mesos::proto::v1;
use hansa_mesos::{Invalid, names, resources};
use hansa_model::event::AgentState;
use hansa_model::framework::{FrameworkCall, Operation, Part};
use hansa_model::role::{Bound, Role};
use hansa_model::{AgentId, FrameworkId, Principal, RoleName};
use std::collections::BTreeMap;

/// Thousandths of the largest weight.
const LARGEST_WEIGHT: u64 = 1_000_000_000;

/// Scalars by name.
type Scalars = BTreeMap<String, v1::value::Scalar>;

/// What is done with a machine's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Reserve,
    Unreserve,
    Create,
    Destroy,
}

fn invalid(invalid: &Invalid) -> Refused {
    Refused::bad(invalid.to_string())
}

impl From<Unchanged> for Refused {
    fn from(unchanged: Unchanged) -> Self {
        match unchanged {
            Unchanged::Improper(Improper(words)) => Refused::bad(words),
            Unchanged::Submit(error) => refused(error),
        }
    }
}

impl Mesos {
    /// Reserves, unreserves, makes or removes volumes on a machine.
    pub(super) async fn act(&self, agent: &str, act: Act, on: &[v1::Resource]) -> Result<(), Refused> {
        let read = match act {
            Act::Reserve => operation::to_reserve(on, None),
            Act::Unreserve => operation::to_unreserve(on),
            Act::Create => operation::to_create(on, None),
            Act::Destroy => operation::volumes(on),
        };
        let parts: Vec<Part> = read.map_err(|why| invalid(&why))?;
        let operation = match act {
            Act::Reserve => Operation::Reserve { parts },
            Act::Unreserve => Operation::Unreserve { parts },
            Act::Create => Operation::Create { parts },
            Act::Destroy => Operation::Destroy { parts },
        };
        let agent = AgentId::from(agent);
        if self.master.read().agent(agent.as_str()).is_none() {
            return Err(Refused::bad("No agent found with specified ID"));
        }
        self.submit(Request::AgentParts { agent, operation }).await
    }

    pub(super) async fn submit(&self, request: Request) -> Result<(), Refused> {
        self.master.submit(Principal::loopback(), request).await.map(drop).map_err(refused)
    }

    /// A role's settings as they are, or as those of one that was never configured.
    fn role(&self, name: &str) -> Role {
        let known = self.master.read().roles().find(|view| view.role.name.as_str() == name).cloned();
        known.map(|view| view.role.clone()).unwrap_or_else(|| Role::usual(RoleName::from(name)))
    }

    /// Guarantees and limits of several roles, all or none.
    pub(super) async fn set_quota(
        &self,
        force: bool,
        quotas: &[(String, Scalars, Scalars)],
    ) -> Result<(), Refused> {
        let mut roles = Vec::with_capacity(quotas.len());
        for (name, guarantees, limits) in quotas {
            names::check_role(name).map_err(|why| invalid(&why))?;
            if name == "*" {
                return Err(Refused::bad("Invalid QuotaConfig: the default '*' role is not supported"));
            }
            if roles.iter().any(|role: &Role| role.name.as_str() == name) {
                return Err(Refused::bad(format!("Invalid QuotaConfigs: role '{name}' appears twice")));
            }
            let (guarantee, limit) = (bound(guarantees)?, bound(limits)?);
            roles.push(Role { guarantee, limit, ..self.role(name) });
        }
        self.submit(Request::SetRoles { roles, force }).await
    }

    /// Weights of several roles, all or none.
    pub(super) async fn set_weights(&self, weights: &[v1::WeightInfo]) -> Result<(), Refused> {
        let mut roles = Vec::with_capacity(weights.len());
        for info in weights {
            let name = info.role.as_deref().unwrap_or_default().trim();
            names::check_role(name).map_err(|why| invalid(&why))?;
            let milli = (info.weight * 1000.0).round();
            if !(milli >= 1.0 && milli <= LARGEST_WEIGHT as f64) {
                let words = format!("Invalid weight '{}' of role '{name}': it must be positive", info.weight);
                return Err(Refused::bad(words));
            }
            roles.push(Role { weight_milli: milli as u64, ..self.role(name) });
        }
        self.submit(Request::SetRoles { roles, force: true }).await
    }

    /// The weights of all roles that are known, also of those that were given the usual one again.
    pub(super) fn weights(&self) -> Vec<v1::WeightInfo> {
        let model = self.master.read();
        let weight = |role: &Role| v1::WeightInfo {
            weight: role.weight_milli as f64 / 1000.0,
            role: Some(role.name.to_string()),
        };
        model.roles().map(|view| weight(&view.role)).collect()
    }

    /// Guarantees and limits of all roles that have any.
    pub(super) fn quota(&self) -> v1::quota::QuotaStatus {
        let scalars = |of: &Bound| -> Scalars {
            let named = super::legacy::bound(of).into_iter();
            named.map(|(name, value)| (name.to_owned(), v1::value::Scalar { value })).collect()
        };
        let model = self.master.read();
        let none = Bound::default();
        let some = model.roles().filter(|view| view.role.guarantee != none || view.role.limit != none);
        let mut status = v1::quota::QuotaStatus::default();
        for view in some {
            let (guarantees, limits) = (scalars(&view.role.guarantee), scalars(&view.role.limit));
            let guarantee = guarantees.iter().map(|(name, scalar)| v1::Resource {
                name: name.clone(),
                r#type: v1::value::Type::Scalar as i32,
                scalar: Some(*scalar),
                ..v1::Resource::default()
            });
            status.infos.push(v1::quota::QuotaInfo {
                role: Some(view.role.name.to_string()),
                principal: None,
                guarantee: guarantee.collect(),
            });
            status.configs.push(v1::quota::QuotaConfig {
                role: view.role.name.to_string(),
                guarantees,
                limits,
            });
        }
        status
    }

    /// Ends a framework.
    pub(super) async fn teardown(&self, id: &str) -> Result<(), Refused> {
        let framework = FrameworkId::from(id);
        if id == self.master.identity().cluster.as_str() {
            let words = "the services are no framework that can be torn down; delete the services themselves";
            return Err(Refused::bad(words));
        }
        if self.master.read().framework(id).is_none()
            && self.master.inner().directory.of(&framework).is_none()
        {
            return Err(Refused::bad("No framework found with specified ID"));
        }
        let call = Box::new(FrameworkCall::Teardown);
        self.submit(Request::Framework { framework: Some(framework), call }).await
    }

    /// Gives an order about one agent.
    pub(super) async fn order(&self, id: &str, order: AgentOrder) -> Result<(), Refused> {
        let known = self.master.read().agent(id).map(|agent| (agent.view.id.clone(), agent.view.state));
        let Some((agent, state)) = known else {
            return Err(match order {
                AgentOrder::Gone => Refused::new(StatusCode::NOT_FOUND, format!("Agent '{id}' not found")),
                _ => Refused::bad("Unknown agent"),
            });
        };
        match (order, state) {
            (AgentOrder::Reactivate, AgentState::Active) => {
                return Err(Refused::bad("Agent is not deactivated"));
            }
            (AgentOrder::Reactivate, AgentState::Draining) if self.is_busy(&agent) => {
                return Err(Refused::bad("Agent is still in the DRAINING state"));
            }
            _ => {}
        }
        self.submit(Request::AdminAgent { agent: agent.clone(), order }).await?;
        if matches!(order, AgentOrder::Reactivate | AgentOrder::Gone) {
            self.steward.drain(&agent, None).await?;
        }
        Ok(())
    }

    fn is_busy(&self, agent: &AgentId) -> bool {
        self.master.read().agent_counts(agent).live() > 0
    }

    /// Empties an agent; when it is empty it may be declared gone.
    pub(super) async fn drain(&self, id: &str, config: v1::DrainConfig) -> Result<(), Refused> {
        let most = config.max_grace_period.as_ref().and_then(|period| u64::try_from(period.nanoseconds).ok());
        let order = most.map_or(AgentOrder::Drain, |most| AgentOrder::DrainWithin(most / 1_000_000));
        self.order(id, order).await?;
        Ok(self.steward.drain(&AgentId::from(id), Some(config)).await?)
    }
}

/// Named scalars as a bound; what is not named is not bounded.
fn bound(scalars: &Scalars) -> Result<Bound, Refused> {
    let amount = resources::read_quantities(scalars).map_err(|why| invalid(&why))?.totals();
    let named = |name: &str, value: u64| scalars.contains_key(name).then_some(value);
    Ok(Bound {
        cpus_milli: named("cpus", amount.cpus_milli),
        mem: named("mem", amount.mem),
        disk: named("disk", amount.disk),
        gpus_milli: named("gpus", amount.gpus_milli),
    })
}

/// The guarantee of the older form of quota: a list of scalars.
pub(super) fn scalars_of(guarantee: &[v1::Resource]) -> Result<Scalars, Refused> {
    let one = |resource: &v1::Resource| match &resource.scalar {
        Some(scalar) => Ok((resource.name.clone(), *scalar)),
        None => {
            Err(Refused::bad(format!("QuotaInfo must not include non-scalar resource '{}'", resource.name)))
        }
    };
    guarantee.iter().map(one).collect()
}
