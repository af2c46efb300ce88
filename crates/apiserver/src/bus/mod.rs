//! The in-process client and touch notices.
