//! Refusals that take a history, or a driver's mistake, to provoke.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod model;

use countersign_metadata::UtcTime;
use countersign_verifier::{
    Code, Context, Limits, ListedTarget, Protocol, Reject, Reply, Session, Step, StoreName,
    Trusted, drive,
};
use model::client::{Client, Stop};
use model::repository::{Change, Published, Repository};

fn visited(repository: &Repository) -> Client {
    let state = repository.states.last().unwrap();
    let mut client = Client::provisioned(&state.files["1.root.json"]);
    client.visit(&state.files, state.now, None).unwrap();
    client
}

fn refusal(client: &mut Client, state: &Published) -> Reject {
    match client.visit(&state.files, state.now, None) {
        Err(Stop::Refused(reject)) => reject,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_comes_on_top_costs_no_floor() {
    for role in ["timestamp", "snapshot", "targets"] {
        let mut repository = Repository::new(true, true);
        repository.set_image("targets", 1);
        repository.publish();
        let mut client = visited(&repository);
        repository.change_keys(role, Change::Resign, |keys, fresh| keys.push(fresh));
        repository.publish();
        let [first, second, third] = &repository.states[..] else {
            panic!("three states");
        };
        // The first Timestamp is still validly signed, and still older than what is trusted.
        let mut replayed = third.clone();
        replayed.files.extend(
            [first.files.get_key_value("timestamp.json")]
                .into_iter()
                .flatten()
                .map(|(name, file)| (name.clone(), file.clone())),
        );
        let reject = refusal(&mut client, &replayed);
        assert_eq!(
            (reject.code, &*reject.role),
            (Code::VersionRollback, "timestamp"),
            "{role}"
        );
        assert_eq!(second.versions[0] + 1, third.versions[0]);
        client.visit(&third.files, third.now, None).unwrap();
    }
}

#[test]
fn a_timestamp_key_taken_away_keeps_the_floor_of_targets() {
    let mut repository = Repository::new(true, true);
    repository.change_keys("timestamp", Change::Resign, |keys, fresh| keys.push(fresh));
    repository.publish();
    repository.set_image("targets", 1);
    repository.publish();
    let mut client = visited(&repository);
    // The key that stays has signed all that was published before.
    repository.change_keys("timestamp", Change::Resign, |keys, _| drop(keys.remove(0)));
    repository.publish();
    let [_, older, _, newest] = &repository.states[..] else {
        panic!("four states");
    };
    let mut replayed = older.clone();
    let roots = newest.files.iter();
    let roots = roots.filter(|(name, _)| name.ends_with(".root.json"));
    replayed
        .files
        .extend(roots.map(|(name, file)| (name.clone(), file.clone())));
    let reject = refusal(&mut client, &replayed);
    assert_eq!(
        (reject.code, &*reject.role),
        (Code::VersionRollback, "targets")
    );
    client.visit(&newest.files, newest.now, None).unwrap();
}

#[test]
fn a_driver_that_answers_a_history_step_with_nonsense_costs_no_floor() {
    let mut repository = Repository::new(true, true);
    let mut client = visited(&repository);
    repository.publish_root(&[]);
    repository.publish();
    let state = repository.states.last().unwrap();
    // The new Root and its history are written, and then the power goes.
    assert!(matches!(
        client.visit(&state.files, state.now, Some(2)),
        Err(Stop::Cut)
    ));

    let mut session = Session::refresh(state.now);
    let refused: Result<Trusted, Reject> = drive(&mut session, |step| {
        Ok(match step {
            Step::Load {
                name: StoreName::RootHistory(1),
            } => Reply::Saved,
            Step::Load { name } => Reply::Stored(client.store[&name].clone()),
            Step::Fetch { .. } => Reply::NotFound,
            other => panic!("{other:?}"),
        })
    });
    assert_eq!(refused.unwrap_err().code, Code::Misuse);
    assert!(matches!(session.next(), Step::Done(Err(_))));
}

#[test]
fn a_gap_in_the_history_costs_floors_but_strands_nobody() {
    let mut repository = Repository::new(true, true);
    repository.set_image("targets", 1);
    repository.publish();
    let mut client = visited(&repository);
    repository.publish_root(&[]);
    repository.publish();
    let [first, _, third] = &repository.states[..] else {
        panic!("three states");
    };
    assert!(matches!(
        client.visit(&third.files, third.now, Some(2)),
        Err(Stop::Cut)
    ));
    let mut older = first.clone();
    let root = third.files.get_key_value("2.root.json").unwrap();
    older.files.insert(root.0.clone(), root.1.clone());
    let code = refusal(&mut client.clone(), &older).code;
    assert_eq!(code, Code::VersionRollback);
    // Nothing tells any more whether keys were taken away between Root 1 and Root 2.
    client.store.remove(&StoreName::RootHistory(1));
    client.visit(&older.files, older.now, None).unwrap();
    client.visit(&third.files, third.now, None).unwrap();
}

#[test]
fn a_targets_key_that_was_away_and_came_back_has_cleared_the_floor() {
    let mut repository = Repository::new(true, true);
    let honest = repository.header("targets").version;
    repository.header("targets").version += 1 << 40;
    repository.set_image("targets", 1);
    repository.publish();
    let mut client = visited(&repository);
    // The stored Targets verifies under the last Root again; only the Roots between tell.
    let mut away = Vec::new();
    repository.change_keys("targets", Change::Next, |keys, fresh| {
        away = std::mem::replace(keys, vec![fresh]);
    });
    repository.change_keys("targets", Change::Next, |keys, _| *keys = away);
    // Snapshot listed the version, and is forgotten with the Timestamp's key.
    repository.change_keys("timestamp", Change::Next, |keys, fresh| *keys = vec![fresh]);
    repository.header("targets").version = honest;
    repository.publish();
    let newest = repository.states.last().unwrap();
    client.visit(&newest.files, newest.now, None).unwrap();
    assert_eq!(newest.versions[3], honest + 1);
}

fn listed(now: UtcTime) -> ListedTarget {
    let repository = Repository::new(true, true);
    let client = visited(&repository);
    let mut session = Session::with_context(Context {
        repository: "image".into(),
        ..Context::new(now)
    });
    let files = &repository.states[0].files;
    let mut answer = |step: Step<'_, Trusted>| -> Result<Reply, Reject> {
        Ok(match step {
            Step::Load { name } => Reply::Stored(client.store[&name].clone()),
            Step::Fetch { what, .. } => match files.get(&what.file_name()) {
                Some(file) => Reply::Fetched(file.clone()),
                None => Reply::NotFound,
            },
            other => panic!("{other:?}"),
        })
    };
    let mut trusted = drive(&mut session, &mut answer).unwrap();
    match trusted.search("top.img").next() {
        Step::Done(Ok(target)) => target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn delegated_files_are_bounded_together_fetched_or_stored() {
    let repository = Repository::new(true, true);
    let client = visited(&repository);
    let state = &repository.states[0];
    let length = |role: &str| client.store[&StoreName::Delegated(role.into())].bytes.len() as u64;
    let (vendor, sub) = (length("vendor"), length("sub"));
    let find = |delegated_len, stored: bool| -> Result<ListedTarget, Reject> {
        let limits = Limits {
            delegated_len,
            ..Limits::default()
        };
        let context = Context {
            limits,
            ..Context::new(state.now)
        };
        let load = |name: &StoreName| match name {
            StoreName::Delegated(_) if !stored => Reply::NotFound,
            name => Reply::Stored(client.store[name].clone()),
        };
        let fetch = |name: &str, max_len: u64| match state.files.get(name) {
            Some(file) if file.len() as u64 > max_len => Reply::TooLarge,
            Some(file) => Reply::Fetched(file.clone()),
            None => Reply::NotFound,
        };
        let mut trusted: Trusted = drive(&mut Session::with_context(context), |step| {
            Ok::<_, Reject>(match step {
                Step::Load { name } => load(&name),
                Step::Fetch { what, max_len } => fetch(&what.file_name(), max_len),
                _ => Reply::Saved,
            })
        })?;
        drive(&mut trusted.search("d/sub.img"), |step| {
            Ok(match step {
                Step::Load { name } => load(&name),
                Step::Fetch { what, max_len } => fetch(&what.file_name(), max_len),
                _ => Reply::Saved,
            })
        })
    };
    for stored in [false, true] {
        assert_eq!(find(vendor + sub, stored).unwrap().role(), "sub");
        let reject = find(vendor + sub - 1, stored).unwrap_err();
        let cause = reject.cause.unwrap();
        assert_eq!(
            (reject.code, cause.code),
            (Code::TargetNotFound, Code::TooLarge)
        );
        assert_eq!(cause.role, "sub");
    }
}

#[test]
fn a_stream_that_refused_bytes_proves_nothing_any_more() {
    let now = Repository::new(true, true).states[0].now;
    // The image is one zero byte.
    let mut stream = listed(now).open(now).unwrap();
    assert_eq!(stream.update(&[0, 0]).unwrap_err().code, Code::ImageTooLong);
    assert_eq!(stream.update(&[0]).unwrap_err().code, Code::ImageTooLong);
    assert_eq!(stream.finish().unwrap_err().code, Code::ImageTooLong);
    let mut stream = listed(now).open(now).unwrap();
    stream.update(&[0]).unwrap();
    stream.finish().unwrap().check_fresh(now).unwrap();
}

#[test]
fn refusals_of_images_name_the_repository() {
    let now = Repository::new(true, true).states[0].now;
    let late = now.plus_seconds(10 * 365 * 86_400).unwrap();
    let too_late = listed(now).open(late).unwrap_err();
    let mut stream = listed(now).open(now).unwrap();
    stream.update(&[1]).unwrap();
    let wrong = stream.finish().unwrap_err();
    for (reject, code) in [(too_late, Code::Expired), (wrong, Code::ImageHash)] {
        assert_eq!((reject.code, &*reject.repository), (code, "image"));
    }
}
