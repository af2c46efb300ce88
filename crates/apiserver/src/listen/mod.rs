//! Sockets, TLS and HTTP: from bytes to a request with its connection's facts, and to the tenant it is for.
//!
//! `accept` → `tls`, `serving` → `resolve` → `front`: authentication, deadline, panics, access log → `crate::request`.

mod accept;
pub mod body;
mod builder;
mod failures;
pub(crate) mod front;
mod progress;
mod resolve;
mod routes;
mod server;
mod serving;
mod tls;

pub use body::{Body, BoxError};
pub use builder::{BuildError, Builder};
pub use routes::Handler;
pub use server::Server;
