//! Says where the memory of each firmware is.

use std::env;

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for firmware in ["vectors", "device"] {
        println!("cargo::rustc-link-arg-bin={firmware}=-L{here}/boards/{firmware}");
        println!("cargo::rustc-link-arg-bin={firmware}=-Tlink.x");
    }
    println!("cargo::rerun-if-changed=boards");
    println!("cargo::rerun-if-changed=build.rs");
}
