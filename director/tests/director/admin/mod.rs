//! The admin API, through its router and without a socket.

mod bodies;
mod certificates;
mod document;
mod doors;
mod fleet;
mod health;
mod images;
mod orders;
