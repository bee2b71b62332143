//! The state machine by itself: right, wrong and repeated answers in any order.

use std::sync::OnceLock;

use countersign_ceremony::event::{Event, Line};
use countersign_ceremony::profile::Slot;
use countersign_ceremony::statement::{CustodyFacts, SignedStatement, Statement};
use countersign_ceremony::{Ceremony, Phase, fingerprint, review};
use countersign_metadata::{Key, UtcTime};
use countersign_repo::keys::KeyJson;
use countersign_signing::{Algorithm, KeyUri, Secrets, Signer};
use proptest::prelude::*;

use crate::common::World;

const PLACES: [(&str, &str); 6] = [
    ("root", "anna"),
    ("root", "ben"),
    ("root", "chris"),
    ("targets", "release"),
    ("snapshot", "online"),
    ("timestamp", "online"),
];

/// What is the same in all cases.
struct Stage {
    signers: Vec<Box<dyn Signer>>,
    plan: Line,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let world = World::with_files();
        let secrets = Secrets::unattended(world.path(""));
        let signers = (0..=PLACES.len()).map(|number| {
            let uri: KeyUri = format!("file:{number}.pem?encryption=none")
                .parse()
                .unwrap();
            countersign_signing::generate(&uri, Algorithm::Ed25519, &secrets).unwrap();
            countersign_signing::open(&uri, &secrets).unwrap()
        });
        let signers = signers.collect();
        world.plan("c", &world.profile(2, &["anna", "ben", "chris"]), &[]);
        let text = world.text("lead/c/transcript.jsonl");
        let plan = serde_json::from_str(text.trim_end()).unwrap();
        Stage { signers, plan }
    })
}

/// What may be wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Signed with a key that has no part in it.
    Stranger,
    OtherCeremony,
    /// Signed by the right key, about something else.
    Content,
    ClockAhead,
    ClockBack,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Prove(usize, Fault),
    Review(Fault),
    Sign(usize, Fault),
    Seal(usize, Fault),
    PlanAgain,
    /// The last line again.
    Again,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![
        8 => Just(Fault::None),
        1 => Just(Fault::Stranger),
        1 => Just(Fault::OtherCeremony),
        1 => Just(Fault::Content),
        1 => Just(Fault::ClockAhead),
        1 => Just(Fault::ClockBack),
    ];
    let step = prop_oneof![
        4 => (0..PLACES.len(), fault.clone()).prop_map(|(who, fault)| Step::Prove(who, fault)),
        2 => fault.clone().prop_map(Step::Review),
        4 => (0..PLACES.len(), fault.clone()).prop_map(|(who, fault)| Step::Sign(who, fault)),
        2 => (0..3usize, fault).prop_map(|(who, fault)| Step::Seal(who, fault)),
        1 => Just(Step::PlanAgain),
        1 => Just(Step::Again),
    ];
    // Half of the cases have all keys, so that the later states come up often enough.
    (any::<bool>(), prop::collection::vec(step, 0..24)).prop_map(|(keyed, mut steps)| {
        if keyed {
            let proofs = (0..PLACES.len()).map(|who| Step::Prove(who, Fault::None));
            steps.splice(0..0, proofs.chain([Step::Review(Fault::None)]));
        }
        steps
    })
}

fn slot(who: usize) -> Slot {
    let (role, holder) = PLACES[who];
    Slot {
        role: role.into(),
        holder: holder.into(),
    }
}

fn id_of(who: usize) -> String {
    Key::new(stage().signers[who].public_key())
        .id()
        .as_str()
        .into()
}

