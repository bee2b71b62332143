//! What a Director makes of vehicle version manifests (Uptane 5.3.2.1).

mod malformed;
mod signed;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cases::{Cases, Draft};
use crate::format::{RegisteredEcu, Vehicle, Verdict};
use crate::simulate::{SignatureCache, TestKey, sha256_hex, sign_report};

const VIN: &str = "VIN-OF-THIS-CAR";

const NOW: &str = "2030-01-01T12:00:00Z";

/// The ECUs of the vehicle: serial, hardware, and the test key that signs its reports.
const ECUS: [(&str, &str, &str); 3] = [
    ("P1", "pcu-a", "ecu-P1"),
    ("S1", "brake-b", "ecu-S1"),
    ("S2", "lamp-c", "ecu-S2"),
];

type Edit = fn(&mut Value);

/// What the vehicle is going to send.
struct Car {
    cache: SignatureCache,
    kind: &'static str,
    vin: String,
    primary: String,
    primary_key: String,
    /// By the serial under which it stands: what it says, and who signs it.
    reports: BTreeMap<String, (Value, String)>,
    /// What is done to the file of a report after it was signed.
    tamper: Vec<(String, Edit)>,
}

impl Car {
    fn new(cache: SignatureCache) -> Self {
        let reports =
            ECUS.map(|(serial, _, key)| (serial.to_owned(), (report(serial), key.into())));
        Self {
            cache,
            kind: "vehicle-version-manifest",
            vin: VIN.into(),
            primary: "P1".into(),
            primary_key: "ecu-P1".into(),
            reports: reports.into(),
            tamper: Vec::new(),
        }
    }

    fn says(&mut self, serial: &str, edit: impl FnOnce(&mut Value)) {
        edit(&mut self.reports.entry(serial.into()).or_default().0);
    }

    /// Every ECU makes a new report.
    fn tick(&mut self) {
        for (report, _) in self.reports.values_mut() {
            let counter = report["report_counter"].as_u64().unwrap_or_default();
            report["report_counter"] = json!(counter + 1);
        }
    }

    fn send<'d>(&self, case: &'d mut Draft) -> &'d mut crate::cases::StepDraft {
        let file = case.made(self.file());
        case.manifest(VIN, file.to_string().as_bytes())
    }

    fn file(&self) -> Result<Value, crate::simulate::SimulateError> {
        let mut reports = serde_json::Map::new();
        for (serial, (said, key)) in &self.reports {
            let file = sign_report(said.clone(), key, &self.cache, |file| {
                for (_, tamper) in self.tamper.iter().filter(|(at, _)| at == serial) {
                    tamper(file);
                }
            })?;
            reports.insert(serial.clone(), file);
        }
        let said = json!({
            "_type": self.kind,
            "vin": self.vin,
            "primary_ecu_serial": self.primary,
            "ecu_version_reports": reports,
        });
        sign_report(said, &self.primary_key, &self.cache, |file| {
            for (_, tamper) in self.tamper.iter().filter(|(at, _)| at.is_empty()) {
                tamper(file);
            }
        })
    }
}

fn report(serial: &str) -> Value {
    json!({
        "_type": "ecu-version-report",
        "ecu_serial": serial,
        "installed_image": {
            "filepath": "factory.img",
            "fileinfo": {"length": 7, "hashes": {"sha256": sha256_hex(b"factory")}},
        },
        "attacks_detected": [],
        "latest_time": NOW,
        "report_counter": 1,
    })
}

