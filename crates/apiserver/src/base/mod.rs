//! The objects every tenant begins with: made once per role and network, shared by all tenants of these (K11).

mod core;
mod flow;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::access::policy;
use crate::config::{Role, TenantSpec};
use crate::identity::TenantKeys;
use crate::kinds::crd;
use crate::model::catalog::Catalog;
use crate::model::gvk::Gvk;
use crate::model::resource::Resource;
use crate::store::{BaseImage, Index, Key, Layer, slot};

/// Slot of the tenant's own client authority.
const CLIENT_CA: &str = "clientCA";
/// Slot of the tenant's creation time, as the store names it.
const CREATED: &str = "created";

/// An object that cannot be part of a base image.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A table of bootstrap objects cannot be read.
    #[error("a table of bootstrap objects cannot be read: {0}")]
    Table(String),
    /// The kind is not built in.
    #[error("{0} is no built-in kind")]
    Kind(Gvk),
    /// A CustomResourceDefinition breaks its own rules.
    #[error("definition {name} is invalid: {why}")]
    Definition {
        /// Its name.
        name: String,
        /// The first objection.
        why: String,
    },
}

/// What images differ by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Variant {
    role: Role,
    service_cidrs: Vec<String>,
    service_ip: Option<IpAddr>,
    addresses: Vec<IpAddr>,
    port: u16,
}

/// Makes base images and the layers of tenants over them.
pub struct BaseImages {
    /// PEM of the authority that signs serving certificates.
    ca: String,
    /// Port of the API, where a specification names none.
    port: u16,
    /// Objects of roles beyond the common ones.
    extra: BTreeMap<Role, Vec<Value>>,
    made: Mutex<BTreeMap<Variant, Arc<BaseImage>>>,
}

impl BaseImages {
    /// With the serving authority's PEM, the API's port, and further objects by role. All roles are built once, so that
    /// nothing can fail later.
    pub fn new(ca: String, port: u16, extra: BTreeMap<Role, Vec<Value>>) -> Result<Self, BaseError> {
        let images = Self { ca, port, extra, made: Mutex::default() };
        for role in [Role::Tenant, Role::Hub, Role::Host] {
            images.objects(&images.variant(role, &[String::from("10.96.0.0/12")], None, &[], 0))?;
        }
        Ok(images)
    }

    fn variant(
        &self,
        role: Role,
        cidrs: &[String],
        service_ip: Option<IpAddr>,
        addresses: &[IpAddr],
        port: u16,
    ) -> Variant {
        let port = if port == 0 { self.port } else { port };
        Variant { role, service_cidrs: cidrs.to_vec(), service_ip, addresses: addresses.to_vec(), port }
    }

    /// The layer of one tenant.
    pub fn layer(&self, spec: &TenantSpec, keys: &TenantKeys, created: &str) -> Layer {
        let to = &spec.kubernetes_service;
        let variant =
            self.variant(spec.role, &spec.service_cidrs, spec.kubernetes_ip(), &to.addresses, to.port);
        Layer {
            base: self.image(variant),
            created: created.to_owned(),
            values: BTreeMap::from([(CLIENT_CA.to_owned(), keys.client.to_pem())]),
        }
    }

    /// Endpoints and EndpointSlice of `default/kubernetes` for a specification, each with its path.
    pub fn endpoints_of(&self, spec: &TenantSpec) -> Vec<(String, Value)> {
        let to = &spec.kubernetes_service;
        let variant =
            self.variant(spec.role, &spec.service_cidrs, spec.kubernetes_ip(), &to.addresses, to.port);
        let path = |object: &Value| match object["kind"].as_str() {
            Some("Endpoints") => Some("/api/v1/namespaces/default/endpoints/kubernetes"),
            Some("EndpointSlice") => {
                Some("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
            }
            _ => None,
        };
        core::kubernetes_service(&variant)
            .into_iter()
            .filter_map(|object| Some((path(&object)?.to_owned(), object)))
            .collect()
    }

    fn image(&self, variant: Variant) -> Arc<BaseImage> {
        let mut made = self.made.lock();
        if let Some(image) = made.get(&variant) {
            return image.clone();
        }
        // Every role was built at the start; a network changes texts only.
        let objects = self.objects(&variant).unwrap_or_default();
        let image = Arc::new(BaseImage::new(objects));
        made.insert(variant, image.clone());
        image
    }

    fn objects(&self, variant: &Variant) -> Result<Vec<(Key, Value, Index)>, BaseError> {
        let mut all = core::namespaces();
        all.extend(core::per_namespace(&self.ca));
        all.extend(core::kubernetes_service(variant));
        all.extend(core::priority_classes());
        all.push(core::authentication(&slot(CLIENT_CA)));
        all.extend(policy::objects().map_err(|e| BaseError::Table(e.to_string()))?);
        all.extend(flow::objects().map_err(|e| BaseError::Table(e.to_string()))?);
        all.push(skerry_api::crds::cluster_property());
        all.extend(self.extra.get(&variant.role).into_iter().flatten().cloned());
        let catalog = Catalog::builtin();
        let mut out = Vec::with_capacity(all.len());
        let mut definitions: Vec<Value> = Vec::new();
        for mut object in all {
            let row = row_of(&catalog, &object)?;
            if &*row.plural == "customresourcedefinitions" {
                establish(&mut object, &definitions)?;
                definitions.push(object.clone());
            }
            if row.generation {
                object["metadata"]["generation"] = 1.into();
            }
            out.push((key_of(&row, &object), object.clone(), index_of(&row, &object)));
        }
        Ok(out)
    }
}

fn row_of(catalog: &Catalog, object: &Value) -> Result<Arc<Resource>, BaseError> {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let gvk = Gvk::from_api_version(text("apiVersion"), text("kind"));
    catalog.by_kind(&gvk).ok_or(BaseError::Kind(gvk))
}

fn key_of(row: &Resource, object: &Value) -> Key {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    Key::new(row.id.clone(), text("namespace"), text("name"))
}

/// Judges a definition and writes the status it would get by being created.
fn establish(definition: &mut Value, others: &[Value]) -> Result<(), BaseError> {
    crd::default(definition);
    crd::establish(definition, others, &slot(CREATED));
    let Some(cause) = crd::validate(definition, None).into_iter().next() else { return Ok(()) };
    let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Err(BaseError::Definition { name, why: format!("{}: {}", cause.field, cause.message) })
}

fn index_of(row: &Resource, object: &Value) -> Index {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    Index {
        labels: labels.filter_map(|(k, v)| Some((k.as_str().into(), v.as_str()?.into()))).collect(),
        fields: row.selectable.iter().map(|s| (s.path.clone(), s.value(object))).collect(),
        ..Index::default()
    }
}

#[cfg(test)]
mod tests;
