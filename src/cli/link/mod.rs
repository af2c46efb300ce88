//! The link between an API server and a syncer that run apart: HTTP/1.1 over mutual TLS, dialled by the API server.
//! Calls for addresses carry JSON, streams pass as bytes.
//!
//! | request | what it asks |
//! |---|---|
//! | `POST /link/v1/tenants/<id>/services/reserve` and `/update` | addresses for the Service in the body |
//! | `POST /link/v1/tenants/<id>/services/release` | gives back those of the UID in the body |
//! | `… /link/v1/tenants/<id>/streams`, any method | the stream that the header names: the host's own answer, or 101 |

mod client;
mod server;

pub use client::{Link, LinkError};
pub use server::{API_SERVER, Listen, ListenError, TlsFiles, listen};

/// Before every path.
const ROOT: &str = "/link/v1/tenants/";
/// On an answer that is the syncer's own and no host's: its body is the failure as JSON.
const FAILED: &str = "skerry-link-failed";
/// The request's audit id.
const AUDIT_ID: &str = "audit-id";
/// Where a stream leads, as JSON: the pod, and for `proxy` scheme and port of its server.
const TARGET: &str = "skerry-link-target";
