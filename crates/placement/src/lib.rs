//! The placement engine: a pure function from inventory and requests to a plan.
