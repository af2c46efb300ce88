//! What may they do: the RBAC index, reviews, bootstrap policy.
