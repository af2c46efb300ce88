//! Objects that are too much: SE13.

use serde_json::{Value, json};

use crate::rig::Rig;

/// A tree of this depth, as an API server of the tenant's own may give out.
fn deep(levels: usize) -> String {
    format!("{}{}", "{\"a\":".repeat(levels), "1".to_owned() + &"}".repeat(levels))
}

/// SE13, FM11: the largest object is carried; one that is too deep, or not to be decoded at all, fails alone, by its key
/// and counted, whether it comes by a list or by a watch.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se13_one_bad_object_fails_alone() {
    let mut rig = Rig::new("bodies").await;
    let noted = |name: &str| json!({"name": name, "annotations": {"skerry.dev/sync": "true"}});
    let large = "x".repeat(1_000_000);
    rig.post("configmaps", json!({"metadata": noted("large"), "data": {"k": large}})).await;
    rig.w.host.until("large", &rig.w.host_path("configmaps", "large").await, |_| true).await;

    for line in [&rig.w.to_tenants, &rig.w.to_shards] {
        line.edit(|_, text| {
            let text = text.replace("\"@deep\"", &deep(400)).replace("@surrogate", "\\ud800");
            Some(text.replace("\"@number\"", "1e999"))
        });
    }
    for (name, value) in [("deep", "@deep"), ("surrogate", "@surrogate"), ("number", "@number")] {
        rig.post("configmaps", json!({"metadata": noted(name), "data": {"k": value}})).await;
        assert_eq!(rig.refused("ConfigMap", name).await.0, "UnsupportedField", "{name}");
    }
    rig.post("configmaps", json!({"metadata": noted("after"), "data": {"k": "v"}})).await;
    rig.w.host.until("the next one", &rig.w.host_path("configmaps", "after").await, |_| true).await;
    assert!(rig.w.count("refusals_total", "UnsupportedField") >= 3);

    // A start lists what a watch told before.
    rig.w.halt().await;
    rig.w.start(None);
    rig.w.synced("CaughtUp").await;
    for name in ["deep", "surrogate", "number"] {
        assert_eq!(rig.refused("ConfigMap", name).await.0, "UnsupportedField", "{name}");
        let host = rig.w.host.get(&rig.w.host_path("configmaps", name).await).await;
        assert_eq!(host, None::<Value>, "{name}");
    }
    rig.post("configmaps", json!({"metadata": noted("later"), "data": {"k": "v"}})).await;
    rig.w.host.until("and the next", &rig.w.host_path("configmaps", "later").await, |_| true).await;
    // Mended, it is carried.
    let path = rig.w.path("configmaps", "deep");
    rig.w.tenant.merge(&path, json!({"data": {"k": "fine"}})).await;
    let host = rig.w.host_path("configmaps", "deep").await;
    rig.w.host.until("mended", &host, |m| m["data"]["k"] == "fine").await;
    // Gone, it is forgotten.
    rig.w.tenant.delete(&rig.w.path("configmaps", "number"), None).await;
    rig.end().await;
}
