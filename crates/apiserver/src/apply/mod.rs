//! Server-side apply and managedFields. Pure.
