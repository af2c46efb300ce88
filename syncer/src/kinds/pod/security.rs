//! The Pod Security Standards, judged on the finished host pod (PO11).

use serde_json::Value;

use crate::object::{HostObj, filled, items, text};

/// A level of `podSecurity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything goes.
    Privileged,
    /// Known privilege escalations are refused.
    #[default]
    Baseline,
    /// Hardened pods only.
    Restricted,
}

impl Level {
    /// The level of its name; unknown names are the strictest.
    pub fn of(name: &str) -> Level {
        match name {
            "privileged" => Level::Privileged,
            "" | "baseline" => Level::Baseline,
            _ => Level::Restricted,
        }
    }
}

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

const RESTRICTED_VOLUMES: [&str; 10] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "name",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Fields that violate the level, each with why; empty: the pod may run.
pub fn violations(pod: &HostObj, level: Level) -> Vec<String> {
    let mut out = Vec::new();
    if level >= Level::Baseline {
        baseline(&pod.0, &mut out);
    }
    if level >= Level::Restricted {
        restricted(&pod.0, &mut out);
    }
    out
}

/// Every container with its path.
fn containers(pod: &Value) -> impl Iterator<Item = (String, &Value)> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(move |member| {
        items(pod, &format!("/spec/{member}"))
            .iter()
            .enumerate()
            .map(move |(n, container)| (format!("spec.{member}[{n}]"), container))
    })
}

/// The pod's security context and each container's, with paths.
fn contexts(pod: &Value) -> Vec<(String, &Value)> {
    let mut out: Vec<(String, &Value)> = Vec::new();
    if let Some(context) = pod.pointer("/spec/securityContext") {
        out.push(("spec.securityContext".to_owned(), context));
    }
    for (path, container) in containers(pod) {
        if let Some(context) = container.get("securityContext") {
            out.push((format!("{path}.securityContext"), context));
        }
    }
    out
}

fn baseline(pod: &Value, out: &mut Vec<String>) {
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod.pointer(&format!("/spec/{field}")).and_then(Value::as_bool) == Some(true) {
            out.push(format!("spec.{field} must not be true"));
        }
    }
    for (n, volume) in items(pod, "/spec/volumes").iter().enumerate() {
        if volume.get("hostPath").is_some_and(|v| !v.is_null()) {
            out.push(format!("spec.volumes[{n}].hostPath is not allowed"));
        }
    }
    for (n, sysctl) in items(pod, "/spec/securityContext/sysctls").iter().enumerate() {
        if !SYSCTLS.contains(&text(sysctl, "name")) {
            out.push(format!("spec.securityContext.sysctls[{n}]: {} is not safe", text(sysctl, "name")));
        }
    }
    for (path, context) in contexts(pod) {
        profiles(&path, context, out);
    }
    for (path, container) in containers(pod) {
        baseline_container(pod, &path, container, out);
    }
    let annotations = pod.pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, value) in annotations.into_iter().flatten() {
        let profile = value.as_str().unwrap_or_default();
        let fine = profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !fine {
            out.push(format!("metadata.annotations[{key}] must be runtime/default or localhost/*"));
        }
    }
}

/// SELinux, seccomp, AppArmor and Windows options of one context.
fn profiles(path: &str, context: &Value, out: &mut Vec<String>) {
    if let Some(options) = context.get("seLinuxOptions") {
        if !SELINUX_TYPES.contains(&text(options, "type")) {
            out.push(format!("{path}.seLinuxOptions.type: {} is not allowed", text(options, "type")));
        }
        for field in ["user", "role"] {
            if !text(options, field).is_empty() {
                out.push(format!("{path}.seLinuxOptions.{field} must not be set"));
            }
        }
    }
    if context.pointer("/seccompProfile/type").and_then(Value::as_str) == Some("Unconfined") {
        out.push(format!("{path}.seccompProfile.type must not be Unconfined"));
    }
    let armor = context.pointer("/appArmorProfile/type").and_then(Value::as_str).unwrap_or("RuntimeDefault");
    if !["RuntimeDefault", "Localhost"].contains(&armor) {
        out.push(format!("{path}.appArmorProfile.type must be RuntimeDefault or Localhost"));
    }
    if context.pointer("/windowsOptions/hostProcess").and_then(Value::as_bool) == Some(true) {
        out.push(format!("{path}.windowsOptions.hostProcess must not be true"));
    }
}

fn baseline_container(pod: &Value, path: &str, container: &Value, out: &mut Vec<String>) {
    if container.pointer("/securityContext/privileged").and_then(Value::as_bool) == Some(true) {
        out.push(format!("{path}.securityContext.privileged must not be true"));
    }
    for capability in items(container, "/securityContext/capabilities/add").iter().filter_map(Value::as_str) {
        if !CAPABILITIES.contains(&capability) {
            out.push(format!("{path}.securityContext.capabilities.add: {capability} is not allowed"));
        }
    }
    let user_namespace = pod.pointer("/spec/hostUsers").and_then(Value::as_bool) == Some(false);
    let mount = container.pointer("/securityContext/procMount").and_then(Value::as_str).unwrap_or_default();
    if !(mount.is_empty() || mount == "Default" || (mount == "Unmasked" && user_namespace)) {
        out.push(format!("{path}.securityContext.procMount must be Default"));
    }
    for (n, port) in items(container, "/ports").iter().enumerate() {
        if port.get("hostPort").and_then(Value::as_i64).unwrap_or_default() != 0 {
            out.push(format!("{path}.ports[{n}].hostPort is not allowed"));
        }
    }
    for probe in
        ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle/postStart", "lifecycle/preStop"]
    {
        for action in ["httpGet", "tcpSocket"] {
            let host = container.pointer(&format!("/{probe}/{action}/host"));
            if host.is_some_and(|h| h.as_str().is_some_and(|h| !h.is_empty())) {
                let probe = probe.replace('/', ".");
                out.push(format!("{path}.{probe}.{action}.host must not be set"));
            }
        }
    }
}

