//! What time it is, on the word of a time server.

use serde_json::json;

use super::expect::{NOTHING_YET, ONE, Versions, WHATEVER};
use crate::cases::{Cases, Draft, StepDraft};
use crate::simulate::{Keys, NONCE, World};

const NOON: &str = "2030-01-01T12:00:00Z";
const LATER: &str = "2030-01-02T12:00:00Z";
const OTHER_NONCE: &str = "f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8";

/// A cycle in which the time server's answer to `nonces` is given. [`NONCE`] among them stands for the one
/// that the ECU has drawn for this cycle: no two are the same.
fn attested<'d>(
    case: &'d mut Draft,
    world: &mut World,
    (time, nonces, by): (&str, &[&str], &str),
) -> &'d mut StepDraft {
    let drawn = format!("{:02x}", 7 + case.steps()).repeat(16);
    let nonces: Vec<&str> = nonces
        .iter()
        .map(|nonce| {
            if *nonce == NONCE {
                drawn.as_str()
            } else {
                nonce
            }
        })
        .collect();
    let attestation = case.made(world.attest(time, &nonces, by));
    case.cycle(world).nonce(&drawn).attested(&attestation)
}

/// A case with a time server, whose system clock is wrong by years.
fn case(all: &mut Cases, name: &str, note: &str, build: impl FnOnce(&mut Draft, &mut World)) {
    let name = format!("uptane-time/{name}");
    let spec = [
        "Uptane 5.4(2)",
        "Uptane 5.4.2.2",
        "Uptane 5.4.3.1",
        "Uptane 5.4.4.2(1)",
    ];
    all.vehicle(&name, &spec, note, |case, world| {
        world.keep_time();
        case.clock("2027-07-07T07:07:07Z");
        build(case, world);
    });
}

/// Nothing but the first Root is trusted.
const REFUSED: (Versions, Versions) = (NOTHING_YET, NOTHING_YET);

const GOOD: (&str, &[&str], &str) = (NOON, &[NONCE], "time-1");

