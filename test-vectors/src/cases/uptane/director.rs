//! What the Director says, and to whom.

use super::expect::WHATEVER;
use crate::cases::Cases;

const ONE: [u64; 4] = [1, 1, 1, 1];
const TWO: [u64; 4] = [1, 2, 2, 2];

pub(super) fn cases(all: &mut Cases) {
    all.vehicle(
        "uptane-director/honest",
        &["Uptane 5.4.4.2"],
        "Both repositories say the same of every image. All of them are assigned, and the ECU installs its own.",
        |case, world| {
            case.cycle(world)
                .is_well(ONE, ONE)
                .assigns(&[("P1", "pcu.img", 5), ("S1", "brake/fw.img", 3)]);
            case.install(world).is_well(WHATEVER, WHATEVER).runs(b"pcu 5\n");
        },
    );
    all.vehicle(
        "uptane-director/another-vehicle",
        &["Uptane 5.2.3.1"],
        "The Director's files of another vehicle are replayed: they name it, and nothing of them is kept.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.release();
            world.name_vehicle("VIN-OF-ANOTHER");
            case.cycle(world).is_refused(
                "vehicle-mismatch",
                "director/timestamp",
                "replay",
                (ONE, ONE),
            );
        },
    );
    all.vehicle(
        "uptane-director/nothing",
        &["Uptane 5.4.4.2"],
        "The Director assigns nothing. That is an answer like any other, and no image is asked for.",
        |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.assign_nothing();
            world.release();
            case.cycle(world).is_well(TWO, WHATEVER).assigns(&[]);
        },
    );
    all.vehicle(
        "uptane-director/rollback-of-targets",
        &["Uptane 5.4.4.6"],
        "An older Targets of the Director, under newer Timestamp and Snapshot.",
        |case, world| {
            world.director.release();
            case.cycle(world).is_well(TWO, ONE);
            world.director.targets().head.version = 1;
            world.director.next_online();
            case.cycle(world).is_refused(
                "snapshot-entry-rollback",
                "director/targets",
                "rollback",
                ([1, 3, 2, 2], ONE),
            );
        },
    );
}
