//! What every operation of the registry is told: who asks which tenant for which resource.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::fair::Turn;
use crate::identity::Identity;
use crate::listen::Server;
use crate::model::catalog::Catalog;
use crate::model::gvk::Gvk;
use crate::model::resource::Resource;
use crate::model::status::{ApiStatus, Subject};
use crate::request::{ResourcePath, WriteOptions};
use crate::store::{Key, NsName};
use crate::tenant::Tenant;

/// Warnings gathered while a request runs; each becomes a `Warning: 299` header.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    /// Adds one, once.
    pub fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut all = self.0.lock();
        if !all.contains(&text) {
            all.push(text);
        }
    }

    /// Takes all.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// One operation on one resource.
#[derive(Clone)]
pub struct Call<'a> {
    /// The process.
    pub server: &'a Arc<Server>,
    /// The tenant.
    pub tenant: &'a Arc<Tenant>,
    /// Who asks.
    pub who: &'a Identity,
    /// Namespace, name and subresource asked for.
    pub target: ResourcePath,
    /// The row asked for.
    pub resource: Arc<Resource>,
    /// What the tenant served when the request began.
    pub catalog: Arc<Catalog>,
    /// Warnings for the answer.
    pub warnings: &'a Warnings,
    /// Its turn: the seat is given back for what takes time.
    pub turn: &'a Turn,
    /// `User-Agent`, of which the default field manager is made.
    pub agent: &'a str,
}

impl Call<'_> {
    /// Where an object of this resource lies.
    pub fn key(&self, namespace: &str, name: &str) -> Key {
        let namespace = if self.resource.namespaced { namespace } else { "" };
        Key { resource: self.resource.id.clone(), name: NsName::new(namespace, name) }
    }

    /// What refusals are about.
    pub fn subject<'s>(&'s self, name: &'s str) -> Subject<'s> {
        Subject { group: &self.resource.gvk.group, plural: &self.resource.plural, name }
    }

    /// The kind asked for.
    pub fn gvk(&self) -> &Gvk {
        &self.resource.gvk
    }

    /// The subresource's first segment, empty for the main endpoint.
    pub fn subresource(&self) -> &str {
        self.target.subresource.split('/').next().unwrap_or_default()
    }

    /// The manager that a write is booked to: the one named, else the product of the user agent.
    pub fn manager(&self, options: &WriteOptions) -> String {
        if !options.field_manager.is_empty() {
            return options.field_manager.clone();
        }
        let product = self.agent.split('/').next().unwrap_or_default();
        let product: String = product.chars().take(128).collect();
        if product.is_empty() { "unknown".into() } else { product }
    }

    /// A 404 for the object asked for.
    pub fn not_found(&self) -> ApiStatus {
        ApiStatus::not_found(self.subject(&self.target.name))
    }
}

/// What an operation that returns an object gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// HTTP status code.
    pub code: u16,
    /// The object in the version asked for, or a `Status`.
    pub object: Value,
}

impl Outcome {
    /// 200 with an object.
    pub fn ok(object: Value) -> Self {
        Self { code: 200, object }
    }

    /// 201 with an object.
    pub fn created(object: Value) -> Self {
        Self { code: 201, object }
    }
}
