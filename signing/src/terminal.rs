//! Asking for a secret at the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

/// The longest line that a terminal of Linux hands over, in bytes (N_TTY_BUF_SIZE); so nothing of
/// a secret is left for whoever reads next.
const MAX_LINE: usize = 4096;
const CTRL_C: u8 = 3;

/// Asks on the controlling terminal for a line, which it does not show.
///
/// Ctrl-C ends the process, as it does elsewhere, when the terminal is as it was before.
pub(crate) fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let mut terminal = Hidden::new()?;
    // Labels of tokens and names of files are in it.
    let question: String = question.chars().map(harmless).collect();
    terminal.tty.write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(vec![0; MAX_LINE]);
    let length = terminal.tty.read(&mut line)?;
    terminal.tty.write_all(b"\n")?;
    drop(terminal);
    match line[..length].split_last() {
        Some((b'\n', typed)) => {
            let text = std::str::from_utf8(typed).map_err(io::Error::other)?;
            Ok(Zeroizing::new(text.to_owned()))
        }
        Some((&CTRL_C, _)) => {
            kill_process(getpid(), Signal::INT)?;
            Err(io::ErrorKind::Interrupted.into())
        }
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What a terminal would obey, or turn the order of letters by, is not shown.
fn harmless(letter: char) -> char {
    let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    if letter.is_control() || turns {
        '?'
    } else {
        letter
    }
}

/// The controlling terminal, which shows nothing of what is typed until this is dropped.
struct Hidden {
    tty: File,
    before: Termios,
}

impl Hidden {
    fn new() -> io::Result<Self> {
        let tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&tty)?;
        let mut hidden = before.clone();
        // Signals would end the process before the terminal is put back; instead Ctrl-C ends the
        // line.
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG;
        hidden.local_modes |= LocalModes::ICANON;
        hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(&tty, OptionalActions::Now, &hidden)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}
