//! What the demo prints: a story of a page, and whether every expectation held.

use std::io::{self, Write};

/// Tells the story and counts what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    chapter: u32,
    held: u32,
    failed: u32,
}

impl Narrator {
    /// A new chapter.
    pub(crate) fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        say(&format!("\n{}. {title}", self.chapter));
    }

    /// A line of the story.
    pub(crate) fn tell(&self, line: &str) {
        say(&format!("   {line}"));
    }

    /// An attack and what became of it.
    pub(crate) fn verdict(&mut self, attack: &str, expected: &Verdict, found: &Verdict) {
        if expected == found {
            self.held += 1;
            say(&format!(
                "   {attack:<58} {:<22} {}",
                found.name, found.attack
            ));
        } else {
            self.failed += 1;
            say(&format!("!! {attack}"));
            say(&format!("      expected {expected:?}"));
            say(&format!("      found    {found:?}"));
        }
    }

    /// Something that must hold.
    pub(crate) fn check(&mut self, what: &str, holds: bool) {
        if holds {
            self.held += 1;
            self.tell(what);
        } else {
            self.failed += 1;
            say(&format!("!! NOT TRUE: {what}"));
        }
    }

    /// The last line; whether all held.
    pub(crate) fn end(&self) -> bool {
        say(&format!(
            "\n{} expectations held, {} failed.",
            self.held, self.failed
        ));
        self.failed == 0
    }
}

/// The client's verdict: the code's name and the class of attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) attack: String,
}

impl Verdict {
    pub(crate) fn new(name: &str, attack: &str) -> Self {
        Self {
            name: name.into(),
            attack: attack.into(),
        }
    }
}

fn say(line: &str) {
    // A reader who closes the pipe has read enough.
    let _ = writeln!(io::stdout(), "{line}");
}
