//! The schema tables as text. Written by `cargo xtask schemas`.

/// Name and text of each table.
pub const FILES: &[(&str, &str)] = &[
    ("admissionregistration_v1.tbl", include_str!("admissionregistration_v1.tbl")),
    ("apiextensions_v1.tbl", include_str!("apiextensions_v1.tbl")),
    ("apiregistration_v1.tbl", include_str!("apiregistration_v1.tbl")),
    ("apps_v1.tbl", include_str!("apps_v1.tbl")),
    ("authentication_v1.tbl", include_str!("authentication_v1.tbl")),
    ("authorization_v1.tbl", include_str!("authorization_v1.tbl")),
    ("autoscaling_v1.tbl", include_str!("autoscaling_v1.tbl")),
    ("autoscaling_v2.tbl", include_str!("autoscaling_v2.tbl")),
    ("batch_v1.tbl", include_str!("batch_v1.tbl")),
    ("certificates_v1.tbl", include_str!("certificates_v1.tbl")),
    ("coordination_v1.tbl", include_str!("coordination_v1.tbl")),
    ("core_v1.tbl", include_str!("core_v1.tbl")),
    ("discovery_v1.tbl", include_str!("discovery_v1.tbl")),
    ("events_v1.tbl", include_str!("events_v1.tbl")),
    ("flowcontrol_v1.tbl", include_str!("flowcontrol_v1.tbl")),
    ("groups.tbl", include_str!("groups.tbl")),
    ("meta_v1.tbl", include_str!("meta_v1.tbl")),
    ("networking_v1.tbl", include_str!("networking_v1.tbl")),
    ("node_v1.tbl", include_str!("node_v1.tbl")),
    ("policy_v1.tbl", include_str!("policy_v1.tbl")),
    ("rbac_v1.tbl", include_str!("rbac_v1.tbl")),
    ("resource_v1.tbl", include_str!("resource_v1.tbl")),
    ("scheduling_v1.tbl", include_str!("scheduling_v1.tbl")),
    ("storage_v1.tbl", include_str!("storage_v1.tbl")),
];
