//! `make demo`: one update from key generation in tokens to refused attacks, told as a story.
//! Every step runs the real commands; exit status 1 if anything is not as told.

mod attacks;
mod ceremony;
mod device;
mod drill;
mod forge;
mod narrator;
mod server;
mod stage;
mod story;
mod vehicle;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut narrator = narrator::Narrator::default();
    let told = stage::Stage::set_up().and_then(|stage| {
        vehicle::tokens(&stage)?;
        let told = story::tell(&stage, &mut narrator)?;
        attacks::play(&stage, &mut narrator, &told)?;
        drill::hold(&stage, &mut narrator)?;
        vehicle::drive(&stage, &mut narrator)
    });
    let held = narrator.end();
    match told {
        Ok(()) if held => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
