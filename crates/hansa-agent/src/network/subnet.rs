//! IPv4 subnets: reading them, and choosing one for an agent's bridge that nothing on the machine uses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// How much an agent takes when it is not told: 1021 containers, which is as many as a bridge has ports for.
const OWN_LENGTH: u8 = 22;

/// Where agents look for a subnet of their own, in this order.
const POOLS: [Subnet; 2] = [
    Subnet { first: u32::from_be_bytes([172, 16, 0, 0]), length: 12 },
    Subnet { first: u32::from_be_bytes([10, 0, 0, 0]), length: 8 },
];

/// A block of IPv4 addresses, such as `172.20.4.0/22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    first: u32,
    length: u8,
}

impl Subnet {
    /// The subnet with this address and prefix length; None if there is no such length.
    pub fn new(address: Ipv4Addr, length: u8) -> Option<Self> {
        (length <= 32).then(|| Self { first: u32::from(address) & mask(length), length })
    }

    /// The length of its prefix.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Its address.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first)
    }

    /// Its prefix as an address.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(mask(self.length))
    }

    /// Whether they have an address in common.
    pub fn overlaps(self, other: Subnet) -> bool {
        let length = self.length.min(other.length);
        self.first & mask(length) == other.first & mask(length)
    }

    /// Whether the address is one of its.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.length) == self.first
    }

    /// The first address that anybody may have: the bridge's.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first + 1)
    }

    /// The addresses that containers may have: all but its own, the gateway's and that for everybody.
    pub fn for_containers(self) -> std::ops::Range<u32> {
        self.first + 2..self.first | !mask(self.length)
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

/// A text is not a subnet that containers can live in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a subnet for containers: write it like 172.20.4.0/22, with a length between 8 and 29")]
pub struct NotASubnet(String);

impl FromStr for Subnet {
    type Err = NotASubnet;

    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let read = || {
            let (address, length) = text.split_once('/')?;
            let (address, length) = (address.parse().ok()?, length.parse().ok()?);
            let subnet = Self::new(address, length).filter(|_| (8..=29).contains(&length))?;
            (subnet.address() == address && !address.is_loopback() && !address.is_multicast())
                .then_some(subnet)
        };
        read().ok_or_else(|| NotASubnet(text.to_owned()))
    }
}

/// The subnet for an agent whose number (a hash of its id) this is: the first free one, from a place on that the number
/// decides, so that agents rarely look at the same and find the same again. None: everything is in use.
pub(super) fn choose(number: u64, used: &[Subnet]) -> Option<Subnet> {
    for pool in POOLS {
        let count = 1u64 << (OWN_LENGTH - pool.length);
        for step in 0..count {
            let at = (number % count + step) % count;
            let subnet =
                Subnet { first: pool.first + ((at as u32) << (32 - OWN_LENGTH)), length: OWN_LENGTH };
            if !used.iter().any(|used| used.overlaps(subnet)) {
                return Some(subnet);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_are_read_and_written() {
        let small = subnet("10.1.2.8/29");
        assert_eq!(small.to_string(), "10.1.2.8/29");
        assert_eq!(small.gateway(), Ipv4Addr::new(10, 1, 2, 9));
        assert_eq!(small.mask(), Ipv4Addr::new(255, 255, 255, 248));
        let addresses: Vec<Ipv4Addr> = small.for_containers().map(Ipv4Addr::from).collect();
        assert_eq!(
            (addresses.len(), addresses[0], addresses[4]),
            (5, [10, 1, 2, 10].into(), [10, 1, 2, 14].into())
        );
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.1/24",
            "10.0.0.0/30",
            "0.0.0.0/0",
            "127.0.0.0/8",
            "224.0.0.0/8",
            "a/8",
            "10.0.0.0/x",
        ] {
            assert!(bad.parse::<Subnet>().unwrap_err().to_string().contains("like 172."), "{bad}");
        }
    }

    #[test]
    fn subnets_overlap_or_not() {
        let (wide, narrow) = (subnet("10.0.0.0/8"), subnet("10.9.0.0/16"));
        assert!(wide.overlaps(narrow) && narrow.overlaps(wide) && !narrow.overlaps(subnet("10.8.0.0/16")));
        let everything = Subnet::new(Ipv4Addr::UNSPECIFIED, 0).unwrap();
        assert!(everything.overlaps(narrow));
        assert!(narrow.contains([10, 9, 255, 255].into()) && !narrow.contains([10, 10, 0, 0].into()));
        assert_eq!(Subnet::new(Ipv4Addr::UNSPECIFIED, 33), None);
    }

    #[test]
    fn agents_choose_what_is_free() {
        let first = choose(7, &[]).unwrap();
        assert_eq!(first, subnet("172.16.28.0/22"));
        let second = choose(7, &[first]).unwrap();
        assert_eq!(second, subnet("172.16.32.0/22"));
        let last = choose(1023, &[]).unwrap();
        assert_eq!(last, subnet("172.31.252.0/22"));
        assert_eq!(choose(1023, &[last]).unwrap(), subnet("172.16.0.0/22"), "it goes round");
        let other = choose(7, &[subnet("172.16.0.0/12")]).unwrap();
        assert_eq!(other, subnet("10.0.28.0/22"));
        assert_eq!(choose(7, &[subnet("172.16.0.0/12"), subnet("10.0.0.0/8")]), None);
    }
}
