//! Whatever releases, rotations, thefts, forgeries, replays and power cuts follow each other, an
//! ECU keeps and runs nothing that a small model of Uptane does not allow; and once the stolen
//! keys are rotated, it runs what honest people want it to.

mod device;
mod facts;
mod model;
mod stage;
mod thieves;
mod workshop;

use proptest::prelude::*;
use proptest::sample::select;

use self::device::{Bytes, Device, Mail, Stop, Way};
use self::stage::{PRODUCTS, ROTATED, RoleOf, Stage};
use self::thieves::{Clock, Delivery, Forgery, Keys, Lie, Roots, Untruth, WITHIN_REACH};

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// A product gets a new image under one of its names, with a counter that is higher than
    /// before, equal or lower.
    Release(usize, usize, i64, Then),
    /// The Director assigns the image of this name, or none.
    Assign(usize, Option<usize>),
    Rotate(RoleOf),
    /// Hours pass, and what expired is signed anew.
    Wait(i64),
    /// The Image repository comes out of a backup.
    Restore(u64),
    Steal(Vec<RoleOf>),
    Recover,
    /// A bundle is packed, to be carried to the vehicle now or later.
    Pack,
    /// An ECU asks for news, and the power lasts for so many writes.
    Cycle(usize, Mail, Option<usize>),
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Assign,
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    let product = 0..PRODUCTS.len();
    let then = prop_oneof![3 => Just(Then::Assign), 1 => Just(Then::Nothing)];
    let counter = prop_oneof![3 => Just(1i64), 1 => Just(0i64), 1 => Just(-1i64)];
    let cut = prop::option::weighted(0.3, 0..12usize);
    prop_oneof![
        4 => (product.clone(), 0..2usize, counter, then)
            .prop_map(|(product, slot, counter, then)| Event::Release(product, slot, counter, then)),
        2 => (product.clone(), prop::option::weighted(0.8, 0..2usize))
            .prop_map(|(product, slot)| Event::Assign(product, slot)),
        2 => select(&ROTATED[..]).prop_map(Event::Rotate),
        1 => (1..24 * 40i64).prop_map(Event::Wait),
        1 => (1..8u64).prop_map(Event::Restore),
        4 => theft().prop_map(Event::Steal),
        1 => Just(Event::Recover),
        1 => Just(Event::Pack),
        16 => (product, mail(), cut).prop_map(|(ecu, mail, cut)| Event::Cycle(ecu, mail, cut)),
    ]
}

