//! Towards hosts: the traits by which pods' streams and Services' addresses reach them. Defined here, implemented
//! by whoever attaches a host; the API server dials no host itself.

mod gate;
mod pass;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::listen::Body;
use crate::model::status::ApiStatus;
use crate::tenant::TenantId;

pub use pass::{PassError, pass};

pub use gate::{GateError, HostAllocation, PortAllocation, ServiceGate, ServiceIntent};

/// Where a tunnel leads, in the tenant's own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A pod. The UID decides: a reused name is refused (T1).
    Pod {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// UID.
        uid: String,
        /// `log`, `exec`, `attach`, `portforward` or `proxy`.
        subresource: String,
    },
    /// A port of a Service.
    Service {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Port, by name or number.
        port: String,
    },
}

/// Head of the request that is passed on.
#[derive(Clone, Debug)]
pub struct TunnelHead {
    /// Method.
    pub method: Method,
    /// What is asked of the pod itself, for `proxy`.
    pub proxy: Proxied,
    /// Query, as the client sent it.
    pub query: String,
    /// `Upgrade`, `Connection`, the stream protocols and `Accept`; never a credential.
    pub headers: HeaderMap,
    /// The request's audit id, which the host's own log may hold too.
    pub audit_id: String,
}

/// A request that a pod's own server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// `http` or `https`; empty for the host's choice.
    pub scheme: String,
    /// Port, by name or number; empty for the pod's first.
    pub port: String,
    /// Body.
    pub body: Bytes,
}

/// A duplex byte stream.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What an open tunnel is.
pub enum TunnelStream {
    /// An ordinary answer, its body streamed: `log`, `proxy`.
    Answer(Response<Body>),
    /// A switched connection: bytes pass in both directions.
    Switched {
        /// Head of the host's 101 answer, to be given to the client.
        head: Response<()>,
        /// The host's side.
        io: Box<dyn Duplex>,
    },
}

impl fmt::Debug for TunnelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "Answer",
            Self::Switched { .. } => "Switched",
        })
    }
}

/// Why no tunnel was opened. No variant carries a host's name or address (T2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    /// No host is attached to the tenant.
    #[error("no host is attached")]
    NoHost,
    /// The host does not answer.
    #[error("the host cannot be reached")]
    Unreachable,
    /// There is no such pod on the host: not yet, no more, or another one under its name.
    #[error("the pod is not running on a host")]
    Gone,
    /// The host failed in words that are not the tenant's to read; they stand in the operator's log.
    #[error("the host failed")]
    Unspeakable,
    /// The host refused, in the tenant's own names.
    #[error("the host refused: {}", .0.message)]
    Refused(ApiStatus),
}

/// Opens streams to pods and Services on hosts.
#[async_trait]
pub trait Tunnel: Send + Sync {
    /// Opens one stream.
    async fn open(&self, tenant: TenantId, to: Target, head: TunnelHead)
    -> Result<TunnelStream, TunnelError>;
}