fn inventory() -> BTreeMap<String, Vehicle> {
    let vehicle = |serials: &[(&str, &str, &str)]| {
        let ecus = serials.iter().map(|(serial, hardware_id, key)| {
            // The names here are those of Ed25519 keys, which come out of a seed.
            let key = key.parse::<TestKey>().map(|key| key.to_json());
            let ecu = RegisteredEcu {
                hardware_id: (*hardware_id).into(),
                key: key.unwrap_or_default(),
            };
            ((*serial).to_owned(), ecu)
        });
        Vehicle {
            primary: serials[0].0.into(),
            ecus: ecus.collect(),
        }
    };
    let other = [("P7", "pcu-a", "ecu-P7")];
    BTreeMap::from([
        (VIN.to_owned(), vehicle(&ECUS)),
        ("VIN-OF-ANOTHER".to_owned(), vehicle(&other)),
    ])
}

fn case(all: &mut Cases, name: &str, note: &str, build: impl FnOnce(&mut Draft, &mut Car)) {
    let cache = all.cache.clone();
    all.director(
        &format!("director-manifests/{name}"),
        clauses(name),
        note,
        |case| {
            case.inventory = inventory();
            case.clock(NOW);
            build(case, &mut Car::new(cache));
        },
    );
}

/// What a case is about, by its name.
fn clauses(name: &str) -> &'static [&'static str] {
    match name {
        name if name.starts_with("primary-") => &["Uptane 5.3.2.1(3b)"],
        name if name.starts_with("signature-") => &["Uptane 5.4.2.1.1(1)", "Uptane 5.4.2.1.2(1)"],
        "report-with-too-many-attacks" | "attack" => &["Uptane 5.4.2.1.2(3)"],
        "report-without-counter" | "report-with-a-text-for-a-counter" => &["Uptane 5.4.2.1.2(4)"],
        "report-with-half-an-image" | "image-unknown" | "image-that-nobody-lists" => {
            &["Uptane 5.4.2.1.2(2)"]
        }
        "report-of-another-type"
        | "report-with-a-code-too-large"
        | "report-without-image"
        | "report-with-a-long-message" => &["Uptane 5.4.2.1.2(2)"],
        name if name.starts_with("report-") => &["Uptane 5.3.2.1(3c)"],
        "ecu-missing" => &["Uptane 5.3.2.1(3a)"],
        "lower-counter"
        | "equal-counter-other-content"
        | "the-same-again"
        | "an-old-manifest"
        | "counter-that-leaps"
        | "one-says-something-new" => &["Uptane 5.3.2.1(4)"],
        "a-day-old"
        | "more-than-a-day-old"
        | "five-minutes-ahead"
        | "more-than-five-minutes-ahead"
        | "never-told-the-time" => &["Uptane 5.3.2.1(3d)", "Uptane 5.4.2.1.2(4)"],
        "another-vehicle" | "another-primary" | "vehicle-unknown" | "sent-by-another-vehicle" => {
            &["Uptane 5.3.2.1(3)", "Uptane 5.4.2.1.1(2)"]
        }
        _ => &["Uptane 5.3.2.1(3)"],
    }
}

pub(super) fn cases(all: &mut Cases) {
    believed(all);
    signed::signatures(all);
    ecus(all);
    replays(all);
    times(all);
    malformed::malformed(all);
}

impl crate::cases::StepDraft {
    /// It is believed, and these ECUs have said nothing new.
    fn is_believed(&mut self, stale: &[&str]) -> &mut Self {
        let expect = &mut self.step.expect;
        expect.verdict = Verdict::Accept;
        expect.stale = Some(stale.iter().map(ToString::to_string).collect());
        self
    }

    /// It is dropped, and nothing of it is believed.
    fn is_dropped(&mut self, code: &str) -> &mut Self {
        let expect = &mut self.step.expect;
        expect.verdict = Verdict::Reject;
        expect.code = Some(code.into());
        self
    }

    fn tells_of(&mut self, attacks: &[&str]) -> &mut Self {
        self.step.expect.attacks = Some(attacks.iter().map(ToString::to_string).collect());
        self
    }
}

