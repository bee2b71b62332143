//! Uptane: what an ECU makes of a Director and an Image repository, and a Director of an ECU's reports.

mod consistency;
mod delegations;
mod director;
mod encryption;
mod expect;
mod freshness;
mod manifests;
mod partial;
mod signatures;
mod time;

use super::Cases;

pub(super) fn cases(all: &mut Cases) {
    director::cases(all);
    consistency::cases(all);
    signatures::cases(all);
    freshness::cases(all);
    time::cases(all);
    partial::cases(all);
    encryption::cases(all);
    delegations::cases(all);
    manifests::cases(all);
}
