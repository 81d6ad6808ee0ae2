//! What would be: the services scheduler's questions to the kernel's books on trial. Nothing is changed.

use crate::cell::{Answer, Failure};
use hansa_kernel::{Kernel, Refusal, Trial};
use hansa_model::app::Constraint;
use hansa_model::service::ServiceRefusal;
use hansa_model::trial::{DrainTrial, DrainedTask, Fate};
use hansa_model::{AgentId, AppId, Demand, InstanceId, Owner, RoleName, TaskId};
use hansa_schedulers::services::{Books, Choice, Cluster, Services};

/// The kernel's books, as the scheduler may use them.
struct Lent<'a>(Trial<'a>);

impl Books for Lent<'_> {
    fn cluster(&self) -> &Cluster {
        self.0.cluster()
    }

    fn claim(
        &mut self,
        role: &RoleName,
        demand: &Demand,
        constraints: &[Constraint],
        choice: &Choice,
    ) -> Result<(), String> {
        self.0.claim(role, demand, constraints, choice).map_err(|rejection| rejection.to_string())
    }

    fn settle(&mut self, ended: &[InstanceId]) -> bool {
        self.0.settle(ended)
    }
}

/// Where so many more instances of an app would go.
pub(crate) fn more(
    kernel: &Kernel,
    services: &Services,
    app: AppId,
    instances: u32,
) -> Result<Answer, Failure> {
    match services.try_more(&app, instances, &mut Lent(kernel.trial())) {
        Some(more) => Ok(Answer::More(Box::new(more))),
        None => Err(Failure::Service(ServiceRefusal::UnknownApp(app))),
    }
}

/// What would become of a machine's tasks if it were drained.
pub(crate) fn drain(
    kernel: &Kernel,
    services: &Services,
    agent: AgentId,
    most: usize,
) -> Result<Answer, Failure> {
    let mut trial = kernel.trial();
    let Some(mut residents) = trial.drain(&agent) else {
        return Err(Failure::Kernel(Refusal::UnknownAgent(agent)));
    };
    let left_out = residents.split_off(most.min(residents.len()));
    let left_out = left_out.iter().map(|resident| resident.tasks.len()).sum::<usize>();
    let owner = Owner::services();
    let is_service = |owned: &Owner| *owned == owner;
    let own = residents.iter().filter(|resident| is_service(&resident.owner));
    let instances: Vec<InstanceId> = own.map(|resident| resident.instance.clone()).collect();
    let mut fates = services.try_move(&instances, &mut Lent(trial)).into_iter();
    let mut tasks = Vec::new();
    for resident in residents {
        let fate = match &resident.framework {
            Some(_) if resident.killing => Fate::Ends("it is ending already".into()),
            Some(_) => Fate::Killed,
            None if is_service(&resident.owner) => fates.next().unwrap_or(Fate::Killed),
            None => Fate::Stays(format!("its scheduler, {}, moves it or does not", resident.owner)),
        };
        let app = services.app_of(&resident.instance).cloned();
        let of = |task: TaskId| DrainedTask {
            task,
            app: app.clone(),
            framework: resident.framework.clone(),
            fate: fate.clone(),
        };
        tasks.extend(resident.tasks.iter().cloned().map(of));
    }
    let left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
    Ok(Answer::Drain(Box::new(DrainTrial { agent, tasks, left_out })))
}
