//! Whole vehicles: what they install, what they refuse, and how they go on afterwards.

mod attacks;
mod honest;
mod manifest;
mod primary;
mod world;
