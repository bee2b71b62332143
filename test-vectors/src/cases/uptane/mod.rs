//! Uptane: what an ECU makes of a Director and an Image repository, and a Director of an ECU's reports.

mod bounds;
mod bundles;
mod clause;
mod consistency;
mod delegations;
mod director;
mod encryption;
mod expect;
mod formats;
mod freshness;
mod interrupted;
mod manifests;
mod partial;
mod secondaries;
mod signatures;
mod time;

use super::Cases;

pub(super) fn cases(all: &mut Cases) {
    director::cases(all);
    consistency::cases(all);
    bounds::cases(all);
    bundles::cases(all);
    signatures::cases(all);
    formats::cases(all);
    freshness::cases(all);
    time::cases(all);
    partial::cases(all);
    secondaries::cases(all);
    interrupted::cases(all);
    encryption::cases(all);
    delegations::cases(all);
    manifests::cases(all);
}
