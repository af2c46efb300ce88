//! A tenant whose pods are real containers: a host of one node with kubelet and containerd, a Skerry that its pods can
//! dial, and one virtual cluster there. The first case starts them, [`end`] takes them away.

mod data;
mod dns;
mod downward;
mod environment;
mod fqdn;
mod front_door;
mod in_cluster;
mod lives;
mod scheduling;
mod states;
mod streams;
mod tokens;
mod workloads;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skerry_testkit::upstream::kubectl::Kubectl;
use skerry_testkit::upstream::node::{Cluster, NodeError};

use crate::Outcome;
use crate::world::{Settings, World, eventually, text};

pub use data::files as sy43;
pub use dns::resolved as sy111;
pub use downward::values as sy46;
pub use environment::printed as sy42;
pub use fqdn::called as sy48;
pub use front_door::reached as ki13;
pub use in_cluster::installed as in_cluster;
pub use lives::claims as sy87;
pub use lives::outlive as sy14;
pub use scheduling::judged as sy49;
pub use states::told as sy40_states;
pub use streams::reached as sy100;
pub use tokens::used as sy44;
pub use workloads::run as sy40;
pub use workloads::services as sy80;
pub use workloads::sets as sy40_sets;

/// What containers need at most, on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Everything; it ends in the order of the fields.
pub struct Stage {
    world: World,
    tenant: Kubectl,
    id: String,
    host: Kubectl,
    cluster: Cluster,
}

enum Place {
    Open(Box<Stage>),
    Lacking(String),
}

static STAGE: Mutex<Option<Place>> = Mutex::new(None);

/// Runs a case on the stage, or says what the machine lacks for one.
fn on_node(case: impl FnOnce(&mut Stage)) -> Outcome {
    let mut place = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    match place.get_or_insert_with(open) {
        Place::Lacking(why) => Outcome::Skipped(why.clone()),
        Place::Open(stage) => {
            case(stage);
            Outcome::Passed
        }
    }
}

/// A storage class with one volume, in a folder of the node.
fn shelf(size: &str, folder: &Path) -> String {
    format!(
        r#"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: shelf}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: shelf-0}}
spec:
  capacity: {{storage: {size}}}
  accessModes: [ReadWriteOnce]
  storageClassName: shelf
  persistentVolumeReclaimPolicy: Retain
  hostPath: {{path: {}, type: DirectoryOrCreate}}
"#,
        folder.display()
    )
}

fn open() -> Place {
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(lacking @ NodeError::Lacks(_)) => return Place::Lacking(lacking.to_string()),
        Err(failed) => panic!("no node: {failed:?}"),
    };
    let world = World::start(Settings {
        address: cluster.machine_address().into(),
        flags: vec![format!("--image={}", fqdn::SKERRY).into()],
        ..Settings::of(crate::PROGRAM)
    });
    let file = cluster.kubeconfig();
    world.ok(&["fleet", "join", "quay", "--host", "--member-kubeconfig", file.to_str().expect("a path")]);
    let tenant = world.cluster_with("kubectl", "ashore", &["--host", "skerry.quay"]);
    let id =
        world.hub().ok(&["get", "virtualcluster", "ashore", "-n", "ashore", "-o", "jsonpath={.status.id}"]);
    let host = cluster.kubectl();
    Place::Open(Box::new(Stage { world, tenant, id, host, cluster }))
}

impl Stage {
    /// The host namespace of a namespace of a tenant.
    fn space_of(&self, id: &str, namespace: &str) -> String {
        let start = format!("namespace/sk-{id}-{namespace}-");
        eventually("the namespace on the host", LIMIT, || {
            let all = self.host.ok(&["get", "namespaces", "-o", "name"]);
            let found = all.lines().find(|n| n.starts_with(&start))?;
            found.strip_prefix("namespace/").map(str::to_owned)
        })
    }

    /// The same of the stage's tenant.
    fn space(&self, namespace: &str) -> String {
        self.space_of(&self.id, namespace)
    }

