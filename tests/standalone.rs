//! `skerry up` as people start it: TN-8, TN-10, TN-11, TN-15, TN-22, TN-72, TN-73 (first half), I3, I8, I14, with the binary itself over real
//! sockets. One process serves all cases, since each start costs more than a case.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a step that fails ends the test where it stands")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{
    Api, AttachParams, DeleteParams, DynamicObject, ListParams, LogParams, ObjectMeta, Patch, PatchParams,
    PostParams,
};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use skerry_api::ClusterProfile;

struct Up {
    folder: tempfile::TempDir,
    listen: String,
    metrics: String,
    process: Child,
}

/// Two ports that were free a moment ago.
fn ports() -> [u16; 2] {
    let listeners = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|l| l.local_addr().unwrap().port())
}

fn spawn(folder: &Path, listen: &str, metrics: &str) -> Child {
    let process = command(folder)
        .args(["up", "--listen", listen, "--metrics", metrics, "--data-dir"])
        .arg(folder.join("data"))
        .args(["--log-level", "debug"])
        .arg("--ready-file")
        .arg(folder.join("ready"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let ready = folder.join("ready");
    let started = Instant::now();
    while !ready.exists() {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(60), "not ready: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    process
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skerry"));
    command.env("KUBECONFIG", folder.join("kubeconfig")).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    command
}

impl Up {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [listen, metrics] = ports().map(|p| format!("127.0.0.1:{p}"));
        let process = spawn(folder.path(), &listen, &metrics);
        Self { folder, listen, metrics, process }
    }

    /// Ends it as a power cut would, and starts it again.
    fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::fs::remove_file(self.folder.path().join("ready")).unwrap();
        self.process = spawn(self.folder.path(), &self.listen, &self.metrics);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        command(self.folder.path()).args(args).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "skerry {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, code: i32, args: &[&str], says: &str) {
        let out = self.run(args);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "skerry {args:?}: {text}");
        assert!(text.contains(says), "skerry {args:?}: {text}");
        assert!(out.stdout.is_empty(), "stdout of a failure: {}", String::from_utf8_lossy(&out.stdout));
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    async fn hub(&self) -> Client {
        client(&std::fs::read_to_string(self.path("data/kubeconfig")).unwrap()).await
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn client(kubeconfig: &str) -> Client {
    let file = Kubeconfig::from_yaml(kubeconfig).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap())
        .unwrap()
}

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_from_the_first_start_to_its_end() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut up = Up::start();
    let hub = up.hub().await;
    for name in ["team-a", "team-b"] {
        let space = Namespace {
            metadata: ObjectMeta { name: Some(name.into()), ..Default::default() },
            ..Default::default()
        };
        Api::<Namespace>::all(hub.clone()).create(&PostParams::default(), &space).await.unwrap();
    }
    refusals(&up);
    created(&up, &hub).await;
    claimed(&up, &hub).await;
    apart(&up).await;
    simulated(&up).await;
    workloads(&up).await;
    asked(&up).await;
    joined(&up);
    repaired(&hub).await;
    steady(&up, &hub).await;
    restarted(&mut up).await;
    kept_secret(&up, &hub).await;
    deleted(&up).await;
}

/// TN-72, TN-73: exit codes, and what they say.
fn refusals(up: &Up) {
    let data = up.path("data");
    let data = data.to_str().unwrap();
    let pid = up.process.id().to_string();
    let [other, more] = ports().map(|p| format!("127.0.0.1:{p}"));
    up.fails(5, &["up", "--data-dir", data, "--listen", &other, "--metrics", &more], &pid);
    let second = up.path("second");
    let second = second.to_str().unwrap();
    let port = up.listen.rsplit(':').next().unwrap().to_owned();
    up.fails(1, &["up", "--memory", "--data-dir", second, "--listen", &up.listen, "--metrics", &more], &port);
    up.fails(3, &["describe", "none", "-n", "team-a"], "no virtual cluster");
    up.fails(
        5,
        &["create", "1dev", "-n", "team-a"],
        "a DNS label of at most 48 characters that begins with a letter",
    );
    up.fails(
        5,
        &["create", "bad", "-n", "team-a", "--set", "podSecurity.enforce=privileged"],
        "NotOverridable",
    );
    up.fails(2, &["create", "bad", "-n", "team-a", "--timeout", "soon"], "--timeout");
    up.ok(&["delete", "bad", "-n", "team-a", "--yes", "-q"]);
    up.fails(3, &["delete", "bad", "-n", "team-a", "--yes"], "no virtual cluster");
    up.ok(&["delete", "bad", "-n", "team-a", "--yes", "--ignore-not-found"]);
}

/// I8: what a tenant says of itself shows on its profile where it may, and is named where it may not.
async fn claimed(up: &Up, hub: &Client) {
    let tenant = client(&up.ok(&["kubeconfig", "dev", "-n", "team-a"])).await;
    let properties: Api<skerry_api::ClusterProperty> = Api::all(tenant);
    let long = "x".repeat(1025);
    for (name, value) in [
        ("site.example.com", "quay"),
        ("zone.topology.kubernetes.io", "forged"),
        ("long.example.com", long.as_str()),
    ] {
        let object =
            serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"value": value}})).unwrap();
        properties.create(&PostParams::default(), &object).await.unwrap();
    }
    let kind = kube::api::ApiResource::erase::<skerry_api::VirtualCluster>(&());
    let clusters: Api<DynamicObject> = Api::namespaced_with(hub.clone(), "team-a", &kind);
    let label = json!({"metadata": {"labels": {"tier": "gold"}}});
    clusters.patch("dev", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();

    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), "skerry-inventory");
    let profile = eventually("the tenant's own property", async || {
        let profile = profiles.get("skerry.team-a.dev").await.unwrap();
        let shown = json!(profile.status.as_ref().unwrap().properties);
        shown.to_string().contains("site.example.com").then_some(profile)
    })
    .await;
    let shown = json!(profile.status.as_ref().unwrap().properties).to_string();
    assert!(!shown.contains("zone.topology") && !shown.contains("long.example"), "{shown}");
    assert!(!profile.labels().contains_key("tier"), "{:?}", profile.labels());
    let reports: Api<skerry_api::ClusterReport> = Api::namespaced(hub.clone(), "skerry-inventory");
    let said = eventually("PropertiesCopied", async || {
        let status = reports.get("skerry.team-a.dev").await.unwrap().status.unwrap_or_default();
        status.conditions.into_iter().flatten().find(|c| c.type_ == "PropertiesCopied")
    })
    .await;
    assert_eq!((said.status.as_str(), said.reason.as_str()), ("False", "ValueTooLong"));
    assert!(said.message.contains("long.example.com"), "{}", said.message);
    up.fails(5, &["create", "bad", "-n", "team-a", "--set", "inventory.labels.tier=gold"], "NotOverridable");
    up.ok(&["delete", "bad", "-n", "team-a", "--yes", "-q"]);
}

