//! Discovery documents: forms, tags, what is listed.

use serde_json::Value;

use super::*;
use crate::model::catalog::Catalog;

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

const BOTH: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// AS-24: Accept variants.
#[test]
fn accept_chooses_the_form() {
    let catalog = Catalog::builtin();
    let aggregated = apis(&catalog, BOTH, None).unwrap();
    let content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    assert_eq!(aggregated.headers[0], ("content-type", content_type.into()));
    assert_eq!(body(&aggregated)["items"].as_array().unwrap().len(), 19);
    let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    for (accept, kind) in [
        (beta, "APIGroupList"),
        ("", "APIGroupList"),
        ("*/*", "APIGroupList"),
        ("application/json;as=Other,application/json;q=0.9", "APIGroupList"),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer",
            "APIGroupDiscoveryList",
        ),
    ] {
        assert_eq!(body(&apis(&catalog, accept, None).unwrap())["kind"], kind, "{accept}");
    }
    assert!(apis(&catalog, "text/html", None).is_none());
    let etag = &aggregated.headers.iter().find(|(name, _)| *name == "etag").unwrap().1;
    assert!(etag.len() == 130 && etag.starts_with('"'));
    let again = apis(&catalog, BOTH, Some(etag)).unwrap();
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(body(&api(&catalog, BOTH, None, "a:1").unwrap())["items"][0]["versions"][0]["version"], "v1");
    assert_eq!(body(&version())["gitVersion"], GIT_VERSION);
}

/// Directory of the published documents of `k8s.io/kubernetes`, where the machine has them.
fn published(case: &str) -> Option<std::path::PathBuf> {
    let dir = std::env::var_os("SKERRY_KUBERNETES_MODULE").map(std::path::PathBuf::from);
    if dir.is_none() {
        eprintln!("skipped: {case} needs SKERRY_KUBERNETES_MODULE");
    }
    dir
}

/// Removes the resources M2 and R1 leave to a later stage.
fn without_later(list: &Value, name: &str) -> Vec<Value> {
    let later = [
        "limitranges",
        "resourcequotas",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    ];
    let later_sub = ["ephemeralcontainers", "eviction", "proxy", "resize"];
    let served = |name: &str| name == "pods/proxy";
    let items = list.as_array().unwrap().iter();
    let kept = items.filter(|r| {
        let mut parts = r[name].as_str().unwrap().split('/');
        served(r[name].as_str().unwrap())
            || !later.contains(&parts.next().unwrap()) && parts.next().is_none_or(|s| !later_sub.contains(&s))
    });
    kept.cloned().collect()
}

/// AS-24: the documents equal the published ones but for M2 and R1.
#[test]
fn documents_equal_the_published_ones() {
    let Some(dir) = published("AS-24") else { return };
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.join("api/discovery").join(name)).unwrap()).unwrap()
    };
    let catalog = Catalog::builtin();
    for g in catalog.groups() {
        for v in &g.versions {
            let file = if g.name.is_empty() {
                format!("api__{v}.json")
            } else {
                format!("apis__{}__{v}.json", g.name)
            };
            let mut want = read(&file);
            want["resources"] = without_later(&want["resources"], "name").into();
            assert_eq!(body(&group_version(&catalog, &g.name, v).unwrap()), want, "{file}");
        }
    }
    let want = read("aggregated_v2.json");
    let got = body(&apis(&catalog, BOTH, None).unwrap());
    for item in got["items"].as_array().unwrap() {
        let published = want["items"].as_array().unwrap().iter();
        let published =
            published.clone().find(|i| i["metadata"]["name"] == item["metadata"]["name"]).unwrap();
        for version in item["versions"].as_array().unwrap() {
            let all = published["versions"].as_array().unwrap();
            let mut same = all.iter().find(|v| v["version"] == version["version"]).unwrap().clone();
            same["resources"] = without_later(&same["resources"], "resource").into();
            assert_eq!(*version, same, "{}", item["metadata"]["name"]);
        }
    }
}
