//! Uptane: what an ECU makes of a Director and an Image repository.

mod director;
mod expect;

use super::Cases;

pub(super) fn cases(all: &mut Cases) {
    director::cases(all);
}