/// TN-8, I3: Ready, and then the published kubeconfig works and the profile is there.
async fn created(up: &Up, hub: &Client) {
    let object = up.json(&["create", "dev", "-n", "team-a", "-o", "json"]);
    let conditions = object["status"]["conditions"].as_array().unwrap();
    for kind in ["Provisioned", "ControlPlaneReady", "Synced", "Registered", "Ready"] {
        assert!(conditions.iter().any(|c| c["type"] == kind && c["status"] == "True"), "{kind}: {object}");
    }
    let id = object["status"]["id"].as_str().unwrap();
    let tenant = client(&up.ok(&["kubeconfig", "dev", "-n", "team-a"])).await;
    let names: Vec<String> = Api::<Namespace>::all(tenant)
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(|n| n.name_any())
        .collect();
    assert!(names.iter().any(|n| n == "kube-system") && !names.iter().any(|n| n == "team-a"), "{names:?}");
    let profile: ClusterProfile =
        Api::namespaced(hub.clone(), "skerry-inventory").get("skerry.team-a.dev").await.unwrap();
    assert_eq!(profile.labels()["multicluster.x-k8s.io/inventory-member-id"], id);
    assert_eq!(profile.labels()["skerry.dev/simulated"], "true");
    let out = up.run(&[
        "connect",
        "dev",
        "-n",
        "team-a",
        "--",
        "sh",
        "-c",
        "grep -c clusters/ \"$KUBECONFIG\"; exit 7",
    ]);
    assert_eq!(out.status.code(), Some(7), "the command's own code");
}

