//! Comparing the clocks of two machines that never talk to each other.

use countersign_metadata::UtcTime;

use crate::error::CeremonyError;

/// What `machine` did cannot have happened before it was asked, nor after the answer arrived.
pub(crate) fn check(
    machine: &str,
    theirs: &str,
    asked: UtcTime,
    arrived: UtcTime,
    tolerance: u32,
) -> Result<(), CeremonyError> {
    let fail = |ours: UtcTime| {
        Err(CeremonyError::Clock {
            machine: format!("the machine of {machine}"),
            theirs: theirs.into(),
            ours: ours.to_string(),
            tolerance,
        })
    };
    let Ok(time) = theirs.parse::<UtcTime>() else {
        return fail(arrived);
    };
    let slack = i64::from(tolerance);
    if time.unix() > arrived.unix().saturating_add(slack) {
        return fail(arrived);
    }
    match time.unix() < asked.unix().saturating_sub(slack) {
        true => fail(asked),
        false => Ok(()),
    }
}

/// On one machine: a line cannot be older than the one before it.
pub(crate) fn check_order(before: UtcTime, now: UtcTime) -> Result<(), CeremonyError> {
    match now < before {
        false => Ok(()),
        true => Err(CeremonyError::Clock {
            machine: "the machine that wrote the line before".into(),
            theirs: before.to_string(),
            ours: now.to_string(),
            tolerance: 0,
        }),
    }
}

/// On the machine that was asked: the question cannot come from the future.
pub(crate) fn check_request(
    asked: &str,
    now: UtcTime,
    tolerance: u32,
) -> Result<(), CeremonyError> {
    let fine = asked
        .parse::<UtcTime>()
        .is_ok_and(|asked| asked.unix() <= now.unix().saturating_add(i64::from(tolerance)));
    match fine {
        true => Ok(()),
        false => Err(CeremonyError::Clock {
            machine: "the lead's machine".into(),
            theirs: asked.into(),
            ours: now.to_string(),
            tolerance,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lies_between_question_and_arrival() {
        let time = |text: &str| text.parse::<UtcTime>().expect("a time");
        let (asked, arrived) = (time("2031-01-01T10:00:00Z"), time("2031-01-03T10:00:00Z"));
        for (theirs, fine) in [
            ("2031-01-01T10:00:00Z", true),
            ("2031-01-02T10:00:00Z", true),
            ("2031-01-01T09:50:00Z", true),
            ("2031-01-01T09:49:59Z", false),
            ("2031-01-03T10:10:00Z", true),
            ("2031-01-03T10:10:01Z", false),
            ("yesterday", false),
        ] {
            let checked = check("anna", theirs, asked, arrived, 600);
            assert_eq!(checked.is_ok(), fine, "{theirs}");
        }
        assert!(check_request("2031-01-01T10:10:00Z", asked, 600).is_ok());
        assert!(check_request("2031-01-01T11:00:00Z", asked, 600).is_err());
    }
}
