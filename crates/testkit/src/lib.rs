//! Builders, scenarios, faulty stores and clients for tests.
