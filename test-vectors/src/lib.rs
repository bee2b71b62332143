//! Conformance vectors for TUF clients: generator, format and runner
