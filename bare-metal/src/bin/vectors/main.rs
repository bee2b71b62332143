//! The verifier as an engine for the test vectors, on a Cortex-M4: the host is its network, its storage
//! and its clock (`bare-metal/messages`), and everything that is decided is decided here.
#![no_std]
#![no_main]

extern crate alloc;

mod ecu;
mod host;
mod line;
mod tuf;

use alloc::boxed::Box;
use core::panic::PanicInfo;

use cortex_m as _; // its critical sections, for the allocator
use cortex_m_rt::{entry, heap_start};
use countersign_bare_metal_messages::{Order, Outcome, Refusal};
use countersign_verifier::Reject;
use embedded_alloc::LlffHeap;
use semihosting::process::exit;

use crate::ecu::SmallEcu;
use crate::host::Host;
use crate::tuf::TufClient;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// The rest of the 16 MiB is the stack's.
const HEAP_SIZE: usize = 15 << 20;

/// Exit codes of the emulator: the host is gone; the firmware panicked.
const HOST_GONE: i32 = 0;
const PANICKED: i32 = 101;

/// Who this is, until the next case.
enum Role {
    Nobody,
    Tuf(TufClient),
    Ecu(Box<SmallEcu>),
}

#[entry]
fn main() -> ! {
    // SAFETY: this is the first thing that runs, and memory.x leaves this much behind the statics.
    #[allow(unsafe_code)]
    unsafe {
        HEAP.init(heap_start() as usize, HEAP_SIZE);
    }
    let mut host = Host::open();
    let mut role = Role::Nobody;
    while let Some(order) = host.order() {
        let outcome = obey(order, &mut role, &mut host);
        host.done(outcome);
    }
    exit(HOST_GONE)
}

fn obey(order: Order, role: &mut Role, host: &mut Host) -> Outcome {
    match (order, role) {
        (Order::Tuf { root }, role) => {
            *role = Role::Tuf(TufClient::provisioned(root, host));
            Outcome::default()
        }
        (Order::Ecu(ecu), role) => match SmallEcu::provisioned(ecu, host) {
            Ok(ecu) => {
                *role = Role::Ecu(Box::new(ecu));
                Outcome::default()
            }
            Err(reject) => refused(&reject),
        },
        (Order::Refresh { now }, Role::Tuf(client)) => client.download(now, &[], host),
        (Order::Download { now, names }, Role::Tuf(client)) => client.download(now, &names, host),
        (Order::Cycle(cycle), Role::Ecu(ecu)) => ecu.cycle(cycle, host),
        (Order::Install { now, image }, Role::Ecu(ecu)) => ecu.install(now, image),
        _ => refused(&line::misuse("this order is for somebody else")),
    }
}

/// A refusal as the host compares it.
fn refused(reject: &Reject) -> Outcome {
    let refusal = Refusal {
        code: reject.code.number(),
        role: reject.role.clone(),
        repository: reject.repository.clone(),
        attack: reject.attack().name().into(),
        cause: reject.cause.as_ref().map(|cause| cause.code.number()),
        detail: reject.detail.clone(),
    };
    Outcome {
        refusal: Some(refusal),
        ..Outcome::default()
    }
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    exit(PANICKED)
}
