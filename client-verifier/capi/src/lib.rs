#![doc = include_str!("../README.md")]

mod boundary;
mod client;
mod context;
mod ecu;
mod error;
mod handles;
mod image;
mod session;
mod target;
mod trusted;
mod uptane;

use std::ffi::c_char;

pub use boundary::countersign_status;
pub use client::*;
pub use context::{countersign_context, countersign_limits};
pub use ecu::*;
pub use error::*;
pub use image::*;
pub use session::*;
pub use target::*;
pub use trusted::*;
pub use uptane::*;

/// This library's version, such as "0.1.0". The text lives for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// How many handles are out, errors included, in all threads: 0 when everything was freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_live_handles() -> usize {
    boundary::look(0, || Ok(handles::count()))
}
