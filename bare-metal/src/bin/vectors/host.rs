//! The line to the host: frames over semihosting.

use alloc::vec;

use countersign_bare_metal_messages::{
    Answer, FROM_BOARD, Order, Outcome, Question, TO_BOARD, frame_length, from_frame, to_frame,
};
use semihosting::fs::File;
use semihosting::io::{self, Read, Write};
use semihosting::process::exit;
use serde::de::DeserializeOwned;

/// Exit code of the emulator: the line to the host broke.
const LINE_BROKE: i32 = 102;

pub(crate) struct Host {
    from: File,
    to: File,
}

impl Host {
    /// The host opens its ends in the same order.
    pub(crate) fn open() -> Self {
        Self {
            from: or_exit(File::open(c"to-board")),
            to: or_exit(File::create(c"from-board")),
        }
    }

    /// The next order; `None` when the host has closed the line.
    pub(crate) fn order(&mut self) -> Option<Order> {
        let mut prefix = [0; 4];
        self.from.read_exact(&mut prefix).ok()?;
        Some(self.rest(prefix))
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, question: &Question) -> Answer {
        self.send(question);
        let mut prefix = [0; 4];
        or_exit(self.from.read_exact(&mut prefix));
        self.rest(prefix)
    }

    /// Ends an order.
    pub(crate) fn done(&mut self, outcome: Outcome) {
        self.send(&Question::Done(outcome));
    }

    fn send(&mut self, question: &Question) {
        let frame = to_frame(question).unwrap_or_else(|| exit(LINE_BROKE));
        or_exit(self.to.write_all(&frame));
    }

    fn rest<T: DeserializeOwned>(&mut self, prefix: [u8; 4]) -> T {
        let length = frame_length(prefix).unwrap_or_else(|| exit(LINE_BROKE));
        let mut body = vec![0; length];
        or_exit(self.from.read_exact(&mut body));
        from_frame(&body).unwrap_or_else(|| exit(LINE_BROKE))
    }
}

fn or_exit<T>(result: io::Result<T>) -> T {
    result.unwrap_or_else(|_| exit(LINE_BROKE))
}

/// The names above are those of the protocol.
const _: () = assert!(same(TO_BOARD, "to-board") && same(FROM_BOARD, "from-board"));

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
