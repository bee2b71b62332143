//! Interoperation with two other implementations of TUF in Rust, both ways.
//!
//! | module | what |
//! | --- | --- |
//! | `tokens`, `keys`, `tree` | tokens in software; keys that both sides use; a published repository on disk |
//! | `our_repo`, `tough_repo`, `by_hand` | who publishes: `countersign-repo`, tough's editor, and files made one by one for odd cases |
//! | `client` and below | who fetches: `countersign-client`, tough, sigstore-tuf, behind one trait |
//! | `ours_to_theirs`, `theirs_to_ours` | what must work |
//! | `ceremonies` | a chain of roots out of ceremonies in tokens |
//! | `drills` | the roots of every compromise drill |
//! | `key_source` | our signers in the hands of tough |
//! | `differences` | what does not work or works differently, each with its reason |

mod by_hand;
mod ceremonies;
mod client;
mod drills;
mod key_source;
mod keys;
mod our_repo;
mod tokens;
mod tough_repo;
mod tree;

mod differences;
mod ours_to_theirs;
mod theirs_to_ours;
