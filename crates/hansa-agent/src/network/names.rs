//! What the things of an agent are called on the machine: everything bears its id, or a hash of it where names are short.

/// The names of one agent's things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Its nf_tables table.
    pub table: String,
    /// Its bridge.
    pub bridge: String,
    /// How the machine's ends of its containers' links begin.
    pub links: String,
}

impl Names {
    /// Those of the agent with this id.
    pub fn of(agent: &str) -> Self {
        let number = hash(agent);
        // A link's name has 15 bytes at most: eight that stand for the agent, and six for the container.
        let tag = format!("{:08x}", (number ^ (number >> 32)) & 0xffff_ffff);
        Self { table: format!("hansa-{agent}"), bridge: format!("hansa{tag}"), links: format!("h{tag}") }
    }
}

/// The same for the same text for ever: the names of a running agent's things follow from it.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_fit() {
        let names = Names::of("2b1f0f4e-5d3c-4c0a-9c1a-0d7c7f1e2a3b");
        assert_eq!(names.table, "hansa-2b1f0f4e-5d3c-4c0a-9c1a-0d7c7f1e2a3b");
        assert_eq!(Names::of("a1").bridge, "hansabdd95620");
        assert_eq!(Names::of("a1").links, "hbdd95620");
        assert!(names.bridge.len() <= 15 && names.links.len() + 6 <= 15);
        // Neither is found when the other is looked for.
        assert!(!names.bridge.starts_with(&names.links));
    }
}
