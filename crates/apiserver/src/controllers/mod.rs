//! Controllers that run inside the server, a folder each.
