//! `mutation-check`: whether the conformance vectors notice every check of the verifier.
//!
//! Each check in `countersign-verifier` and `countersign-metadata` is taken away, one at a time, and
//! all vectors are run in process. At least one of them must fail. A check that can go without any
//! vector noticing is a missing vector: another implementation that has forgotten it would pass.
//!
//! ```sh
//! cargo run -p countersign-mutation-check                        # all of them
//! cargo run -p countersign-mutation-check -- --only search/vote.rs
//! cargo run -p countersign-mutation-check -- --list
//! ```
//!
//! # How
//!
//! The workspace is copied to `target/mutation-check/tree`, vectors and all. In the copy, every check
//! gets a switch with a number (`rewrite`), so that one build serves for all mutants; which one is on,
//! the environment variable `COUNTERSIGN_MUTANT` says. What is written into the sources stands on the
//! lines that are there already, so that line numbers hold. Without a mutant all vectors have to pass
//! in the copy too, before anything is concluded from it. A mutant is put to the case first that noticed it
//! last time (`memory`), and to all of them if that one no longer does.
//!
//! # What a mutant is
//!
//! | rule | where | what becomes of it |
//! | --- | --- | --- |
//! | `if` | a condition under which something is refused or left | never holds; where it is left without a refusal, also: always holds |
//! | `match` | `match CONDITION { true => .., false => .. }`, one of which refuses | the other one is taken |
//! | `guard` | the guard of an arm of `match` | never holds; unless the arm refuses, also: always holds |
//! | `statement` | `check(..)?;`, called for its refusal | is passed over |
//! | `function` | a function that returns `Result<(), _>` | is content at once |
//! | `bool` | a function that returns `bool` | says `true`; says `false` |
//! | `closure` | what `filter`, `any`, `find` and the like ask | always holds; never holds |
//! | `then` | `CONDITION.then_some(..)` | always holds |
//! | `assign` | `all &= CONDITION`, `any \|= CONDITION` | changes nothing |
//! | `operand` | one part of `a && b` or of `a \|\| b` | does not count |
//! | `boundary` | `<`, `<=`, `>`, `>=`, and the ends of a range | equal falls on the other side |
//! | `unreached` | a refusal that depends on a pattern, or on another error | panics: does any vector come here at all? |
//!
//! Refusals with `misuse` are left out of the last one: they blame the program that drives a session, and
//! a vector is about what a repository serves. Inside macros nothing is looked at.
//!
//! A mutant is known by its file, its function, its rule and the text of its condition, and stays so
//! while lines move.
//!
//! # What nobody can notice
//!
//! `unnoticed.toml` lists mutants that no vector can notice, each with the reason: a second line of
//! defence behind another check, or a question of speed. An entry that is noticed after all, or that
//! names no mutant any more, fails the run, so the list stays true. `skip.toml` lists places where a
//! switch would not compile.
#![forbid(unsafe_code)]

mod cli;
mod lists;
mod memory;
mod mutant;
mod report;
mod rewrite;
mod sources;
mod trial;
mod work;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    match cli::run(&arguments) {
        Ok(report) => {
            // A reader that went away, such as `head`, is no reason to complain.
            let _ = std::io::stdout().write_all(report.text.as_bytes());
            ExitCode::from(u8::from(!report.good))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mutation-check: {error}");
            ExitCode::from(2)
        }
    }
}
