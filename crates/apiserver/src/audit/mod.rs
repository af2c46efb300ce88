//! The access log: one line per request, never a body (J3).

use std::time::Duration;

use http::Method;

use crate::identity::Identity;
use crate::request::RequestInfo;
use crate::tenant::{Tenant, TenantId};

/// Target of the lines, to be filtered by.
pub const TARGET: &str = "skerry::access";

/// What is known of a request when it begins. Made only when somebody listens.
pub struct Line(Option<Parts>);

struct Parts {
    tenant: TenantId,
    user: String,
    verb: String,
    resource: String,
}

impl Line {
    /// Of a request to a tenant.
    pub fn new(
        tenant: &Tenant,
        who: &Identity,
        method: &Method,
        path: &str,
        info: Option<&RequestInfo>,
    ) -> Self {
        if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            return Self(None);
        }
        let resource = match info.and_then(|i| i.resource.as_ref()) {
            None => path.to_owned(),
            Some(r) => {
                let mut out = r.plural.clone();
                for (sign, part) in [('.', &r.group), ('/', &r.subresource)] {
                    if !part.is_empty() {
                        out.push(sign);
                        out.push_str(part);
                    }
                }
                out
            }
        };
        let verb = info.map_or_else(|| method.as_str().to_ascii_lowercase(), |i| i.verb.to_owned());
        Self(Some(Parts { tenant: tenant.id, user: who.user.clone(), verb, resource }))
    }

    /// Writes the line.
    pub fn end(self, code: u16, took: Duration) {
        let Some(Parts { tenant, user, verb, resource }) = self.0 else { return };
        let millis = took.as_millis() as u64;
        tracing::info!(target: TARGET, %tenant, user, verb, resource, code, millis);
    }
}
