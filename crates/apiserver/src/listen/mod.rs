//! TLS, SNI, HTTP/1.1 and 2, connection limits.
