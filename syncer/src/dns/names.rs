//! Names as DNS spells them: zones, dashed addresses, reversed addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Labels of a name below a zone, the outermost last; `None` if it is not in the zone.
pub fn below<'a>(name: &'a str, zone: &str) -> Option<Vec<&'a str>> {
    if zone.is_empty() {
        return None;
    }
    if name == zone {
        return Some(Vec::new());
    }
    let rest = name.strip_suffix(zone)?.strip_suffix('.')?;
    Some(rest.split('.').collect())
}

/// An address as a label: `10-0-0-1`, `fd00--1`.
pub fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// The address of such a label.
pub fn undashed(label: &str) -> Option<IpAddr> {
    let four = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    four.or_else(|_| label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6)).ok()
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
pub fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(labels) = below(name, "in-addr.arpa") {
        let mut parts = labels.iter().rev().map(|l| l.parse::<u8>().ok());
        let octets: [u8; 4] = [parts.next()??, parts.next()??, parts.next()??, parts.next()??];
        return parts.next().is_none().then(|| IpAddr::from(octets));
    }
    let labels = below(name, "ip6.arpa").filter(|l| l.len() == 32)?;
    let mut bits = 0_u128;
    for label in labels.iter().rev() {
        let nibble = u8::from_str_radix(label, 16).ok().filter(|_| label.len() == 1)?;
        bits = bits << 4 | u128::from(nibble);
    }
    Some(IpAddr::V6(Ipv6Addr::from(bits)))
}

/// Whether an address is of a range that means something else in every network.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_and_addresses() {
        assert_eq!(below("a.b.cluster.local", "cluster.local"), Some(vec!["a", "b"]));
        assert_eq!(below("cluster.local", "cluster.local"), Some(vec![]));
        assert_eq!(below("xcluster.local", "cluster.local"), None);
        for text in ["10.0.0.1", "fd00::1", "::1"] {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(undashed(&dashed(address)), Some(address), "{text}");
        }
        assert_eq!(reversed("1.0.0.10.in-addr.arpa"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(reversed("0.0.10.in-addr.arpa"), None);
        assert_eq!(reversed("256.0.0.10.in-addr.arpa"), None);
        let six = format!("1.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
        assert_eq!(reversed(&six), Some("fd00::1".parse().expect("an address")));
        assert!(is_private(IpAddr::from([100, 64, 0, 1])) && !is_private(IpAddr::from([1, 1, 1, 1])));
    }
}