fn believed(all: &mut Cases) {
    case(
        all,
        "honest",
        "Every ECU reports, and every report is signed by its ECU.",
        |case, car| {
            car.send(case).is_believed(&[]).tells_of(&[]);
            car.tick();
            car.send(case).is_believed(&[]);
        },
    );
    case(
        all,
        "image-unknown",
        "An ECU does not know what it runs.",
        |case, car| {
            car.says("S1", |report| report["installed_image"] = json!(null));
            car.send(case).is_believed(&[]);
        },
    );
    case(
        all,
        "image-that-nobody-lists",
        "An ECU runs an image that no repository lists. That is news, and no reason to drop it.",
        |case, car| {
            car.says("S1", |report| {
                report["installed_image"]["filepath"] = json!("homemade.img");
            });
            car.send(case).is_believed(&[]);
        },
    );
    case(all, "attack", "An ECU tells of an attack.", |case, car| {
        car.says("S1", |report| {
            report["attacks_detected"] = json!([{
                "code": 300, "name": "version-rollback", "attack": "rollback",
                "repository": "director", "role": "timestamp",
            }]);
        });
        car.send(case).is_believed(&[]).tells_of(&["S1 rollback"]);
        // It is told of once.
        car.send(case)
            .is_believed(&["P1", "S1", "S2"])
            .tells_of(&[]);
    });
    case(
        all,
        "as-many-attacks-as-may-be",
        "A report of 32 attacks, which is as many as one can hold.",
        |case, car| {
            car.says("S1", |report| {
                let attack = json!({
                    "code": 300, "name": "version-rollback", "attack": "rollback",
                    "repository": "director", "role": "timestamp",
                });
                report["attacks_detected"] = Value::Array(vec![attack; 32]);
            });
            car.send(case).is_believed(&[]);
        },
    );
    case(
        all,
        "outcome-of-several-lines",
        "A report says in several lines what came of the last update.",
        |case, car| {
            car.says("S1", |report| {
                report["outcome"] = json!({
                    "targets_version": 4, "code": 900, "name": "install-failed",
                    "message": "it said:\n\t\"no\"",
                });
            });
            car.send(case).is_believed(&[]);
        },
    );
    case(
        all,
        "unknown-members",
        "A report has members that nobody knows. They are signed over, and harm nothing.",
        |case, car| {
            car.says("S1", |report| report["x-temperature"] = json!(21));
            car.send(case).is_believed(&[]);
        },
    );
}

type Tamper = (&'static str, &'static str, Edit);

fn ecus(all: &mut Cases) {
    case(
        all,
        "ecu-missing",
        "An ECU of the vehicle does not report.",
        |case, car| {
            car.reports.remove("S2");
            car.send(case).is_dropped("report-missing");
        },
    );
    case(
        all,
        "primary-does-not-report",
        "The Primary does not report for itself.",
        |case, car| {
            car.reports.remove("P1");
            car.send(case).is_dropped("report-missing");
        },
    );
    case(
        all,
        "ecu-unknown",
        "An ECU reports that this vehicle does not have.",
        |case, car| {
            car.reports
                .insert("S9".into(), (report("S9"), "ecu-S9".into()));
            car.send(case).is_dropped("report-unknown-ecu");
        },
    );
    case(
        all,
        "ecu-of-another-vehicle",
        "An ECU of another vehicle reports, signed by itself.",
        |case, car| {
            car.reports
                .insert("P7".into(), (report("P7"), "ecu-P7".into()));
            car.send(case).is_dropped("report-unknown-ecu");
        },
    );
    case(
        all,
        "report-about-another-ecu",
        "The report that stands under one ECU is about another one.",
        |case, car| {
            car.says("S1", |report| report["ecu_serial"] = json!("S2"));
            car.send(case).is_dropped("report-mismatch");
        },
    );
    case(
        all,
        "another-primary",
        "A Secondary says that it is the Primary, and signs.",
        |case, car| {
            car.primary = "S1".into();
            car.primary_key = "ecu-S1".into();
            car.send(case).is_dropped("ecu-not-primary");
        },
    );
    case(
        all,
        "another-vehicle",
        "A vehicle sends the manifest of another one.",
        |case, car| {
            car.vin = "VIN-OF-ANOTHER".into();
            car.send(case).is_dropped("vehicle-mismatch");
        },
    );
    case(
        all,
        "sent-by-another-vehicle",
        "A vehicle's manifest is sent by another one.",
        |case, car| {
            let file = case.made(car.file());
            case.manifest("VIN-OF-ANOTHER", file.to_string().as_bytes())
                .is_dropped("vehicle-mismatch");
        },
    );
    case(
        all,
        "vehicle-unknown",
        "A vehicle that is not registered.",
        |case, car| {
            let file = case.made(car.file());
            case.manifest("VIN-OF-NOBODY", file.to_string().as_bytes())
                .is_dropped("vehicle-unknown");
        },
    );
}

