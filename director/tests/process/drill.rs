//! What operators go through when things go wrong.
