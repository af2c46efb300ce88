//! Sockets, TLS and HTTP: from bytes to a request with its connection's facts, and to the tenant it is for.

pub mod body;
mod server;

pub use body::{Body, BoxError};
pub use server::Server;
