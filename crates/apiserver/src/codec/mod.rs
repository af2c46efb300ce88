//! Readers and writers of bodies: strict JSON and YAML, table-driven protobuf, Table and partial projections, gzip.
