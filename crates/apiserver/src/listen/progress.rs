//! A request body that must make progress (Q5).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::BoxError;

const PATIENCE: Duration = Duration::from_secs(30);

/// The body stood still for too long.
#[derive(Debug, thiserror::Error)]
#[error("the request body made no progress for {} seconds", PATIENCE.as_secs())]
pub struct Stalled;

/// Ends in [`Stalled`] when nothing comes for thirty seconds.
pub struct Progress {
    inner: Incoming,
    timer: Pin<Box<Sleep>>,
}

impl Progress {
    /// Over a body.
    pub fn new(inner: Incoming) -> Self {
        Self { inner, timer: Box::pin(tokio::time::sleep(PATIENCE)) }
    }
}

impl http_body::Body for Progress {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.timer.as_mut().reset(Instant::now() + PATIENCE);
                Poll::Ready(frame.map(|f| f.map_err(Into::into)))
            }
            Poll::Pending => match this.timer.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Stalled.into()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
