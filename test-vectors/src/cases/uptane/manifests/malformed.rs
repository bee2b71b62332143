//! What is no manifest, or no report.

use serde_json::{Value, json};

use super::{Tamper, case, report};
use crate::cases::Cases;
use crate::simulate::{VIN, sign_report};

pub(super) fn malformed(all: &mut Cases) {
    for (name, note, bytes) in [
        ("nothing", "A manifest of no bytes.", &b""[..]),
        ("no-json", "What comes is no JSON.", b"{"),
        ("no-object", "What comes is JSON, and no object.", b"[]"),
        (
            "duplicate-members",
            "A member stands there twice.",
            b"{\"signed\": {}, \"signed\": {}, \"signatures\": []}",
        ),
    ] {
        case(all, name, note, |case, car| {
            case.manifest(VIN, bytes).is_dropped("manifest-malformed");
            car.send(case).is_believed(&[]);
        });
    }
    case(
        all,
        "nested-deeply",
        "Arrays in arrays without end.",
        |case, car| {
            case.manifest(VIN, "[".repeat(100_000).as_bytes())
                .is_dropped("manifest-malformed");
            car.send(case).is_believed(&[]);
        },
    );
    case(
        all,
        "another-type",
        "A signed file of another type in the place of a manifest.",
        |case, car| {
            let said = json!({"_type": "ecu-version-report", "vin": VIN});
            let file = case.made(sign_report(said, "ecu-P1", &car.cache, |_| {}));
            case.manifest(VIN, file.to_string().as_bytes())
                .is_dropped("manifest-malformed");
        },
    );
    case(
        all,
        "calls-itself-a-report",
        "A manifest in order but for its type.",
        |case, car| {
            car.kind = "ecu-version-report";
            car.send(case).is_dropped("manifest-malformed");
        },
    );
    case(
        all,
        "257-reports",
        "More reports than a vehicle has ECUs: 256 are enough for anybody.",
        |case, car| {
            for number in 3..257 {
                let serial = format!("S{number}");
                let said = (report(&serial), "stranger".to_owned());
                car.reports.insert(serial, said);
            }
            car.send(case).is_dropped("manifest-malformed");
        },
    );
    case(
        all,
        "256-reports",
        "As many reports as a vehicle may have, most of them of ECUs that nobody registered.",
        |case, car| {
            for number in 3..256 {
                let serial = format!("S{number}");
                let said = (report(&serial), "stranger".to_owned());
                car.reports.insert(serial, said);
            }
            car.send(case).is_dropped("report-unknown-ecu");
        },
    );
    for (name, note, edit) in REPORTS {
        case(all, name, note, |case, car| {
            car.says("S1", *edit);
            car.send(case).is_dropped("report-signature");
        });
    }
}

const REPORTS: &[Tamper] = &[
    (
        "report-without-counter",
        "A report without a counter.",
        |report| {
            if let Some(members) = report.as_object_mut() {
                members.remove("report_counter");
            }
        },
    ),
    (
        "report-with-a-text-for-a-counter",
        "A counter that is text.",
        |report| report["report_counter"] = json!("1"),
    ),
    (
        "report-with-half-an-image",
        "A report that says of an image what it is called, and not what it is.",
        |report| {
            report["installed_image"] = json!({"filepath": "factory.img"});
        },
    ),
    (
        "report-with-a-long-message",
        "A report whose message has 513 bytes, one more than may be. The bound is ours.",
        |report| {
            report["outcome"] = json!({
                "targets_version": 4, "code": 900, "name": "install-failed", "message": "m".repeat(513),
            });
        },
    ),
    (
        "report-without-image",
        "A report that says nothing of what is installed.",
        |report| {
            if let Some(members) = report.as_object_mut() {
                members.remove("installed_image");
            }
        },
    ),
    (
        "report-of-another-type",
        "A report that calls itself a manifest.",
        |report| report["_type"] = json!("vehicle-version-manifest"),
    ),
    (
        "report-with-a-code-too-large",
        "A report of a refusal whose number nobody could read.",
        |report| {
            let attack = json!({"code": 65_536, "name": "a", "attack": "rollback", "repository": "director", "role": "root"});
            report["attacks_detected"] = json!([attack]);
        },
    ),
    (
        "report-with-too-many-attacks",
        "A report of more attacks than one can hold.",
        |report| {
            let attack = json!({"code": 1, "name": "a", "attack": "rollback", "repository": "director", "role": "root"});
            report["attacks_detected"] = Value::Array(vec![attack; 33]);
        },
    ),
];
