//! Who has signed a manifest and its reports, and how.

use serde_json::json;

use super::{Tamper, case};
use crate::cases::Cases;
use crate::simulate::sha256_hex;

pub(super) fn signatures(all: &mut Cases) {
    case(
        all,
        "primary-unsigned",
        "The Primary has not signed the manifest.",
        |case, car| {
            car.tamper
                .push((String::new(), |file| file["signatures"] = json!([])));
            car.send(case).is_dropped("manifest-signature");
        },
    );
    for (name, note, key) in [
        (
            "primary-by-a-stranger",
            "Somebody unknown has signed the manifest.",
            "stranger",
        ),
        (
            "primary-by-a-secondary",
            "A Secondary has signed the manifest in the Primary's place.",
            "ecu-S1",
        ),
        (
            "primary-of-another-vehicle",
            "The Primary of another vehicle has signed the manifest.",
            "ecu-P7",
        ),
    ] {
        case(all, name, note, |case, car| {
            car.primary_key = key.into();
            car.send(case).is_dropped("manifest-signature");
        });
    }
    case(
        all,
        "report-unsigned",
        "A Secondary has not signed its report.",
        |case, car| {
            car.tamper
                .push(("S1".into(), |file| file["signatures"] = json!([])));
            car.send(case).is_dropped("report-signature");
        },
    );
    for (name, note, key) in [
        (
            "report-by-a-stranger",
            "Somebody unknown has signed a Secondary's report.",
            "stranger",
        ),
        (
            "report-by-the-primary",
            "The Primary has signed a Secondary's report in its place.",
            "ecu-P1",
        ),
        (
            "report-by-another-secondary",
            "Another Secondary has signed the report.",
            "ecu-S2",
        ),
    ] {
        case(all, name, note, |case, car| {
            car.reports.entry("S1".into()).or_default().1 = key.into();
            car.send(case).is_dropped("report-signature");
        });
    }
    case(
        all,
        "report-changed",
        "The Primary has changed what a Secondary reports.",
        |case, car| {
            car.tamper.push(("S1".into(), |file| {
                file["signed"]["installed_image"]["filepath"] = json!("other.img");
            }));
            car.send(case).is_dropped("report-signature");
        },
    );
    case(
        all,
        "one-bad-report-among-good-ones",
        "After a manifest that was dropped for one report, the same reports are news still: nothing of it was believed.",
        |case, car| {
            car.reports.entry("S1".into()).or_default().1 = "stranger".into();
            car.send(case).is_dropped("report-signature");
            car.reports.entry("S1".into()).or_default().1 = "ecu-S1".into();
            car.send(case).is_believed(&[]);
        },
    );
    for (name, note, tamper) in SIGNATURE_MEMBERS {
        case(all, name, note, |case, car| {
            car.tamper.push(("S1".into(), *tamper));
            car.send(case).is_dropped("report-signature");
        });
        let name = format!("manifest-{name}");
        let note = format!("{note} It is the Primary's, of the manifest.");
        case(all, &name, &note, |case, car| {
            car.tamper.push((String::new(), *tamper));
            car.send(case).is_dropped("manifest-signature");
        });
    }
}

/// Uptane 5.4.2.1 asks for five members of each signature.
const SIGNATURE_MEMBERS: &[Tamper] = &[
    (
        "signature-without-method",
        "A signature does not state its method.",
        |file| {
            if let Some(entry) = file["signatures"][0].as_object_mut() {
                entry.remove("method");
            }
        },
    ),
    (
        "signature-with-another-method",
        "A signature states another method than its key's.",
        |file| {
            file["signatures"][0]["method"] = json!("rsassa-pss-sha256");
        },
    ),
    (
        "signature-without-hash",
        "A signature does not state the hash of what it signs.",
        |file| {
            if let Some(entry) = file["signatures"][0].as_object_mut() {
                entry.remove("hash");
            }
        },
    ),
    (
        "signature-with-another-hash",
        "A signature states the hash of something else.",
        |file| {
            file["signatures"][0]["hash"] = json!(sha256_hex(b"something else"));
        },
    ),
    (
        "signature-with-another-hash-function",
        "A signature states another hash function.",
        |file| {
            file["signatures"][0]["hash_function"] = json!("md5");
        },
    ),
];
