//! Controllers of Services: Endpoints and EndpointSlices.

pub mod endpoints;