fn replays(all: &mut Cases) {
    case(
        all,
        "the-same-again",
        "The same manifest once more, because its answer was lost. It is answered as before.",
        |case, car| {
            car.send(case).is_believed(&[]);
            car.send(case).is_believed(&["P1", "S1", "S2"]);
        },
    );
    case(
        all,
        "one-says-something-new",
        "One ECU says something new, and the others' last reports are sent once more.",
        |case, car| {
            car.send(case).is_believed(&[]);
            car.says("S1", |report| report["report_counter"] = json!(2));
            car.send(case).is_believed(&["P1", "S2"]);
        },
    );
    case(
        all,
        "lower-counter",
        "A report with a lower counter than the last one: an old one is replayed.",
        |case, car| {
            car.tick();
            car.send(case).is_believed(&[]);
            car.says("S1", |report| report["report_counter"] = json!(1));
            car.send(case).is_dropped("report-replayed");
        },
    );
    case(
        all,
        "equal-counter-other-content",
        "Another report under a counter that was used.",
        |case, car| {
            car.send(case).is_believed(&[]);
            car.says("S1", |report| report["installed_image"] = json!(null));
            car.send(case).is_dropped("report-replayed");
        },
    );
    case(
        all,
        "an-old-manifest",
        "A whole manifest of before is replayed.",
        |case, car| {
            let old = case.made(car.file());
            car.send(case).is_believed(&[]);
            car.tick();
            car.send(case).is_believed(&[]);
            case.manifest(VIN, old.to_string().as_bytes())
                .is_dropped("report-replayed");
        },
    );
    case(
        all,
        "counter-that-leaps",
        "A counter leaps: reports were lost on the way.",
        |case, car| {
            car.send(case).is_believed(&[]);
            car.says("S1", |report| report["report_counter"] = json!(1_000_000));
            car.send(case).is_believed(&["P1", "S2"]);
        },
    );
}

fn times(all: &mut Cases) {
    for (name, note, time, code) in [
        (
            "a-day-old",
            "A report of exactly a day ago.",
            "2029-12-31T12:00:00Z",
            None,
        ),
        (
            "more-than-a-day-old",
            "A report of more than a day ago is no news.",
            "2029-12-31T11:59:59Z",
            Some("report-expired"),
        ),
        (
            "five-minutes-ahead",
            "An ECU's clock is five minutes ahead.",
            "2030-01-01T12:05:00Z",
            None,
        ),
        (
            "more-than-five-minutes-ahead",
            "A report out of the future.",
            "2030-01-01T12:05:01Z",
            Some("report-ahead"),
        ),
        (
            "never-told-the-time",
            "An ECU that was never told the time reports of 1970.",
            "1970-01-01T00:00:00Z",
            Some("report-expired"),
        ),
    ] {
        case(all, name, note, |case, car| {
            car.says("S1", |report| report["latest_time"] = json!(time));
            let step = car.send(case);
            match code {
                None => step.is_believed(&[]),
                Some(code) => step.is_dropped(code),
            };
        });
    }
}