    /// What a container has printed, asked of the host: what a tenant's own kubectl may ask is no matter here.
    fn logs(&self, namespace: &str, pod: &str) -> String {
        self.host.ok(&["logs", pod, "-n", &self.space(namespace)])
    }

    /// The output of a command in a container, asked of the host as [`Stage::logs`] is; nothing if it failed.
    fn exec(&self, namespace: &str, pod: &str, command: &[&str]) -> Option<String> {
        let space = self.space(namespace);
        let mut args = vec!["exec", pod, "-n", &space, "--"];
        args.extend(command);
        let out = self.host.run(&args);
        out.status.success().then(|| text(&out.stdout))
    }

    /// A file of a container, which must be there.
    #[track_caller]
    fn cat(&self, namespace: &str, pod: &str, path: &str) -> String {
        self.host.ok(&["exec", pod, "-n", &self.space(namespace), "--", "cat", path])
    }

    /// Waits until a file in a container is as wanted; answers it.
    #[track_caller]
    fn file(&self, namespace: &str, pod: &str, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        eventually(&format!("{path} in {pod}"), LIMIT, || {
            self.exec(namespace, pod, &["cat", path]).filter(|found| wanted(found))
        })
    }

    /// A namespace of the tenant, with objects in it.
    #[track_caller]
    fn namespace(&self, name: &str, manifest: &str) {
        self.tenant.ok(&["create", "namespace", name]);
        self.tenant.apply(manifest, &["-n", name]);
    }

    /// Waits in the tenant until a pod is Ready.
    #[track_caller]
    fn ready(&self, namespace: &str, pod: &str) {
        self.tenant.ok(&["wait", "--for=condition=Ready", pod, "-n", namespace, "--timeout=50s"]);
    }

    /// Waits in the tenant until a pod has ended well.
    #[track_caller]
    fn succeeded(&self, namespace: &str, pod: &str) {
        self.tenant.ok(&[
            "wait",
            "--for=jsonpath={.status.phase}=Succeeded",
            pod,
            "-n",
            namespace,
            "--timeout=50s",
        ]);
    }
}

/// What a node has left on this machine: interfaces, control groups, mounts.
fn traces(node: &str, folder: &Path) -> Vec<String> {
    let below = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|e| e.path()).collect::<Vec<_>>()
    };
    let groups = below(Path::new("/sys/fs/cgroup"));
    let mut found = below(Path::new("/sys/class/net"));
    found.extend(groups.iter().filter(|p| p.is_dir()).flat_map(|p| below(p)));
    found.extend(groups);
    found.retain(|path| path.file_name().is_some_and(|name| name == node));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let folder = folder.display().to_string();
    let mounted = mounts.lines().filter(|line| line.contains(&folder)).map(str::to_owned);
    found.iter().map(|p| p.display().to_string()).chain(mounted).collect()
}

/// The tenant goes, the host keeps nothing of it, and the machine nothing of the node.
pub fn left_clean(_: &mut World) -> Outcome {
    on_node(|stage| {
        stage.world.ok(&["delete", "ashore", "-n", "ashore", "--yes", "-q"]);
        eventually("nothing left on the host", LIMIT, || {
            let of = format!("skerry.dev/tenant={}", stage.id);
            let left = stage.host.ok(&["get", "namespaces,pods", "-A", "-l", &of, "-o", "name"]);
            left.trim().is_empty().then_some(())
        });
    });
    if let Some(Place::Open(stage)) = STAGE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let (name, folder) = (stage.cluster.name().to_owned(), stage.cluster.folder().to_path_buf());
        assert_ne!(traces(&name, &folder), Vec::<String>::new(), "while it is there it is seen");
        drop(stage);
        assert_eq!(traces(&name, &folder), Vec::<String>::new());
        assert!(!folder.exists());
        return Outcome::Passed;
    }
    on_node(|_| {})
}

/// Takes the stage away where it still stands; answers what its Skerry said.
pub fn end() -> Option<String> {
    let place = STAGE.lock().unwrap_or_else(PoisonError::into_inner).take();
    match place {
        Some(Place::Open(stage)) => Some(stage.world.log()),
        _ => None,
    }
}
