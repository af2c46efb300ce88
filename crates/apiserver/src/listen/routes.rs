//! Further paths of the hub, answered by whoever builds the server (H4).

use std::sync::Arc;

use futures::future::BoxFuture;
use http::{Request, Response};

use super::Body;
use crate::identity::Identity;

/// Answers requests below a prefix. The identity is proven; what it may do is the handler's to decide.
pub type Handler = dyn Fn(Identity, Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync;

/// Prefixes with their handlers.
#[derive(Default)]
pub struct Routes(Vec<(String, Arc<Handler>)>);

impl Routes {
    /// Adds a prefix, as `/fleet/v1`.
    pub fn add(&mut self, prefix: String, handler: Arc<Handler>) {
        self.0.push((prefix, handler));
    }

    /// The handler of a path.
    pub fn find(&self, path: &str) -> Option<&Arc<Handler>> {
        let is_below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().find(|(prefix, _)| is_below(prefix)).map(|(_, handler)| handler)
    }
}