/// The line that a step brings.
fn line(ceremony: &Ceremony, last: &Line, step: Step, now: UtcTime) -> Line {
    let (who, fault) = match step {
        Step::Prove(who, fault) | Step::Sign(who, fault) | Step::Seal(who, fault) => (who, fault),
        Step::Review(fault) => (0, fault),
        Step::PlanAgain => return ceremony.next_line(stage().plan.event.clone(), now),
        Step::Again => return ceremony.next_line(last.event.clone(), now),
    };
    let signer = match fault {
        Fault::Stranger => &stage().signers[PLACES.len()],
        _ => &stage().signers[who],
    };
    let id = match fault {
        Fault::OtherCeremony => "0".repeat(64),
        _ => ceremony.id().to_owned(),
    };
    let time = match fault {
        Fault::ClockAhead => now.plus_seconds(3600).unwrap(),
        _ => now,
    };
    let made = |statement: Statement| -> SignedStatement {
        let mut made = statement.sign(&**signer).unwrap();
        if let (Fault::Content, Statement::Possession { custody, .. }) =
            (fault, &mut made.statement)
        {
            custody.home = "somewhere else".into();
        }
        made
    };
    let wrong = |text: &str| match fault {
        Fault::Content => "0".repeat(text.len()),
        _ => text.to_owned(),
    };
    let event = match step {
        Step::Prove(..) => Event::Proved {
            proof: made(Statement::Possession {
                ceremony: id,
                slot: slot(who),
                key: KeyJson::new(stage().signers[who].public_key()),
                custody: CustodyFacts {
                    kind: "token".into(),
                    home: format!("token {who}"),
                    weaknesses: Vec::new(),
                    in_ci: false,
                },
                accepted: Vec::new(),
                time: time.to_string(),
            }),
            findings: Vec::new(),
            accepted: Vec::new(),
        },
        Step::Review(_) => {
            let root = ceremony.candidate().ok();
            let payload = root
                .as_ref()
                .map(|root| root.to_payload())
                .unwrap_or_default();
            Event::Reviewed {
                words: fingerprint(payload.as_bytes()),
                findings: Vec::new(),
                accepted: Vec::new(),
                confirmed: match (fault, root) {
                    (Fault::None, Some(root)) => review::confirmation(&root),
                    _ => "y".into(),
                },
                payload,
            }
        }
        Step::Sign(..) => {
            let review = ceremony.review();
            let payload = review.map_or(String::new(), |review| review.payload.clone());
            let line = review.map_or("0".repeat(64), |review| review.line.clone());
            Event::Signed {
                keyid: id_of(who),
                sig: hex::encode(signer.sign(payload.as_bytes()).unwrap()),
                statement: made(Statement::RootSignature {
                    ceremony: id,
                    review: wrong(&line),
                    payload: hex::encode(countersign_metadata::sha256(payload.as_bytes())),
                    keyid: id_of(who),
                    time: time.to_string(),
                }),
            }
        }
        _ => {
            let file = ceremony.root_file().unwrap_or_default();
            let root = countersign_ceremony::event::Attachment::new(ceremony.root_name(), &file);
            Event::Sealed {
                seals: vec![made(Statement::Seal {
                    ceremony: id,
                    transcript: wrong(ceremony.head()),
                    root: root.sha256.clone(),
                    keyid: id_of(who),
                    time: time.to_string(),
                })],
                root,
            }
        }
    };
    let at = match fault {
        Fault::ClockBack => now.plus_seconds(-3600).unwrap(),
        _ => now,
    };
    ceremony.next_line(event, at)
}

/// Whether a step must be taken.
fn is_right(ceremony: &Ceremony, step: Step) -> bool {
    let signed = |who: usize| ceremony.signed_by().any(|id| id.as_str() == id_of(who));
    match step {
        Step::Prove(who, fault) => {
            fault == Fault::None
                && ceremony.review().is_none()
                && !ceremony.proved().contains_key(&slot(who))
        }
        Step::Review(fault) => fault == Fault::None && ceremony.phase() == Phase::Keyed,
        Step::Sign(who, fault) => {
            let open = [Phase::Reviewed, Phase::Signing].contains(&ceremony.phase());
            fault == Fault::None && open && who < 3 && !signed(who)
        }
        Step::Seal(who, fault) => {
            let enough = (0..3).filter(|who| signed(*who)).count() >= 2;
            let open = ceremony.phase() == Phase::Signing;
            fault == Fault::None && open && enough && signed(who)
        }
        Step::PlanAgain | Step::Again => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.min(256)))]

    #[test]
    fn only_right_answers_are_taken_and_once(steps in steps()) {
        let begin = || Ceremony::begin(&stage().plan, None).expect("planned");
        let mut ceremony = begin();
        let mut lines = vec![stage().plan.clone()];
        let mut now = stage().plan.time.parse::<UtcTime>().unwrap();
        for step in steps {
            now = now.plus_seconds(60).unwrap();
            let line = line(&ceremony, &lines[lines.len() - 1], step, now);
            let before = format!("{ceremony:?}");
            let right = is_right(&ceremony, step);
            match ceremony.apply(&line) {
                Ok(()) => {
                    prop_assert!(right, "{step:?} was taken at {before}");
                    lines.push(line);
                }
                Err(error) => {
                    prop_assert!(!right, "{step:?}: {error}");
                    prop_assert_eq!(format!("{ceremony:?}"), before, "a refusal changed the state");
                }
            }
        }
        let taken = |is: fn(&Event) -> bool| lines.iter().filter(|line| is(&line.event)).count();
        prop_assert_eq!(taken(|event| matches!(event, Event::Signed { .. })), ceremony.signed_by().count());
        prop_assert_eq!(taken(|event| matches!(event, Event::Proved { .. })), ceremony.proved().len());
        let mut again = begin();
        for line in &lines[1..] {
            again.apply(line).expect("what was taken is taken again");
        }
        prop_assert_eq!(format!("{again:?}"), format!("{ceremony:?}"));
        if let Some(sealed) = ceremony.sealed() {
            crate::flow::follow(std::slice::from_ref(&sealed.root));
        }
    }
}
