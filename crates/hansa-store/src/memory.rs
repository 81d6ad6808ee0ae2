//! A store in memory, for the suite and the simulator. Not durable.
