//! Asking a person to type what is about to happen.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use countersign_ceremony::CeremonyError;

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
        let _ = io::stderr().write_all(text.as_bytes());
    };
    if global.no_prompt || !io::stdin().is_terminal() {
        tell(&format!("{shown}\n"));
        return Err(CeremonyError::NotConfirmed(format!(
            "nobody is at a terminal to confirm, and nothing was signed or recorded. Compare what \
             is shown above with what was agreed, then run this again in a terminal, or with \
             --confirm \"{wanted}\""
        )));
    }
    tell(&format!("{shown}\n\nTo confirm, type: {wanted}\n> "));
    let mut line = String::new();
    let read = io::stdin().lock().take(MAX_LINE).read_line(&mut line);
    match read {
        Ok(length) if length > 0 => Ok(line.trim_end().into()),
        _ => Err(CeremonyError::NotConfirmed(
            "nothing was typed, so nothing was signed or recorded".into(),
        )),
    }
}
