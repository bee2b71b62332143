//! The nonce that an attestation of the time has to answer.

use std::time::Duration;

use countersign_metadata::uptane::Nonce;
use countersign_verifier::{Code, Reject};
use ring::rand::{SecureRandom, SystemRandom};

/// How long an answer is worth anything. The time that it states lies behind by up to this much:
/// a Primary that held an answer back for longer could show an old time, and old metadata with it.
/// A Primary that downloads for longer than this begins another cycle, with all images there.
const LIFE: Duration = Duration::from_secs(3600);

/// A nonce, and the uptime at which it was given away.
#[derive(Debug)]
pub(super) struct Challenge {
    nonce: Nonce,
    since: Duration,
}

impl Challenge {
    /// Begins at this uptime, with a nonce that was chosen beforehand or with a random one.
    pub(super) fn new(chosen: Option<Nonce>, since: Duration) -> Result<Self, Reject> {
        Ok(Self {
            nonce: match chosen {
                Some(nonce) => nonce,
                None => random_nonce()?,
            },
            since,
        })
    }

    pub(super) fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// Whether an answer is still worth anything at this uptime.
    ///
    /// # Errors
    /// `time-unavailable`
    pub(super) fn check_age(&self, now: Duration) -> Result<(), Reject> {
        match now.saturating_sub(self.since) < LIFE {
            true => Ok(()),
            false => {
                let minutes = LIFE.as_secs() / 60;
                let detail = format!(
                    "the time comes over {minutes} minutes after the nonce; begin a new cycle"
                );
                Err(Reject::new(Code::TimeUnavailable, "time", detail))
            }
        }
    }
}

/// A nonce that nobody can say beforehand.
///
/// # Errors
/// `time-unavailable` when the system has no random numbers.
pub fn random_nonce() -> Result<Nonce, Reject> {
    let mut nonce = [0; 16];
    match SystemRandom::new().fill(&mut nonce) {
        Ok(()) => Ok(Nonce(nonce)),
        Err(_) => {
            let detail = "the system has no random numbers, so no time can be asked for";
            Err(Reject::new(Code::TimeUnavailable, "time", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_random_and_does_not_live_for_ever() {
        let since = Duration::from_secs(77);
        let challenge = Challenge::new(None, since).unwrap();
        let other = Challenge::new(None, since).unwrap();
        assert_ne!(challenge.nonce(), other.nonce());
        challenge.check_age(since).unwrap();
        let almost = since + LIFE - Duration::from_secs(1);
        challenge.check_age(almost).unwrap();
        let late = challenge.check_age(since + LIFE).unwrap_err();
        assert_eq!(late.code, Code::TimeUnavailable);
    }

    #[test]
    fn a_chosen_nonce_is_taken_as_it_is() {
        let chosen = Nonce([3; 16]);
        let challenge = Challenge::new(Some(chosen), Duration::ZERO).unwrap();
        assert_eq!(challenge.nonce(), chosen);
    }
}
