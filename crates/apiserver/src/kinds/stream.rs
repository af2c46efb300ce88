//! What a stream of a pod is asked for: the container is one of the pod's own, and named to the host.

use serde_json::Value;

use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::request::Query;

/// Parameters that weaken how the host trusts its own nodes: a tenant has no say in that.
const OF_THE_HOST: [&str; 1] = ["insecureSkipTLSVerifyBackend"];

/// The query that goes to the host. A host may have put containers of its own beside the tenant's: what the tenant
/// leaves open is decided here, and nothing but the tenant's containers can be named.
pub fn query(pod: &Value, subresource: &str, asked: &Query) -> Result<String, ApiStatus> {
    let mut passed: Vec<(&str, &str)> = asked.pairs().filter(|(key, _)| !OF_THE_HOST.contains(key)).collect();
    let container;
    if matches!(subresource, "log" | "exec" | "attach") {
        container = self::container(pod, asked.get("container"))?;
        passed.retain(|(key, _)| *key != "container");
        passed.push(("container", &container));
    }
    Ok(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(passed).finish())
}

fn names<'a>(pod: &'a Value, list: &'a str) -> Vec<&'a str> {
    let items = pod.at(&["spec", list]).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|c| c.get("name")?.as_str()).collect()
}

/// The container meant, with upstream's words where it is none or not clear which.
fn container(pod: &Value, asked: &str) -> Result<String, ApiStatus> {
    let name = pod.meta("name");
    let (ordinary, first) = (names(pod, "containers"), names(pod, "initContainers"));
    if !asked.is_empty() {
        let debugging = names(pod, "ephemeralContainers");
        if [ordinary, first, debugging].iter().any(|list| list.contains(&asked)) {
            return Ok(asked.to_owned());
        }
        return Err(ApiStatus::bad_request(format!("container {asked} is not valid for pod {name}")));
    }
    match ordinary.as_slice() {
        [one] => Ok((*one).to_owned()),
        all => {
            let mut why = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                all.join(" ")
            );
            if !first.is_empty() {
                why += &format!(" or one of the init containers: [{}]", first.join(" "));
            }
            Err(ApiStatus::bad_request(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passed(pod: &Value, subresource: &str, asked: &str) -> Result<String, String> {
        query(pod, subresource, &Query::parse(asked)).map_err(|status| status.message)
    }

    /// T1: the host is told which container; what is not the pod's is refused as upstream does.
    #[test]
    fn the_container_is_the_pods_own() {
        let one = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c" }] } });
        assert_eq!(passed(&one, "log", "follow=true"), Ok("follow=true&container=c".to_owned()));
        assert_eq!(
            passed(&one, "exec", "command=a&container=c&command=b"),
            Ok("command=a&command=b&container=c".to_owned())
        );
        assert_eq!(passed(&one, "portforward", "ports=80"), Ok("ports=80".to_owned()));
        let foreign = passed(&one, "exec", "container=mesh");
        assert_eq!(foreign, Err("container mesh is not valid for pod p".to_owned()));
        let two = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "a" }, { "name": "b" }],
            "initContainers": [{ "name": "i" }], "ephemeralContainers": [{ "name": "d" }] } });
        let open = "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]";
        assert_eq!(passed(&two, "log", ""), Err(open.to_owned()));
        for name in ["b", "i", "d"] {
            assert_eq!(passed(&two, "attach", &format!("container={name}")), Ok(format!("container={name}")));
        }
    }

    /// How a host trusts its nodes is not the tenant's to say.
    #[test]
    fn the_hosts_own_checks_stay() {
        let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c" }] } });
        let asked = "insecureSkipTLSVerifyBackend=true&tailLines=3";
        assert_eq!(passed(&pod, "log", asked), Ok("tailLines=3&container=c".to_owned()));
    }
}