fn restricted(pod: &Value, out: &mut Vec<String>) {
    for (n, volume) in items(pod, "/spec/volumes").iter().enumerate() {
        for (kind, source) in volume.as_object().into_iter().flatten() {
            if !source.is_null() && !RESTRICTED_VOLUMES.contains(&kind.as_str()) {
                out.push(format!("spec.volumes[{n}].{kind} is not allowed"));
            }
        }
    }
    let pod_context = pod.pointer("/spec/securityContext");
    let pod_non_root = pod_context.and_then(|c| c.get("runAsNonRoot")).and_then(Value::as_bool);
    let pod_seccomp = pod_context.and_then(|c| c.pointer("/seccompProfile/type")).is_some_and(filled);
    let windows = pod.pointer("/spec/os/name").and_then(Value::as_str) == Some("windows");
    for (path, context) in contexts(pod) {
        if context.get("runAsUser").and_then(Value::as_i64) == Some(0) {
            out.push(format!("{path}.runAsUser must not be 0"));
        }
    }
    if pod_non_root == Some(false) {
        out.push("spec.securityContext.runAsNonRoot must not be false".to_owned());
    }
    for (path, container) in containers(pod) {
        let context = container.get("securityContext");
        let flag = |field: &str| context.and_then(|c| c.get(field)).and_then(Value::as_bool);
        match flag("runAsNonRoot") {
            Some(false) => out.push(format!("{path}.securityContext.runAsNonRoot must not be false")),
            None if pod_non_root != Some(true) => {
                out.push(format!("{path}.securityContext.runAsNonRoot must be true"));
            }
            _ => {}
        }
        if windows {
            continue;
        }
        if flag("allowPrivilegeEscalation") != Some(false) {
            out.push(format!("{path}.securityContext.allowPrivilegeEscalation must be false"));
        }
        let own_seccomp = context.and_then(|c| c.pointer("/seccompProfile/type")).is_some_and(filled);
        if !own_seccomp && !pod_seccomp {
            out.push(format!(
                "{path}.securityContext.seccompProfile.type must be RuntimeDefault or Localhost"
            ));
        }
        if !items(container, "/securityContext/capabilities/drop").iter().any(|c| c.as_str() == Some("ALL")) {
            out.push(format!("{path}.securityContext.capabilities.drop must hold ALL"));
        }
        for capability in
            items(container, "/securityContext/capabilities/add").iter().filter_map(Value::as_str)
        {
            if capability != "NET_BIND_SERVICE" && CAPABILITIES.contains(&capability) {
                out.push(format!("{path}.securityContext.capabilities.add: {capability} is not allowed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value, level: Level, want: &[&str]) {
        let found = violations(&HostObj(json!({ "spec": spec })), level);
        for part in want {
            assert!(found.iter().any(|f| f.contains(part)), "{part} not in {found:?}");
        }
        assert_eq!(found.is_empty(), want.is_empty(), "{found:?}");
    }

    /// SY-53, its pure part: levels and what they refuse.
    #[test]
    fn translate_sy53_levels() {
        let hard = json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"}});
        check(json!({"containers": [{"securityContext": {"privileged": true}}]}), Level::Privileged, &[]);
        check(
            json!({"containers": [{"securityContext": {"privileged": true}}]}),
            Level::Baseline,
            &["privileged"],
        );
        check(json!({"containers": [{}]}), Level::Baseline, &[]);
        check(
            json!({"hostNetwork": true, "containers": [{"ports": [{"hostPort": 80}]}]}),
            Level::Baseline,
            &["hostNetwork", "ports[0].hostPort"],
        );
        check(
            json!({"containers": [{"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}]}),
            Level::Baseline,
            &["NET_ADMIN"],
        );
        check(
            json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}], "seccompProfile": {"type": "Unconfined"},
            "seLinuxOptions": {"role": "x", "type": "spc_t"}}}),
            Level::Baseline,
            &["sysctls[0]", "seccompProfile", "seLinuxOptions.role", "seLinuxOptions.type"],
        );
        check(json!({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}), Level::Baseline, &["hostPath"]);
        check(
            json!({"containers": [{}]}),
            Level::Restricted,
            &["runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile", "capabilities.drop"],
        );
        check(json!({"containers": [{"securityContext": hard}]}), Level::Restricted, &[]);
        check(
            json!({"volumes": [{"name": "n", "nfs": {}}], "containers": [{"securityContext": hard}]}),
            Level::Restricted,
            &["volumes[0].nfs"],
        );
        assert_eq!(Level::of("nonsense"), Level::Restricted);
    }
}
