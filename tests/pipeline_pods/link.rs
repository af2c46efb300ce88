//! An API server and a syncer that run apart, over their link: addresses of Services and streams of pods are as they are
//! in one process, and nobody but the API server is heard.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use skerry::cli::adapters::gate::Gate;
use skerry::cli::adapters::hosts::Hosts as _;
use skerry::cli::adapters::streams::BySyncer;
use skerry::cli::link::{API_SERVER, Link, TlsFiles, listen};
use skerry_kit::kubeconfig::{Entry, User};
use skerry_syncer::{ReserveError, SyncerHandle};
use skerry_telemetry::Shutdown;
use tempfile::TempDir;

use crate::world::World;

/// A link that is served, with an authority of its own.
pub struct Served {
    folder: TempDir,
    address: SocketAddr,
    authority: Issuer<'static, KeyPair>,
    stop: Shutdown,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.trigger();
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Served {
    /// Serves these ways to hosts at loopback.
    pub async fn of(handle: SyncerHandle) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = named("skerry");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("an authority");
        let authority = Issuer::new(params, key);
        let write = |name: &str, text: String| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let own = KeyPair::generate().expect("a key");
        let leaf = named("skerry-syncer").signed_by(&own, &authority).expect("a leaf");
        let files = TlsFiles {
            certificate: write("tls.crt", leaf.pem()),
            key: write("tls.key", own.serialize_pem()),
            authority: write("ca.crt", ca.pem()),
        };
        let bound = listen("127.0.0.1:0".parse().expect("an address"), &files).await.expect("a link");
        let address = bound.address().expect("an address");
        let stop = Shutdown::new();
        tokio::spawn(bound.serve(Arc::new(handle), stop.clone()));
        Self { folder, address, authority, stop }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A link with a certificate of this name.
    pub async fn link(&self, name: &str) -> Link {
        let key = KeyPair::generate().expect("a key");
        let leaf = named(name).signed_by(&key, &self.authority).expect("a leaf");
        let user = User::Certificate { certificate: leaf.pem(), key: key.serialize_pem() };
        self.dialled_by(user, &self.ca()).await
    }

    async fn dialled_by(&self, user: User, ca: &Path) -> Link {
        let ca = std::fs::read_to_string(ca).expect("a bundle");
        let server = format!("https://{}", self.address);
        let entry =
            Entry { name: "syncer", server: &server, server_name: "", ca: &ca, user, namespace: None };
        let file = self.folder.path().join("kubeconfig");
        std::fs::write(&file, entry.file().to_string()).expect("a file");
        Link::of(&file).await.expect("a link")
    }
}

/// Addresses agree over the link, a dry run takes none, a refusal comes in the tenant's words, and a syncer that is down
/// is a host that does not answer (SV1, T4, T7).
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_t4_addresses_over_the_link() {
    let mut w = World::dual("linked").await;
    if !w.is_inside() {
        return;
    }
    let served = Served::of(w.handle().clone()).await;
    w.server().attach_service_gate(Arc::new(Gate(served.link(API_SERVER).await)));
    let services = format!("/api/v1/namespaces/{}/services", w.namespace);
    let service = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ipFamilyPolicy": "RequireDualStack",
            "selector": {"app": "a"}, "ports": [{"name": "p", "port": 80}]}})
    };
    let first = w.tenant.post(&services, service("web")).await;
    let host = w.host.get(&w.host_path("services", "web").await).await.expect("made before the answer");
    for field in ["clusterIPs", "ipFamilies", "type"] {
        assert_eq!(first["spec"][field], host["spec"][field], "{field}");
    }
    assert_eq!(first["spec"]["ports"][0]["nodePort"], host["spec"]["ports"][0]["nodePort"]);
    w.tenant.post(&format!("{services}?dryRun=All"), service("dry")).await;
    assert!(w.host.get(&w.host_path("services", "dry").await).await.is_none());

    let mut refused = service("far");
    refused["spec"]["clusterIP"] = json!("192.0.2.1");
    let answer = w.tenant.call("POST", &services, "application/json", Some(refused)).await;
    assert_eq!(answer.err(), Some(422));

    let link = served.link(API_SERVER).await;
    let nobody = link.reserve("taaaaaaaaaaa", &service("x")).await;
    assert!(matches!(nobody, Err(ReserveError::NoHost)), "{nobody:?}");

    served.stop.trigger();
    let answer = w.tenant.call("POST", &services, "application/json", Some(service("late"))).await;
    assert_eq!(answer.err(), Some(503));
    w.halt().await;
}

/// Certificates of the same authority for others, of another authority, and none: nothing is answered.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_the_link_hears_the_api_server_alone() {
    let w = World::new("unlinked", true).await;
    let (served, other) = (Served::of(w.handle().clone()).await, Served::of(w.handle().clone()).await);
    let id = w.entry.id.to_string();
    let service = json!({"metadata": {"name": "web", "namespace": w.namespace, "uid": "u"},
        "spec": {"ports": [{"port": 80}]}});
    let certificate = |issuer: &Issuer<'static, KeyPair>| {
        let key = KeyPair::generate().expect("a key");
        let leaf = named(API_SERVER).signed_by(&key, issuer).expect("a leaf");
        User::Certificate { certificate: leaf.pem(), key: key.serialize_pem() }
    };
    let strangers = [
        served.link("skerry").await,
        served.link("system:admin").await,
        served.dialled_by(certificate(&other.authority), &served.ca()).await,
        served.dialled_by(User::Token("t".to_owned()), &served.ca()).await,
    ];
    for stranger in strangers {
        let answer = stranger.reserve(&id, &service).await;
        assert!(matches!(answer, Err(ReserveError::Unavailable)), "{answer:?}");
    }
    assert!(w.host.get(&w.host_path("services", "web").await).await.is_none());
    let heard = served.link(API_SERVER).await.release(&id, "nobody").await;
    assert!(heard.is_ok(), "{heard:?}");
    w.end().await;
}

/// A tunnel over a link.
pub async fn tunnel(served: &Served) -> BySyncer<Link> {
    BySyncer(served.link(API_SERVER).await)
}
