//! Memory beside a list: a store that went back in time, and what a watch has not told (EN23, FM8, FM9).

use super::{Key, Model};
use crate::{
    kind::Kind,
    object::{Fields, HostObj, TenantObj},
};

impl Model {
    /// The host went back in time: what was seen of a kind is compared anew, and what had gone may be back (FM8).
    pub fn rewind_host(&mut self, kind: Kind) {
        for (_, entry) in self.entries.range_mut(Key::new(kind, "", "")..).take_while(|(k, _)| k.kind == kind)
        {
            entry.gone = None;
            entry.settled = None;
            if let Some(seen) = &mut entry.host {
                seen.version = 0;
            }
        }
    }

    /// The tenant's store went back in time (FM9).
    pub fn rewind_tenant(&mut self, kind: Kind) {
        self.newest.remove(&kind);
        for (_, entry) in self.entries.range_mut(Key::new(kind, "", "")..).take_while(|(k, _)| k.kind == kind)
        {
            entry.deleted_at = 0;
            entry.settled = None;
            if let Some(seen) = &mut entry.tenant {
                seen.version = 0;
            }
        }
    }

    /// Whether the host's object is another or a later one than what is known.
    pub fn is_behind_host(&self, key: &Key, object: &HostObj) -> bool {
        let Some(entry) = self.entries.get(key) else { return true };
        entry.gone.as_deref() != Some(object.uid())
            && entry
                .host
                .as_ref()
                .is_none_or(|seen| *seen.uid != *object.uid() || seen.version < object.version())
    }

    /// Whether the tenant's object is another or a later one than what is known.
    pub fn is_behind_tenant(&self, key: &Key, object: &TenantObj) -> bool {
        let Some(entry) = self.entries.get(key) else { return true };
        entry.deleted_at < object.version()
            && entry.tenant.as_ref().is_none_or(|seen| seen.version < object.version())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skerry_api::labels;

    use super::*;
    use crate::engine::model::Gone;

    fn tenant(version: u64) -> TenantObj {
        TenantObj(
            json!({"metadata": {"name": "a", "namespace": "web", "uid": "t", "resourceVersion": version.to_string()}}),
        )
    }

    fn host(version: u64) -> HostObj {
        HostObj(
            json!({"metadata": {"name": "a", "namespace": "sk", "uid": "h", "resourceVersion": version.to_string(),
            "annotations": {labels::ORIGIN_UID: "t"}}}),
        )
    }

    /// FM8, FM9: after a restore lower versions are news, and a UID that was gone may be back; not before.
    #[test]
    fn plan_fm8_what_was_seen_before_a_restore_decides_nothing() {
        let (mut model, key) = (Model::default(), Key::new(Kind::Service, "web", "a"));
        assert!(model.is_behind_tenant(&key, &tenant(9)) && model.is_behind_host(&key, &host(9)));
        assert!(model.tenant_seen(Kind::Service, &tenant(9)).is_some());
        assert!(model.host_seen(&key, &host(9)));
        assert!(!model.is_behind_tenant(&key, &tenant(9)) && !model.is_behind_host(&key, &host(9)));
        assert!(model.is_behind_tenant(&key, &tenant(10)) && model.is_behind_host(&key, &host(10)));
        assert!(model.tenant_seen(Kind::Service, &tenant(5)).is_none());
        assert!(!model.host_seen(&key, &host(5)));
        assert!(model.host_gone(&key, "h", Gone::Certain));
        assert!(!model.host_seen(&key, &host(12)), "a late answer");

        model.rewind_tenant(Kind::Pod);
        model.rewind_host(Kind::Pod);
        assert!(model.tenant_seen(Kind::Service, &tenant(5)).is_none(), "another kind");
        model.rewind_tenant(Kind::Service);
        model.rewind_host(Kind::Service);
        assert!(model.tenant_seen(Kind::Service, &tenant(5)).is_some());
        assert!(model.host_seen(&key, &host(5)), "back from the backup");
    }
}
