//! One token that tells every task of the process to end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells tasks to end. Cloning gives another handle to the same token.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A token that nothing has triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the end.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether the end has begun.
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the end.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// The token itself, for code that takes one.
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }

    /// A token that ends with this one, and can end before it.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Triggers on SIGTERM and SIGINT; returns which one it was, or when something else triggered.
    pub async fn on_signals(&self) -> std::io::Result<Option<&'static str>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let name = tokio::select! {
            _ = terminate.recv() => Some("SIGTERM"),
            _ = interrupt.recv() => Some("SIGINT"),
            () = self.wait() => None,
        };
        self.trigger();
        Ok(name)
    }
}
