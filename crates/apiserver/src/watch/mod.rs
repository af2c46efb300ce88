//! Watch streams: events, bookmarks, initial lists, the wildcard watch.
