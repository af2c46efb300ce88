//! Who is asking: client certificates, bound tokens, credentials.
