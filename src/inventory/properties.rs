//! ClusterProperties of a member: the pair that is its identity (inventory A1), and its own, which its profile shows
//! (A3).

use std::collections::BTreeMap;

use kube::api::{Api, DeleteParams, ListParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use skerry_api::ClusterProperty;
use skerry_api::cluster_profile::{PROPERTY_ID, PROPERTY_SET};
use skerry_api::cluster_report::conditions::PROPERTIES_COPIED;
use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::{apply, error};

/// All of a member's properties by name; none where the kind is not served.
pub async fn read(client: &Client) -> Result<BTreeMap<String, String>, kube::Error> {
    let api: Api<ClusterProperty> = Api::all(client.clone());
    let list = error::optional(api.list(&ListParams::default()).await)?.map(|l| l.items).unwrap_or_default();
    Ok(list.into_iter().map(|p| (p.name_any(), p.spec.value)).collect())
}

/// Makes the pair true in a member.
pub async fn ensure_pair(client: &Client, id: &str, set: Option<&str>) -> Result<usize, kube::Error> {
    mend_pair(client, &read(client).await?, id, set).await
}

/// The same in one that has these properties; without a set its property goes. Writes only what differs.
pub async fn mend_pair(
    client: &Client,
    all: &BTreeMap<String, String>,
    id: &str,
    set: Option<&str>,
) -> Result<usize, kube::Error> {
    let api: Api<ClusterProperty> = Api::all(client.clone());
    let mut writes = 0;
    for (name, value) in [(PROPERTY_ID, Some(id)), (PROPERTY_SET, set)] {
        match (all.get(name), value) {
            (Some(stored), Some(value)) if stored == value => {}
            (_, Some(value)) => {
                let body = json!({"metadata": {"name": name}, "spec": {"value": value}});
                let property: ClusterProperty =
                    serde_json::from_value(body).map_err(kube::Error::SerdeError)?;
                apply::apply(&api, managers::INVENTORY, &property).await?;
                writes += 1;
            }
            (Some(_), None) => match api.delete(name, &DeleteParams::default()).await {
                Err(failed) if !error::is_not_found(&failed) => return Err(failed),
                _ => writes += 1,
            },
            (None, None) => {}
        }
    }
    Ok(writes)
}

/// The id that a member already has, if it has one: a cluster's identity is not changed by joining.
pub async fn existing_id(client: &Client) -> Result<Option<String>, kube::Error> {
    let api: Api<ClusterProperty> = Api::all(client.clone());
    Ok(error::optional(api.get(PROPERTY_ID).await)?.map(|p| p.spec.value))
}

/// Most properties of a member that its profile shows.
const MOST: usize = 64;
/// Longest value in characters.
const LONGEST: usize = 1024;
/// Domains whose names a tenant does not choose.
const RESERVED: [&str; 3] = ["k8s.io", "kubernetes.io", "skerry.dev"];

/// A member's own properties, and what became of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Copied {
    /// Those that its profile shows.
    pub values: BTreeMap<String, String>,
    /// `PropertiesCopied`.
    pub says: Statement,
}

/// A member's own properties: by name, then by length, then by number; what is left out is named. A virtual one's names
/// under reserved domains count only if they are trusted.
pub fn own(all: &BTreeMap<String, String>, trusted: Option<&[String]>) -> Copied {
    let theirs = |name: &str| match trusted {
        None => true,
        Some(trusted) => trusted.iter().any(|t| t == name) || !is_reserved(name),
    };
    let mut values = BTreeMap::new();
    let (mut long, mut many) = (Vec::new(), Vec::new());
    for (name, value) in all {
        if name == PROPERTY_ID || name == PROPERTY_SET || !theirs(name) {
            continue;
        }
        if value.chars().count() > LONGEST {
            long.push(name.clone());
        } else if values.len() == MOST {
            many.push(name.clone());
        } else {
            values.insert(name.clone(), value.clone());
        }
    }
    let named = |list: &[String]| list.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut faults = Vec::new();
    if !long.is_empty() {
        faults.push(format!("values longer than {LONGEST} characters: {}", named(&long)));
    }
    if !many.is_empty() {
        faults.push(format!("{} beyond the first {MOST} by name: {}", many.len(), named(&many)));
    }
    let says = match (faults.is_empty(), long.is_empty()) {
        (true, _) => Statement::yes(PROPERTIES_COPIED, "Copied", "ClusterProperties are on the profile"),
        (_, false) => Statement::no(PROPERTIES_COPIED, "ValueTooLong", faults.join("; ")),
        (_, true) => Statement::no(PROPERTIES_COPIED, "TooMany", faults.join("; ")),
    };
    Copied { values, says }
}

/// Whether a name lies under a domain that tenants do not choose.
fn is_reserved(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or(name);
    RESERVED.iter().any(|r| domain.strip_suffix(r).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    /// I8, A3: a tenant forges no zone and no price; what does not fit is named.
    #[test]
    fn i8_what_is_copied() {
        let long = "x".repeat(1025);
        let list = all(&[
            ("zone.topology.kubernetes.io", "a"),
            ("cluster.clusterset.k8s.io", "forged"),
            ("price.skerry.dev", "0"),
            ("notskerry.dev", "mine"),
            ("site.example.com", "quay"),
            ("long.example.com", &long),
        ]);
        let copied = own(&list, Some(&[]));
        assert_eq!(copied.values, all(&[("notskerry.dev", "mine"), ("site.example.com", "quay")]));
        assert_eq!((copied.says.status, copied.says.reason), ("False", "ValueTooLong"));
        assert!(copied.says.message.contains("long.example.com"));

        let trusted = own(&list, Some(&["zone.topology.kubernetes.io".to_owned()]));
        assert_eq!(trusted.values["zone.topology.kubernetes.io"], "a");
        let real = own(&list, None);
        assert_eq!(real.values["price.skerry.dev"], "0");
        assert!(!real.values.contains_key("cluster.clusterset.k8s.io"), "the pair is ours everywhere");

        let many: BTreeMap<String, String> =
            (0..65).map(|i| (format!("p{i:02}.example.com"), "v".into())).collect();
        let copied = own(&many, Some(&[]));
        assert_eq!((copied.values.len(), copied.says.reason), (64, "TooMany"));
        assert!(copied.says.message.contains("p64.example.com"), "{}", copied.says.message);
    }
}
