//! What went through the network of a container that has one of its own, as the kernel counts it.

use std::fs;

/// Since the container's network was made; its loopback is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Received: bytes, packets, errors, dropped.
    pub received: [u64; 4],
    /// Sent: the same.
    pub sent: [u64; 4],
}

impl Counters {
    /// Of the network that this process is in; None if that is the machine's own, or the process is gone.
    pub fn of(pid: i32) -> Option<Self> {
        let own = fs::read_link("/proc/self/ns/net").ok()?;
        let its = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
        if own == its {
            return None;
        }
        fs::read_to_string(format!("/proc/{pid}/net/dev")).ok().map(|table| Self::read(&table))
    }

    fn read(table: &str) -> Self {
        let mut all = Self::default();
        for line in table.lines() {
            let Some((name, numbers)) = line.split_once(':') else { continue };
            let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|one| one.parse().ok()).collect();
            // Received and sent take eight columns each.
            if name.trim() == "lo" || numbers.len() < 12 {
                continue;
            }
            for at in 0..4 {
                all.received[at] += numbers[at];
                all.sent[at] += numbers[at + 8];
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_devices() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
             lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0\n  \
             eth0: 100 2 3 4 0 0 0 0 500 6 7 8 0 0 0 0\n  \
             eth1:   1 1 1 1 0 0 0 0   1 1 1 1 0 0 0 0\n";
        let expected = Counters { received: [101, 3, 4, 5], sent: [501, 7, 8, 9] };
        assert_eq!(Counters::read(table), expected);
        assert_eq!(Counters::read(""), Counters::default());
    }

    #[test]
    fn the_machines_own_network_is_nobodys() {
        assert_eq!(Counters::of(i32::try_from(std::process::id()).unwrap()), None);
        assert_eq!(Counters::of(-1), None);
    }
}
