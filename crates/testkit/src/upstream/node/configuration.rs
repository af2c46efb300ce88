//! Configuration files of the node's parts.

use std::path::Path;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::Settings;
use super::error::{NodeError, write};
use super::images::PAUSE;
use super::lacks::PLUGINS;

/// The authority of the kubelet's clients and the credential of kube-apiserver; answers the flags that name it.
pub fn credentials(folder: &Path) -> Result<Vec<String>, NodeError> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "kubelet-clients");
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let certificate = authority.self_signed(&key)?;
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let own = KeyPair::generate()?;
    let signed = client.signed_by(&own, &Issuer::new(authority, &key))?;
    write(&folder.join("clients.crt"), certificate.pem())?;
    write(&folder.join("kubelet-client.crt"), signed.pem())?;
    write(&folder.join("kubelet-client.key"), own.serialize_pem())?;
    Ok(vec![
        format!("--kubelet-client-certificate={}", folder.join("kubelet-client.crt").display()),
        format!("--kubelet-client-key={}", folder.join("kubelet-client.key").display()),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        // Whether a pod may have more than its own is for the one who runs the cluster to say.
        "--allow-privileged=true".to_owned(),
    ])
}

/// containerd with everything in the folder, and the bridge that pods are on.
pub fn runtime(folder: &Path, pods: String) -> Result<(), NodeError> {
    let here = folder.display();
    // Without CAP_SYS_RESOURCE no score can be lowered, and every sandbox would fail for it.
    let text = format!(
        r#"version = 2
root = "{here}/containerd"
state = "{here}/containerd-state"
[grpc]
address = "{here}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{here}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    );
    write(&folder.join("containerd.toml"), text)?;
    let cni = folder.join("cni");
    std::fs::create_dir_all(&cni).map_err(|source| NodeError::File { path: cni.clone(), source })?;
    let network = json!({
        "cniVersion": "0.4.0", "name": "skerry",
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
                "ipam": {
                    "type": "host-local", "dataDir": folder.join("addresses"),
                    "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    write(&cni.join("10-bridge.conflist"), network.to_string())
}

/// The kubelet: files of pods follow their objects within seconds, and no image is ever collected, for none can be
/// pulled again.
pub fn kubelet(folder: &Path, group: &str, cluster: &Settings) -> Result<(), NodeError> {
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true},
            "x509": {"clientCAFile": folder.join("clients.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{group}"),
        "containerRuntimeEndpoint": format!("unix://{}", folder.join("containerd.sock").display()),
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": false,
        "failSwapOn": false, "clusterDomain": "cluster.local", "clusterDNS": cluster.dns.as_slice(),
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "5s",
        "resolvConf": "",
        "syncFrequency": "5s",
        "volumePluginDir": folder.join("volume-plugins"),
    });
    write(&folder.join("kubelet.json"), settings.to_string())
}
