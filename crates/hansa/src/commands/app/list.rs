//! `hansa app list`: all services at a glance.

use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::paint::of_state;
use crate::table::Table;
use crate::text;
use clap::Args;
use hansa_api::hansa::{Health, Service, Services};

/// Lists services
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only those whose path contains this
    pub filter: Option<String>,
}

/// Does it.
pub async fn run(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut services: Services = context.client.get("/hansa/v1/services", &[]).await?;
    if let Some(filter) = &args.filter {
        services.services.retain(|service| service.id.as_str().contains(filter.as_str()));
    }
    context.format.print(&services, |services| {
        output::table(services.services.len(), "no services", &table(&services.services))
    })
}

/// A service's state in one word.
pub fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Deploying => "deploying",
        Health::Waiting => "waiting",
        Health::Unhealthy => "unhealthy",
        Health::Suspended => "suspended",
    }
}

/// What is said of a service in one word: that it ends again and again goes before everything else.
pub fn state(service: &Service) -> &'static str {
    if service.failing.is_some() { "failing" } else { health(service.health) }
}

/// Why it is not as it should be: what it waits for; of one whose instances end, how.
pub fn why(service: &Service) -> String {
    match (&service.failing, &service.waiting_for) {
        (Some(failing), _) => format!("{}: {}", text::count(failing.count.into(), "time"), failing.last),
        (None, Some(waiting)) => waiting.clone(),
        (None, None) if service.health == Health::Unhealthy => {
            service.last_failure.clone().unwrap_or_default()
        }
        (None, None) => String::new(),
    }
}

/// The services as a table.
pub fn table(services: &[Service]) -> Table {
    let mut table =
        Table::new(&["<ID", "STATE", ">RUNNING", "?>HEALTHY", "?>CPUS", "?>MEM", "?~COMMAND", "~WHY"])
            .paint("STATE", of_state);
    for service in services {
        let checked = service.healthy + service.unhealthy > 0;
        table.row([
            service.id.to_string(),
            state(service).into(),
            format!("{}/{}", service.running, service.instances),
            if checked { service.healthy.to_string() } else { String::new() },
            text::cpus(service.cpus_milli),
            text::bytes(service.mem),
            service.command.clone(),
            why(service),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_model::Timestamp;
    use hansa_model::event::Failing;

    #[test]
    fn services_are_listed() {
        assert_eq!(
            table(&[samples::service()]).render(None),
            "ID         STATE      RUNNING  HEALTHY  CPUS  MEM  COMMAND         WHY\n\
             /demo/web  deploying      2/3        1   0.1  32M  hansa demo-web  2 machines: 0.5 cpus short\n"
        );
        let last = "command exited with status 3".to_owned();
        let failing = Failing { since: Timestamp(0), count: 8, last, delay_ms: 1_000 };
        let service = Service { failing: Some(failing), ..samples::service() };
        let row = table(&[service]).render(None);
        assert!(
            row.contains("  failing ") && row.contains("  8 times: command exited with status 3"),
            "{row}"
        );
        // It failed once, and nobody calls that failing yet.
        let last_failure = Some("command exited with status 3".to_owned());
        let (waiting_for, health) = (None, Health::Unhealthy);
        let service = Service { last_failure, waiting_for, health, ..samples::service() };
        let row = table(&[service]).render(None);
        assert!(row.trim_end().ends_with("  command exited with status 3"), "{row}");
    }
}
