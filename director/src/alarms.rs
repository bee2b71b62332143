//! What ends unless somebody does something.

use std::time::Duration;

use countersign_metadata::{Role as _, UtcTime};
use tokio::time::{MissedTickBehavior, interval};

use crate::problem::Problem;
use crate::service::Service;
use crate::tls::{Ends, Tls};

/// Something that ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its stable name: `root`, `signing`, `server-certificate`, `device-authority` or
    /// `revocation-list`.
    pub code: &'static str,
    /// What it is and what to do.
    pub message: String,
    /// When it ends, where it is something that does.
    pub at: Option<UtcTime>,
}

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(3600);

const DAY: i64 = 86_400;

/// How many days before its end something is told of.
fn notice(of: Ends) -> (i64, &'static str, &'static str) {
    match of {
        Ends::ServerCertificate => (
            21,
            "server-certificate",
            "issue a new one: key-ceremony pki server",
        ),
        Ends::Authority => (
            180,
            "device-authority",
            "make a new authority and let devices change to it",
        ),
        Ends::RevocationList => (
            2,
            "revocation-list",
            "write a new one: key-ceremony pki crl",
        ),
    }
}

/// Days before its end at which a Root is told of: a ceremony takes people who have to meet.
const ROOT_NOTICE: i64 = 60;

/// All there are at this moment.
///
/// # Errors
/// [`Problem`] if the database cannot be asked.
pub async fn alarms(service: &Service, tls: Option<&Tls>) -> Result<Vec<Alarm>, Problem> {
    let now = service.now()?;
    let soon = |at: UtcTime, days: i64| at.unix() - now.unix() < days * DAY;
    let mut alarms = Vec::new();
    match service.newest_reign().await {
        Ok(reign) => {
            let at = reign.root.expires();
            if soon(at, ROOT_NOTICE) {
                alarms.push(Alarm {
                    code: "root",
                    message: format!(
                        "Root {} ends at {at}; hold a ceremony and import the next one",
                        reign.version
                    ),
                    at: Some(at),
                });
            }
            if let Err(problem) = &reign.keys {
                alarms.push(Alarm {
                    code: "signing",
                    message: problem.message.clone(),
                    at: None,
                });
            }
        }
        Err(problem) if problem.code == "signing-unavailable" => alarms.push(Alarm {
            code: "signing",
            message: problem.message,
            at: None,
        }),
        Err(problem) => return Err(problem),
    }
    for deadline in tls.map(Tls::deadlines).unwrap_or_default() {
        let (days, code, advice) = notice(deadline.of);
        if soon(deadline.at, days) {
            alarms.push(Alarm {
                code,
                message: format!("{} ends at {}; {advice}", deadline.name, deadline.at),
                at: Some(deadline.at),
            });
        }
    }
    Ok(alarms)
}

/// Logs what ends soon, once an hour.
pub(crate) async fn watch(service: Service, tls: Tls) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for alarm in alarms(&service, Some(&tls)).await.unwrap_or_default() {
            tracing::warn!(code = alarm.code, "{}", alarm.message);
        }
    }
}