/// TN-10: one name in two namespaces shares nothing.
async fn apart(up: &Up) {
    up.ok(&["create", "dev", "-n", "team-b", "-q"]);
    let ids = ["team-a", "team-b"].map(|ns| {
        let list = up.json(&["list", "-n", ns, "-o", "json"]);
        list["items"][0]["status"]["id"].as_str().unwrap().to_owned()
    });
    assert_ne!(ids[0], ids[1]);
    let first = up.ok(&["kubeconfig", "dev", "-n", "team-a"]);
    let crossed = first.replace(&format!("clusters/{}", ids[0]), &format!("clusters/{}", ids[1]));
    let stranger = client(&crossed).await;
    let refusal = Api::<Namespace>::all(stranger).list(&ListParams::default()).await.unwrap_err();
    assert_eq!(skerry_kit::error::code(&refusal), Some(401), "TN-47: {refusal}");
}

/// Invariant 11: a simulated pod says so in its log, and to whom wants into it.
async fn simulated(up: &Up) {
    const WORDS: &str = "this pod is simulated: nothing runs in it";
    let tenant = client(&up.ok(&["kubeconfig", "dev", "-n", "team-a"])).await;
    let pods = Api::<Pod>::namespaced(tenant, "default");
    let pod =
        json!({"metadata": {"name": "quiet"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    eventually("a running pod", async || {
        pods.get("quiet").await.unwrap().status?.phase.filter(|phase| phase == "Running")
    })
    .await;
    for follow in [false, true] {
        let how = LogParams { follow, ..LogParams::default() };
        assert_eq!(pods.logs("quiet", &how).await.unwrap(), format!("{WORDS}\n"));
    }
    let exec = pods.exec("quiet", ["true"], &AttachParams::default()).await.err().unwrap();
    let attach = pods.attach("quiet", &AttachParams::default()).await.err().unwrap();
    let forward = pods.portforward("quiet", &[80]).await.err().unwrap();
    for refused in [exec, attach, forward] {
        assert!(
            matches!(&refused, kube::Error::Api(status) if status.code == 501 && status.message == WORDS),
            "{refused}"
        );
    }
    pods.delete("quiet", &DeleteParams::default().grace_period(0)).await.unwrap();
}

/// OB2: what the syncer does with a virtual cluster and an object of it, for administrators of the hub.
async fn asked(up: &Up) {
    fn sync<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["sync"], args, &["-n", "team-a"]].concat()
    }
    let file = up.ok(&["kubeconfig", "dev", "-n", "team-a"]);
    let tenant = client(&file).await;
    let pods = Api::<Pod>::namespaced(tenant.clone(), "default");
    let pod =
        json!({"metadata": {"name": "seen"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let why = eventually("a decision", async || {
        let said = up.run(&sync(&["why", "dev", "po/default/seen"]));
        let said = String::from_utf8(said.stdout).unwrap();
        (said.contains("(EN11)") && !said.contains("absent")).then_some(said)
    })
    .await;
    assert!(why.contains("Next try:") && why.contains("Object:     pod/default/seen"), "{why}");
    let status = up.ok(&sync(&["status", "dev"]));
    assert!(status.contains("True (CaughtUp)") && status.contains("KIND"), "{status}");
    let diff = up.json(&sync(&["diff", "dev", "pod/default/seen", "-o", "json"]));
    assert_eq!(
        (&diff["kind"], &diff["proof"], &diff["repair"]),
        (&json!("SyncDiff"), &json!("Ours"), &json!("Nothing"))
    );
    assert!(up.ok(&sync(&["patrol", "dev"])).contains("stale_cache"));
    up.fails(
        3,
        &sync(&["why", "dev", "pod/default/none"]),
        "neither the virtual cluster nor its host has pod/default/none",
    );
    up.fails(3, &sync(&["status", "dve"]), "did you mean \"dev\"?");
    up.fails(2, &sync(&["diff", "dev", "deploy/default/seen"]), "configmap (cm)");
    up.fails(2, &["syncer", "--debug-address", "0.0.0.0:0"], "loopback");

    let id = up.json(&["list", "-n", "team-a", "-o", "json"])["items"][0]["status"]["id"].clone();
    let request =
        http::Request::get(format!("/debug/tenants/{}/sync", id.as_str().unwrap())).body(Vec::new()).unwrap();
    let refused = tenant.request::<Value>(request).await.unwrap_err();
    assert_eq!(skerry_kit::error::code(&refused), Some(404), "its owner is told nothing: {refused}");
    pods.delete("seen", &DeleteParams::default().grace_period(0)).await.unwrap();
}

/// SY-40 on a simulated host: a StatefulSet's pods run in order, a Job's come to their end.
async fn workloads(up: &Up) {
    let tenant = client(&up.ok(&["kubeconfig", "dev", "-n", "team-a"])).await;
    let sets = Api::<StatefulSet>::namespaced(tenant.clone(), "default");
    let jobs = Api::<Job>::namespaced(tenant.clone(), "default");
    let containers = json!([{"name": "c", "image": "nginx"}]);
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": 2, "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": containers}}}});
    let job = json!({"metadata": {"name": "sum"}, "spec": {"completions": 2, "parallelism": 2,
        "template": {"spec": {"restartPolicy": "Never", "containers": containers}}}});
    sets.create(&PostParams::default(), &serde_json::from_value(set).unwrap()).await.unwrap();
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
    eventually("a StatefulSet that runs", async || {
        sets.get("db").await.unwrap().status?.available_replicas.filter(|n| *n == 2)
    })
    .await;
    let done = eventually("a Job that is complete", async || {
        let status = jobs.get("sum").await.unwrap().status?;
        status.completion_time.is_some().then_some(status)
    })
    .await;
    assert_eq!((done.succeeded, done.failed), (Some(2), None));
    let background = DeleteParams::background();
    sets.delete("db", &background).await.unwrap();
    jobs.delete("sum", &background).await.unwrap();
    let pods = Api::<Pod>::namespaced(tenant, "default");
    eventually("no pods left", async || {
        pods.list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
}

/// I15, I16: unsafe kubeconfigs are refused by field, a cluster that is a member already is named.
fn joined(up: &Up) {
    let good = up.ok(&["kubeconfig", "dev", "-n", "team-a"]);
    let join = |name: &str, body: &str| {
        let path = up.path(name);
        std::fs::write(&path, body).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let member = join("member", &good);
    up.fails(
        5,
        &["fleet", "join", "edge", "--member-kubeconfig", &member],
        "MemberIdTaken: this cluster is already member skerry.team-a.dev",
    );
    let mut file: Value = serde_yaml_ng::from_str(&good).unwrap();
    file["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = true.into();
    let insecure = join("insecure", &file.to_string());
    up.fails(5, &["fleet", "join", "edge", "--member-kubeconfig", &insecure], "insecure-skip-tls-verify");
    file["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = false.into();
    file["users"][0]["user"] =
        json!({"exec": {"command": "true", "apiVersion": "client.authentication.k8s.io/v1"}});
    let exec = join("exec", &file.to_string());
    up.fails(5, &["fleet", "join", "edge", "--member-kubeconfig", &exec], ".user.exec");
    up.fails(2, &["fleet", "join", "Edge_1", "--member-kubeconfig", &member], "not a DNS label");
    up.fails(5, &["fleet", "leave", "skerry.team-a.dev"], "is a virtual cluster");
    up.fails(5, &["fleet", "leave", "sim-0"], "carries virtual clusters");
}

/// TN-15: what a stranger edits or deletes is made anew.
async fn repaired(hub: &Client) {
    let secrets: Api<Secret> = Api::namespaced(hub.clone(), "team-a");
    let before = secrets.get("dev-kubeconfig").await.unwrap();
    secrets.delete("dev-kubeconfig", &DeleteParams::default()).await.unwrap();
    eventually("the Secret is back", async || secrets.get_opt("dev-kubeconfig").await.unwrap()).await;
    let spoil = json!({"stringData": {"value": "x"}});
    secrets.patch("dev-kubeconfig", &PatchParams::default(), &Patch::Merge(&spoil)).await.unwrap();
    eventually("the Secret is whole", async || {
        let now = secrets.get("dev-kubeconfig").await.unwrap().data.unwrap();
        (now["value"] == now["kubeconfig"]).then_some(())
    })
    .await;
    assert_ne!(before.uid(), secrets.get("dev-kubeconfig").await.unwrap().uid());
}

/// L3, P6: with nothing to change nothing is written, to no object of any kind of ours.
async fn steady(up: &Up, hub: &Client) {
    up.ok(&["list", "-A", "-q"]);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let before = versions(hub).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(before, versions(hub).await);
}

async fn versions(hub: &Client) -> Vec<String> {
    let mut out = Vec::new();
    for (group, version, kind, plural) in [
        ("skerry.dev", "v1alpha1", "VirtualCluster", "virtualclusters"),
        ("skerry.dev", "v1alpha1", "ClusterReport", "clusterreports"),
        ("multicluster.x-k8s.io", "v1alpha1", "ClusterProfile", "clusterprofiles"),
        ("", "v1", "Secret", "secrets"),
    ] {
        let resource = kube::api::ApiResource::from_gvk_with_plural(
            &kube::api::GroupVersionKind::gvk(group, version, kind),
            plural,
        );
        let api: Api<DynamicObject> = Api::all_with(hub.clone(), &resource);
        let list = api.list_metadata(&ListParams::default()).await.unwrap();
        out.extend(
            list.iter()
                .map(|o| format!("{kind}/{} {}", o.name_any(), o.resource_version().unwrap_or_default())),
        );
    }
    out
}

/// TN-73: killed, started again: everything that was acknowledged is there, under the same address.
async fn restarted(up: &mut Up) {
    let before = up.json(&["list", "-n", "team-a", "-o", "json"]);
    let tenant = client(&up.ok(&["kubeconfig", "dev", "-n", "team-a"])).await;
    let made = Namespace {
        metadata: ObjectMeta { name: Some("kept".into()), ..Default::default() },
        ..Default::default()
    };
    Api::<Namespace>::all(tenant).create(&PostParams::default(), &made).await.unwrap();
    up.kill_and_restart();
    let tenant = client(&up.ok(&["kubeconfig", "dev", "-n", "team-a"])).await;
    assert!(Api::<Namespace>::all(tenant).get_opt("kept").await.unwrap().is_some());
    let after = up.json(&["list", "-n", "team-a", "-o", "json"]);
    for field in ["id", "endpoint"] {
        assert_eq!(before["items"][0]["status"][field], after["items"][0]["status"][field]);
    }
}

/// TN-22, TN-11: in order, nothing left; made again by name it is another one, and the old credential is dead.
async fn deleted(up: &Up) {
    let hub = up.hub().await;
    let old = up.ok(&["kubeconfig", "dev", "-n", "team-a"]);
    let out = up.run(&["delete", "dev", "-n", "team-a", "--yes"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(
        Api::<Secret>::namespaced(hub.clone(), "team-a").get_opt("dev-kubeconfig").await.unwrap().is_none()
    );
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), "skerry-inventory");
    assert!(profiles.get_opt("skerry.team-a.dev").await.unwrap().is_none());
    let gone = Api::<Namespace>::all(client(&old).await).list(&ListParams::default()).await.unwrap_err();
    assert_eq!(skerry_kit::error::code(&gone), Some(404), "{gone}");
    up.ok(&["create", "dev", "-n", "team-a", "-q"]);
    let object = up.json(&["list", "-n", "team-a", "-o", "json"]);
    let id = object["items"][0]["status"]["id"].as_str().unwrap();
    assert!(!old.contains(id));
    up.ok(&["delete", "dev", "-n", "team-a", "--yes", "-q"]);
    up.ok(&["delete", "dev", "-n", "team-b", "--yes", "-q"]);
}

/// Tokens and private keys of the Secrets on the hub, in the forms in which they could be seen.
async fn credentials(hub: &Client) -> Vec<String> {
    let secrets = Api::<Secret>::all(hub.clone()).list(&ListParams::default()).await.unwrap();
    let mut found = Vec::new();
    for (key, value) in secrets.items.into_iter().flat_map(|s| s.data.unwrap_or_default()) {
        let text = String::from_utf8(value.0).unwrap();
        match key.as_str() {
            "token" => found.push(text),
            "client.key" => found.push(data_encoding::BASE64.encode(text.as_bytes())),
            "kubeconfig" | "value" | "config" => {
                let file: Value = serde_yaml_ng::from_str(&text).unwrap();
                let user = &file["users"][0]["user"];
                found.extend(
                    ["token", "client-key-data"].iter().filter_map(|k| Some(user[*k].as_str()?.to_owned())),
                );
            }
            _ => {}
        }
    }
    found.retain(|secret| !secret.is_empty());
    found
}

/// I14, Z1: no credential stands in a profile, Report, decision, Event, in the log or among the metrics.
async fn kept_secret(up: &Up, hub: &Client) {
    let found = credentials(hub).await;
    assert!(found.len() >= 3, "a tenant's key and two tokens at least, not {}", found.len());
    let mut seen = vec![
        ("the log", std::fs::read_to_string(up.path("log")).unwrap()),
        ("metrics", get_plain(&up.metrics, "/metrics")),
    ];
    let page = &seen[1].1;
    for part in ["skerry_apiserver_requests_total", "skerry_ready_seconds_count", "skerry_syncer_tenants"] {
        assert!(page.contains(part), "one page for all parts of the process: {part}");
    }
    assert_eq!(page.matches("# EOF").count(), 1, "{page}");
    for (what, path) in [
        ("profiles", "/apis/multicluster.x-k8s.io/v1alpha1/clusterprofiles"),
        ("decisions", "/apis/multicluster.x-k8s.io/v1alpha1/placementdecisions"),
        ("reports", "/apis/skerry.dev/v1alpha1/clusterreports"),
        ("virtual clusters", "/apis/skerry.dev/v1alpha1/virtualclusters"),
        ("events", "/api/v1/events"),
        ("events", "/apis/events.k8s.io/v1/events"),
    ] {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        seen.push((what, hub.request_text(request).await.unwrap()));
    }
    for secret in found {
        for (what, text) in &seen {
            assert!(!text.contains(&secret), "a credential stands in {what}");
        }
    }
}

/// A page over plain HTTP.
fn get_plain(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains(" 200 "), "{path}: {}", text.lines().next().unwrap_or_default());
    text
}
