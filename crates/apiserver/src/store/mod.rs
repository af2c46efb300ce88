//! Where objects live: snapshots, group commit, history, base image, backends.
