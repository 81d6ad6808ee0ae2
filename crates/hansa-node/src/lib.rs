//! An agent's core as one pure machine: groups, tasks, checks, acknowledgements, recovery