pub(super) fn cases(all: &mut Cases) {
    case(
        all,
        "honest",
        "The time server answers this ECU's nonce.",
        |case, world| {
            let attestation = case.made(world.attest(NOON, &[NONCE], "time-1"));
            attested(case, world, GOOD).is_well(ONE, ONE);
            case.install(world)
                .attested(&attestation)
                .is_well(WHATEVER, WHATEVER)
                .runs(b"pcu 5\n");
        },
    );
    case(
        all,
        "among-others",
        "The answer is for many ECUs, and this one's nonce is among them.",
        |case, world| {
            attested(case, world, (NOON, &[OTHER_NONCE, NONCE], "time-1")).is_well(ONE, ONE);
        },
    );
    case(
        all,
        "missing",
        "The Director's Root names a time server, and there is no answer. The system's clock does not count.",
        |case, world| {
            case.cycle(world).nonce(NONCE).is_refused(
                "time-unavailable",
                "director/time",
                "freeze",
                REFUSED,
            );
        },
    );
    case(
        all,
        "another-nonce",
        "An answer to another nonce: an old one is replayed.",
        |case, world| {
            attested(case, world, (NOON, &[OTHER_NONCE], "time-1")).is_refused(
                "time-replayed",
                "director/time",
                "freeze",
                REFUSED,
            );
        },
    );
    case(
        all,
        "no-nonce-drawn",
        "An answer, when this ECU has asked nothing.",
        |case, world| {
            let attestation = case.made(world.attest(NOON, &[NONCE], "time-1"));
            case.cycle(world).attested(&attestation).is_refused(
                "time-replayed",
                "director/time",
                "freeze",
                REFUSED,
            );
        },
    );
    case(
        all,
        "used-twice",
        "The answer of the last cycle is given again, when another nonce was drawn.",
        |case, world| {
            let attestation = case.made(world.attest(NOON, &[NONCE], "time-1"));
            attested(case, world, GOOD).is_well(ONE, ONE);
            case.cycle(world)
                .nonce(OTHER_NONCE)
                .attested(&attestation)
                .is_refused("time-replayed", "director/time", "freeze", (ONE, ONE));
        },
    );
    case(
        all,
        "by-a-stranger",
        "Somebody else signs the time.",
        |case, world| {
            attested(case, world, (NOON, &[NONCE], "stranger")).is_refused(
                "signature-threshold",
                "director/time",
                "arbitrary-software",
                REFUSED,
            );
        },
    );
    case(
        all,
        "by-the-director",
        "The Director's Timestamp key signs the time.",
        |case, world| {
            attested(case, world, (NOON, &[NONCE], "director-timestamp-1")).is_refused(
                "signature-threshold",
                "director/time",
                "arbitrary-software",
                REFUSED,
            );
        },
    );
    case(
        all,
        "below-threshold",
        "Two time servers have to say so, and one has.",
        |case, world| {
            world.director.root().time_server = Some(Keys::new(&["time-1", "time-2"], 2));
            attested(case, world, GOOD).is_refused(
                "signature-threshold",
                "director/time",
                "arbitrary-software",
                REFUSED,
            );
        },
    );
    case(
        all,
        "went-back",
        "An earlier time than was attested before, in answer to this ECU's nonce.",
        |case, world| {
            attested(case, world, (LATER, &[NONCE], "time-1")).is_well(ONE, ONE);
            attested(case, world, GOOD).is_refused(
                "time-went-back",
                "director/time",
                "freeze",
                (ONE, ONE),
            );
        },
    );
    case(
        all,
        "the-same-again",
        "The same time once more, in answer to another nonce, is none that went back.",
        |case, world| {
            attested(case, world, GOOD).is_well(ONE, ONE);
            attested(case, world, GOOD).is_well(ONE, ONE);
        },
    );
    case(
        all,
        "shows-a-freeze",
        "The system's clock is before the Timestamp's expiry, and the attested time is after it.",
        |case, world| {
            world.director.timestamp.expires = "2029-12-31T00:00:00Z".into();
            attested(case, world, GOOD).is_refused(
                "expired",
                "director/timestamp",
                "freeze",
                REFUSED,
            );
        },
    );
    case(
        all,
        "heals-a-wrong-clock",
        "The system's clock is after every expiry, and the attested time is before.",
        |case, world| {
            case.clock("2098-01-01T00:00:00Z");
            world.director.timestamp.expires = LATER.into();
            attested(case, world, GOOD).is_well(ONE, ONE);
        },
    );
    case(
        all,
        "far-future",
        "A stolen time key has told a far future, in which the Director's Root has expired. No later time than that expiry is \
         kept: under a newer Root the true time counts again.",
        |case, world| {
            world.director.root().head.expires = "2030-06-01T00:00:00Z".into();
            attested(case, world, GOOD).is_well(ONE, ONE);
            let future = ("2099-12-31T23:59:58Z", &[NONCE][..], "time-1");
            attested(case, world, future).is_refused(
                "expired",
                "director/root",
                "freeze",
                (ONE, ONE),
            );
            attested(case, world, (LATER, &[NONCE], "time-1")).is_refused(
                "time-went-back",
                "director/time",
                "freeze",
                (ONE, ONE),
            );
            world
                .director
                .next_root(|root| root.head.expires = "2099-12-31T23:59:59Z".into());
            let truth = ("2030-06-01T00:00:01Z", &[NONCE][..], "time-1");
            attested(case, world, truth).is_well([2, 1, 1, 1], ONE);
        },
    );
    case(
        all,
        "stolen-key-and-recovery",
        "A stolen time key has told a time years ahead, in which nothing has expired yet. With other time keys in the Root, it is forgotten.",
        |case, world| {
            attested(case, world, GOOD).is_well(ONE, ONE);
            attested(case, world, ("2099-12-31T23:59:58Z", &[NONCE], "time-1")).is_well(ONE, ONE);
            attested(case, world, (LATER, &[NONCE], "time-1")).is_refused(
                "time-went-back",
                "director/time",
                "freeze",
                (ONE, ONE),
            );
            world
                .director
                .next_root(|root| root.time_server = Some(Keys::new(&["time-2"], 1)));
            attested(case, world, (LATER, &[NONCE], "time-2")).is_well([2, 1, 1, 1], ONE);
        },
    );
    case(
        all,
        "revoked-key",
        "The time server's key was replaced, and the old one signs.",
        |case, world| {
            attested(case, world, GOOD).is_well(ONE, ONE);
            world
                .director
                .next_root(|root| root.time_server = Some(Keys::new(&["time-2"], 1)));
            attested(case, world, (LATER, &[NONCE], "time-1")).is_refused(
                "signature-threshold",
                "director/time",
                "arbitrary-software",
                ([2, 1, 1, 1], ONE),
            );
        },
    );
    case(
        all,
        "another-type",
        "The time server's key has signed something else, which has a time and this nonce in it.",
        |case, world| {
            let said = json!({"_type": "targets", "time": NOON, "nonces": [NONCE]});
            let attestation = case.made(world.signed(said, "time-1"));
            case.cycle(world)
                .nonce(NONCE)
                .attested(&attestation)
                .is_refused("malformed", "director/time", "none", REFUSED);
        },
    );
    for (name, note, said) in MALFORMED {
        case(all, name, note, |case, world| {
            let mut attestation = case.made(world.attest(NOON, &[NONCE], "time-1"));
            let text = String::from_utf8_lossy(&attestation).replacen(said.0, said.1, 1);
            attestation = text.into_bytes();
            let (code, attack) = said.2;
            case.cycle(world)
                .nonce(NONCE)
                .attested(&attestation)
                .is_refused(code, "director/time", attack, REFUSED);
        });
    }
    all.vehicle(
        "uptane-time/no-time-server",
        &["Uptane 5.4.4.2(1)"],
        "The Director's Root names no time server: the ECU's own clock counts.",
        |case, world| {
            world.director.timestamp.expires = NOON.into();
            case.cycle(world)
                .is_well(ONE, ONE)
                .at("2030-01-01T11:59:59Z");
            world.release();
            case.cycle(world)
                .is_refused("expired", "director/timestamp", "freeze", (ONE, ONE))
                .at(NOON);
        },
    );
}

type Change = (&'static str, &'static str, (&'static str, &'static str));

const MALFORMED: &[(&str, &str, Change)] = &[
    (
        "changed",
        "The time was changed after it was signed.",
        (
            "2030-01-01T12",
            "2030-01-01T13",
            ("signature-threshold", "arbitrary-software"),
        ),
    ),
    (
        "no-json",
        "What comes in the place of an attestation is no JSON.",
        ("{\"sig", "{{\"sig", ("malformed", "none")),
    ),
];
