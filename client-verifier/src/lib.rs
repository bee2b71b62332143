//! Whether to believe TUF metadata: sans-I/O sessions, proof types and the image gate
