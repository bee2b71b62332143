//! Ceremonies with the real command: from plan to seal, and everything that may go wrong.
//!
//! | module | what |
//! | --- | --- |
//! | `director` | Roots that name a time server and who signs offline updates |
//! | `flow` | whole ceremonies in tokens, and chains of roots |
//! | `refusals` | the clock, the keys, the holders, the order of steps |
//! | `custody` | keys that are not kept as they should be |
//! | `tampering` | flipped bytes, rewritten histories, transcripts of other people |
//! | `hostile` | files that are not what they should be |
//! | `lies` | leads, holders and sticks that say what is not so |
//! | `kill` | commands that are killed at any point and run again |
//! | `escapes` | what strangers wrote does not steer a terminal |
//! | `folder` | what lies in a ceremony's folder, and writes that fail |
//! | `states` | the state machine by itself, with answers in any order |

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod custody;
mod director;
mod escapes;
mod flow;
mod folder;
mod hostile;
mod kill;
mod lies;
mod refusals;
mod states;
mod tampering;
