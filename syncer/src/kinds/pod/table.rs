//! The field tables of 4.1 and 4.2: every field of the API has a row (PO10).

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// `=` copied.
    Copied,
    /// `=R` copied, refused if the host lacks the field.
    Required,
    /// `→`, `!` or `P`: code of its own.
    Handled,
    /// `×` not sent.
    NotSent,
    /// Cannot be carried.
    Unsupported,
}

use Row::{Copied, Handled, NotSent, Required, Unsupported};

/// `PodSpec`.
pub(crate) const POD_SPEC: &[(&str, Row)] = &[
    ("activeDeadlineSeconds", Copied),
    ("affinity", Handled),
    ("automountServiceAccountToken", Handled),
    ("containers", Handled),
    ("dnsConfig", Handled),
    ("dnsPolicy", Handled),
    ("enableServiceLinks", Handled),
    ("ephemeralContainers", NotSent),
    ("hostAliases", Handled),
    ("hostIPC", Handled),
    ("hostNetwork", Handled),
    ("hostPID", Handled),
    ("hostUsers", Handled),
    ("hostname", Copied),
    ("hostnameOverride", Required),
    ("imagePullSecrets", Handled),
    ("initContainers", Handled),
    ("nodeName", Handled),
    ("nodeSelector", Handled),
    ("os", Copied),
    ("overhead", NotSent),
    ("preemptionPolicy", NotSent),
    ("priority", NotSent),
    ("priorityClassName", Handled),
    ("readinessGates", Copied),
    ("resourceClaims", Unsupported),
    ("resources", Required),
    ("restartPolicy", Copied),
    ("runtimeClassName", Handled),
    ("schedulerName", Handled),
    ("schedulingGates", NotSent),
    ("schedulingGroup", Unsupported),
    ("securityContext", Handled),
    ("serviceAccount", Handled),
    ("serviceAccountName", Handled),
    ("setHostnameAsFQDN", Handled),
    ("shareProcessNamespace", Copied),
    ("subdomain", Copied),
    ("terminationGracePeriodSeconds", Copied),
    ("tolerations", Handled),
    ("topologySpreadConstraints", Handled),
    ("volumes", Handled),
    // Of 1.35 alone; `schedulingGroup` came in its place.
    ("workloadRef", Unsupported),
];

/// `PodSecurityContext`; judged as a whole by PO11.
pub(crate) const POD_SECURITY: &[(&str, Row)] = &[
    ("appArmorProfile", Copied),
    ("fsGroup", Copied),
    ("fsGroupChangePolicy", Copied),
    ("runAsGroup", Copied),
    ("runAsNonRoot", Copied),
    ("runAsUser", Copied),
    ("seLinuxChangePolicy", Required),
    ("seLinuxOptions", Copied),
    ("seccompProfile", Copied),
    ("supplementalGroups", Copied),
    ("supplementalGroupsPolicy", Required),
    ("sysctls", Copied),
    ("windowsOptions", Copied),
];

/// `Container`, and what an `EphemeralContainer` has besides.
pub(crate) const CONTAINER: &[(&str, Row)] = &[
    ("args", Copied),
    ("command", Copied),
    ("env", Handled),
    ("envFrom", Handled),
    ("image", Handled),
    ("imagePullPolicy", Copied),
    ("lifecycle", Handled),
    ("livenessProbe", Copied),
    ("name", Copied),
    ("ports", Handled),
    ("readinessProbe", Copied),
    ("resizePolicy", Copied),
    ("resources", Copied),
    ("restartPolicy", Copied),
    ("restartPolicyRules", Required),
    ("securityContext", Copied),
    ("startupProbe", Copied),
    ("stdin", Copied),
    ("stdinOnce", Copied),
    ("terminationMessagePath", Copied),
    ("terminationMessagePolicy", Copied),
    ("tty", Copied),
    ("volumeDevices", Copied),
    ("volumeMounts", Handled),
    ("workingDir", Copied),
];

/// `Volume`: how each type is treated; types by policy only are `Copied` and their references translated.
pub(crate) const VOLUME: &[(&str, Row)] = &[
    ("awsElasticBlockStore", Copied),
    ("azureDisk", Copied),
    ("azureFile", Handled),
    ("cephfs", Handled),
    ("cinder", Handled),
    ("configMap", Handled),
    ("csi", Handled),
    ("downwardAPI", Handled),
    ("emptyDir", Copied),
    ("ephemeral", Handled),
    ("fc", Copied),
    ("flexVolume", Handled),
    ("flocker", Copied),
    ("gcePersistentDisk", Copied),
    ("gitRepo", Unsupported),
    ("glusterfs", Handled),
    ("hostPath", Handled),
    ("image", Handled),
    ("iscsi", Handled),
    ("nfs", Copied),
    ("persistentVolumeClaim", Handled),
    ("photonPersistentDisk", Copied),
    ("portworxVolume", Copied),
    ("projected", Handled),
    ("quobyte", Copied),
    ("rbd", Handled),
    ("scaleIO", Handled),
    ("secret", Handled),
    ("storageos", Handled),
    ("vsphereVolume", Copied),
];

/// The row of a field.
pub(crate) fn row(table: &[(&str, Row)], field: &str) -> Option<Row> {
    table.binary_search_by(|(name, _)| (*name).cmp(field)).ok().map(|n| table[n].1)
}

/// Fields that a host may lack, as schema and member: read from its OpenAPI document (EN5).
pub const REQUIRED_FIELDS: &[(&str, &str)] = &[
    ("PodSpec", "hostnameOverride"),
    ("PodSpec", "hostUsers"),
    ("PodSpec", "resources"),
    ("PodSecurityContext", "seLinuxChangePolicy"),
    ("PodSecurityContext", "supplementalGroupsPolicy"),
    ("Container", "restartPolicyRules"),
    ("EnvVarSource", "fileKeyRef"),
    ("Lifecycle", "stopSignal"),
    ("VolumeMount", "recursiveReadOnly"),
    ("Volume", "image"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [POD_SPEC, POD_SECURITY, CONTAINER, VOLUME] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