/// One key, those of one online machine, or all.
fn theft() -> impl Strategy<Value = Vec<RoleOf>> {
    prop_oneof![
        2 => select(&WITHIN_REACH[..]).prop_map(|key| vec![key]),
        2 => Just(WITHIN_REACH[..3].to_vec()),
        2 => Just(WITHIN_REACH[3..5].to_vec()),
        1 => Just(WITHIN_REACH.to_vec()),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    let way = prop_oneof![
        6 => Just(Way::Online),
        1 => any::<usize>().prop_map(Way::Bundle),
    ];
    let deliveries = prop_oneof![
        2 => Just((Delivery::Honest, Delivery::Honest)),
        4 => delivery().prop_map(|director| (director, Delivery::Honest)),
        2 => delivery().prop_map(|image| (Delivery::Honest, image)),
        1 => (delivery(), delivery()),
        2 => conspiracy(),
    ];
    let clock = prop_oneof![
        20 => Just(Clock::Honest),
        1 => Just(Clock::Silent),
        1 => Just(Clock::Replayed),
        2 => (-1000..1000i64).prop_map(Clock::Off),
    ];
    let bytes = prop_oneof![9 => Just(Bytes::AsAsked), 1 => Just(Bytes::Malware)];
    (way, deliveries, clock, bytes).prop_map(|(way, (director, image), clock, bytes)| Mail {
        way,
        director,
        image,
        clock,
        bytes,
    })
}

/// Thieves who tell the same lies in both repositories.
fn conspiracy() -> impl Strategy<Value = (Delivery, Delivery)> {
    (forgery(), forgery()).prop_map(|(director, image)| {
        let lies = director.lies.clone();
        let image = Forgery { lies, ..image };
        (Delivery::Forged(director), Delivery::Forged(image))
    })
}

fn delivery() -> BoxedStrategy<Delivery> {
    let roots = prop_oneof![Just(Roots::All), Just(Roots::AsTheyWere)];
    prop_oneof![
        2 => (any::<usize>(), roots).prop_map(|(at, roots)| Delivery::Replayed(at, roots)),
        1 => (0..3usize, any::<usize>())
            .prop_map(|(role, at)| Delivery::OneReplayed(role, at)),
        1 => (0..3usize).prop_map(Delivery::Withheld),
        6 => forgery().prop_map(Delivery::Forged),
        1 => versions_ahead().prop_map(Delivery::ForAnother),
    ]
    .boxed()
}

fn forgery() -> BoxedStrategy<Forgery> {
    let roles = prop_oneof![3 => Just([true; 3]), 2 => any::<[bool; 3]>()];
    let with = prop_oneof![9 => Just(Keys::Stolen), 1 => Just(Keys::AnyAtHand)];
    let lies = prop::collection::vec(lie(), 0..3);
    (roles, with, versions_ahead(), lies)
        .prop_map(|(roles, with, ahead, lies)| Forgery {
            roles,
            with,
            ahead,
            lies,
        })
        .boxed()
}

fn lie() -> BoxedStrategy<Lie> {
    let product = 0..PRODUCTS.len();
    let what = prop_oneof![
        2 => Just(Untruth::Malware),
        2 => (0..2usize).prop_map(Untruth::Replaced),
        4 => (product.clone(), 0..2usize).prop_map(|(of, slot)| Untruth::Signed(of, slot)),
        1 => Just(Untruth::Nothing),
    ];
    let counter = prop_oneof![3 => Just(0u64), 1 => 1..4u64];
    (product, what, counter)
        .prop_map(|(product, what, counter)| Lie {
            product,
            what,
            counter,
        })
        .boxed()
}

fn versions_ahead() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0u64), 3 => 1..3u64, 1 => Just(1 << 40)]
}

/// What people do, with or without knowing of thieves.
fn perform(stage: &mut Stage, event: &Event) {
    match event {
        Event::Release(product, slot, step, then) => {
            let counter = stage.counter(*product).saturating_add_signed(*step);
            stage.release(*product, *slot, counter);
            if let Then::Assign = then {
                stage.assign(*product, Some(*slot));
            }
        }
        Event::Assign(product, slot) => stage.assign(*product, *slot),
        Event::Rotate(which) => stage.rotate(&[*which]),
        Event::Wait(hours) => stage.world.pass(*hours),
        Event::Restore(back) => stage.restore(*back),
        Event::Steal(which) => return stage.steal(which),
        Event::Recover => return stage.recover(),
        Event::Pack => return stage.pack(),
        Event::Cycle(..) => return,
    }
    stage.publish();
}

fn honest() -> Mail {
    Mail {
        way: Way::Online,
        director: Delivery::Honest,
        image: Delivery::Honest,
        clock: Clock::Honest,
        bytes: Bytes::AsAsked,
    }
}

fn live(
    stage: &mut Stage,
    devices: &mut [Device; 3],
    events: &[Event],
) -> Result<(), TestCaseError> {
    for event in events {
        perform(stage, event);
        if let Event::Cycle(ecu, mail, cut) = event
            && let Err(Stop::Wrong(wrong)) = devices[*ecu].cycle(stage, mail, *cut)
        {
            return Err(TestCaseError::fail(wrong));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 5,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_ecu_runs_what_the_model_allows_and_recovers(
        events in prop::collection::vec(event(), 5..40),
        cuts in prop::collection::vec(0..12usize, 0..3),
    ) {
        let mut stage = Stage::new();
        let mut devices = Device::all(&stage.world);
        live(&mut stage, &mut devices, &events)?;
        stage.recover();
        for (device, product) in devices.iter_mut().zip(&PRODUCTS) {
            for cut in cuts.iter().copied().map(Some).chain([None]) {
                let failed = match device.cycle(&mut stage, &honest(), cut) {
                    Ok(()) | Err(Stop::Cut) => continue,
                    Err(Stop::Refused(reject)) => reject.to_string(),
                    Err(Stop::Wrong(wrong)) => wrong,
                };
                prop_assert!(false, "{} does not recover: {}", product.ecu, failed);
            }
            prop_assert_eq!(device.runs.as_ref(), stage.assigned(product.ecu));
        }
    }
}
