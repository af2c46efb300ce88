//! Addresses and CIDRs.

use std::net::IpAddr;

/// Whether an address lies in a CIDR; text that is neither lies nowhere.
pub(crate) fn contains(cidr: &str, address: &str) -> bool {
    let (network, bits) = cidr.split_once('/').unwrap_or((cidr, ""));
    let (Ok(network), Ok(address)) = (network.parse::<IpAddr>(), address.parse::<IpAddr>()) else {
        return false;
    };
    match (network, address) {
        (IpAddr::V4(n), IpAddr::V4(a)) => {
            let bits = bits.parse().unwrap_or(32_u32).min(32);
            let mask = if bits == 0 { 0 } else { u32::MAX << (32 - bits) };
            u32::from(n) & mask == u32::from(a) & mask
        }
        (IpAddr::V6(n), IpAddr::V6(a)) => {
            let bits = bits.parse().unwrap_or(128_u32).min(128);
            let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits) };
            u128::from(n) & mask == u128::from(a) & mask
        }
        _ => false,
    }
}

/// Whether text is an address that everybody reads alike: leading zeros and IPv4 inside IPv6 are not.
pub(crate) fn is_plain(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => true,
        Ok(IpAddr::V6(a)) => a.to_ipv4_mapped().is_none(),
        Err(_) => false,
    }
}

/// The same of a CIDR.
pub(crate) fn is_plain_cidr(cidr: &str) -> bool {
    let Some((address, bits)) = cidr.split_once('/') else { return false };
    let most = if address.contains(':') { 128 } else { 32 };
    is_plain(address) && bits.parse::<u32>().is_ok_and(|n| n <= most && n.to_string() == bits)
}

/// Whether every address of the inner CIDR lies in the outer one.
pub(crate) fn within(inner: &str, outer: &str) -> bool {
    let bits = |cidr: &str| {
        let (address, bits) = cidr.split_once('/').unwrap_or((cidr, ""));
        let full = if address.contains(':') { 128 } else { 32 };
        bits.parse::<u32>().unwrap_or(full)
    };
    let address = inner.split_once('/').map_or(inner, |(address, _)| address);
    bits(inner) >= bits(outer) && contains(outer, address)
}

/// Whether an address is the machine's own or of its link (the metadata address is one of those).
pub(crate) fn local(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(a)) => a.is_loopback() || a.is_link_local() || a.is_unspecified(),
        Ok(IpAddr::V6(a)) => a.is_loopback() || a.is_unspecified() || (a.segments()[0] & 0xffc0) == 0xfe80,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidrs() {
        assert!(contains("10.0.0.0/8", "10.9.9.9") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("fc00::/7", "fd00::1") && !contains("fc00::/7", "10.0.0.1"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && contains("1.2.3.4", "1.2.3.4"));
        assert!(within("10.1.0.0/16", "10.0.0.0/8") && within("10.0.0.0/8", "10.0.0.0/8"));
        assert!(
            !within("10.0.0.0/8", "10.1.0.0/16")
                && !within("::/0", "0.0.0.0/0")
                && !within("1.2.3.4", "::/0")
        );
        for odd in ["010.0.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "x/8"] {
            assert!(!is_plain_cidr(odd), "{odd}");
        }
        assert!(is_plain_cidr("10.0.0.0/8") && is_plain_cidr("::/0"));
        assert!(local("169.254.169.254") && local("fe80::1") && !local("10.0.0.1"));
    }
}
