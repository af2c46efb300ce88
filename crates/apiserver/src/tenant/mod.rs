//! Tenants: ids, resolution from a request head, life cycle.
