//! Requests that come to nothing: a cycle that broke off is no harm, and the next one goes on.

use super::expect::{ONE, TWO, Versions, WHATEVER};
use crate::cases::Cases;

pub(super) fn cases(all: &mut Cases) {
    let files: [(&str, &str, Versions, Versions); 9] = [
        ("director/metadata/2.root.json", "director/root", ONE, ONE),
        (
            "director/metadata/timestamp.json",
            "director/timestamp",
            ONE,
            ONE,
        ),
        (
            "director/metadata/2.snapshot.json",
            "director/snapshot",
            [1, 2, 1, 1],
            ONE,
        ),
        (
            "director/metadata/2.targets.json",
            "director/targets",
            [1, 2, 2, 1],
            ONE,
        ),
        ("image/metadata/2.root.json", "image/root", TWO, ONE),
        ("image/metadata/timestamp.json", "image/timestamp", TWO, ONE),
        (
            "image/metadata/2.snapshot.json",
            "image/snapshot",
            TWO,
            [1, 2, 1, 1],
        ),
        (
            "image/metadata/2.targets.json",
            "image/targets",
            TWO,
            [1, 2, 2, 1],
        ),
        ("image/metadata/2.supplier.json", "image/supplier", TWO, TWO),
    ];
    for (path, place, director, image) in files {
        let name = format!("uptane-interrupted/{}", place.replace('/', "-"));
        let note = format!("The server answers nothing but an error for the {place} file, once.");
        let spec = ["Uptane 5.4.4(1)"];
        all.vehicle(&name, &spec, &note, |case, world| {
            case.cycle(world).is_well(ONE, ONE);
            world.image.role("supplier").head.version = 2;
            world.release();
            case.cycle(world).status(path, 503).is_refused(
                "fetch-failed",
                place,
                "none",
                (director, image),
            );
            case.cycle(world).is_well(TWO, TWO);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        });
    }
    all.vehicle(
        "uptane-interrupted/image",
        &["Uptane 5.4.2.4(1)", "Uptane 5.4.4(1)"],
        "The server answers nothing but an error for an image, once.",
        |case, world| {
            let digest = crate::simulate::sha256_hex(b"pcu 5\n");
            case.cycle(world)
                .status(&format!("image/targets/{digest}.pcu.img"), 503)
                .is_refused("fetch-failed", "", "none", (ONE, ONE));
            case.cycle(world).is_well(ONE, ONE);
            case.install(world)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
}
