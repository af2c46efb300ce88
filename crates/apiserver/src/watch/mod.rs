//! Watch streams: initial events, live events, bookmarks, ends (W1-W7).

mod frame;
mod stream;

pub use frame::content_type;
pub use stream::{WatchRequest, stream};
