//! A small ECU as its maker would build it: a Root and its own state in flash, a bus to the Primary, and
//! the verifier between them. One run is one update, from the Director's Root to the image in its slot.
//!
//! Flash and bus are files of the emulator's host; on a device they are drivers with the same few calls.
#![no_std]
#![no_main]

extern crate alloc;

mod bus;
mod flash;
mod records;
mod update;

use core::panic::PanicInfo;

use cortex_m as _; // its critical sections, for the allocator
use cortex_m_rt::{entry, heap_start};
use embedded_alloc::LlffHeap;
use semihosting::process::exit;

use crate::bus::Bus;
use crate::flash::Flash;
use crate::update::update;

// [heap]
/// The verifier needs an allocator and nothing else of a system.
#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Between the statics and the stack, which has the rest of the RAM.
const HEAP_SIZE: usize = 28 << 10;
// [end heap]

// [main]
#[entry]
fn main() -> ! {
    // SAFETY: this is the first thing that runs, and memory.x leaves this much behind the statics.
    #[allow(unsafe_code)]
    unsafe {
        HEAP.init(heap_start() as usize, HEAP_SIZE);
    }
    // A new image that got this far works.
    let done = Flash.confirm().and_then(|()| update(&mut Flash, &mut Bus));
    if let Err(reject) = done {
        // What runs goes on running; the Primary tells the Director why.
        Bus.report(&reject);
    }
    exit(0)
}
// [end main]

/// Leaves where it happened for the next start, as a device would before it resets. The message is left
/// out: formatting it costs more code than it is worth here.
#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    if let Some(location) = info.location() {
        Flash.note_panic(location.file(), location.line());
    }
    exit(101)
}
