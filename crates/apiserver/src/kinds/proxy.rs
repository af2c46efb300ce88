//! `pods/proxy`: a request that is answered by a server in the pod, by way of the host.

use bytes::Bytes;

use crate::model::status::ApiStatus;
use crate::tunnel::Proxied;

/// The pod in `name`, `name:port` or `scheme:name:port`.
pub fn pod(asked: &str) -> &str {
    parts(asked).1
}

fn parts(asked: &str) -> (&str, &str, &str) {
    match asked.split(':').collect::<Vec<_>>()[..] {
        [scheme, name, port] => (scheme, name, port),
        [name, port] => ("", name, port),
        _ => ("", asked, ""),
    }
}

/// What is passed on.
pub fn read(asked: &str, subresource: &str, body: Bytes) -> Result<Proxied, ApiStatus> {
    let (scheme, _, port) = parts(asked);
    if !matches!(scheme, "" | "http" | "https") {
        return Err(ApiStatus::bad_request(format!("invalid pod request {asked:?}")));
    }
    // It becomes part of a path on the host.
    if !port.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(ApiStatus::bad_request(format!(
            "invalid pod request {asked:?}: a port is a number or a name"
        )));
    }
    let path = subresource.split_once('/').map_or("", |(_, path)| path);
    if climbs(path) {
        return Err(ApiStatus::bad_request("the path of a proxied request must not climb".to_owned()));
    }
    Ok(Proxied { scheme: scheme.to_owned(), port: port.to_owned(), body })
}

/// Whether a part of the path leads upward, plainly or escaped: it would leave the pod on the host.
fn climbs(path: &str) -> bool {
    path.split('/').any(|part| {
        let plain = part.to_ascii_lowercase().replace("%2e", ".");
        matches!(&*plain, "." | "..") || plain.contains("%2f") && plain.contains("..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_with_scheme_and_port() {
        assert_eq!(parts("web"), ("", "web", ""));
        assert_eq!(parts("web:8080"), ("", "web", "8080"));
        assert_eq!(parts("https:web:8443"), ("https", "web", "8443"));
        assert_eq!(pod("http:web:"), "web");
    }

    /// SE5: what a client names as a port leads nowhere else on the host.
    #[test]
    fn a_proxied_port_is_a_port() {
        for port in ["80", "web-1", ""] {
            assert!(read(&format!("http:web:{port}"), "proxy/x", Bytes::new()).is_ok(), "{port}");
        }
        for port in ["80/../../secrets/s", "80%2f..", "..", "80?x", "80 "] {
            assert_eq!(read(&format!("web:{port}"), "proxy", Bytes::new()).unwrap_err().code, 400, "{port}");
        }
    }

    #[test]
    fn a_proxied_path_stays_below_the_pod() {
        for path in ["a/../b", "..", "%2e%2E/x", "a/./b", "..%2fx"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["", "results/a..b", "index.html", "a%2fb"] {
            assert!(!climbs(path), "{path}");
        }
    }
}
