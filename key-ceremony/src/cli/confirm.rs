//! Asking a person to type what is about to happen.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use countersign_ceremony::CeremonyError;
use countersign_repo::visible;

use super::Global;

/// Longest line that is read from the terminal, in bytes.
const MAX_LINE: u64 = 1024;

/// What was typed, or given with `--confirm`. `shown` is printed first if somebody is asked.
pub(super) fn ask(
    global: &Global,
    given: Option<&str>,
    wanted: &str,
    shown: &str,
) -> Result<String, CeremonyError> {
    if let Some(given) = given {
        return Ok(given.into());
    }
    let tell = |text: &str| {
        // If nobody can read this, nobody can confirm it either.
        let _ = io::stderr().write_all(visible::text(text).as_bytes());
    };
    let attended = io::stdin().is_terminal() && io::stderr().is_terminal();
    if global.no_prompt || !attended {
        tell(&format!("{shown}\n"));
        return Err(CeremonyError::NotConfirmed(format!(
            "nobody is at a terminal to confirm, and nothing was signed or recorded. Compare what \
             is shown above with what was agreed, then run this again in a terminal, or with \
             --confirm \"{wanted}\""
        )));
    }
    tell(&format!("{shown}\n\nTo confirm, type: {wanted}\n> "));
    let mut line = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_LINE)
        .read_until(b'\n', &mut line);
    match line.strip_suffix(b"\n") {
        Some(whole) if read.is_ok() => Ok(String::from_utf8_lossy(whole).trim().into()),
        // The end of the input, or a line that goes on: its beginning confirms nothing.
        _ => {
            tell("\n");
            Err(CeremonyError::NotConfirmed(
                "no line was typed to its end, so nothing was signed or recorded. Run this again \
                 to be asked again"
                    .into(),
            ))
        }
    }
}
