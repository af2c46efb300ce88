//! Carries a virtual cluster's objects to its host, and their status back.
