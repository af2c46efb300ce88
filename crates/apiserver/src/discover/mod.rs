//! Discovery, aggregated discovery, OpenAPI v2 and v3, version.
