//! What controllers share: guarded apply, backoff, endpoints, the isolation set.
