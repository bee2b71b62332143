//! Finding in the Image repository what the Director names, and comparing (5.4.4.2 step 10).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use countersign_metadata::uptane::{Confidentiality, EcuSerial, HardwareId, ImageCustom, Mapping};

use super::assignment::Assignment;
use super::directed::{Directed, Installed, Terms, Verification};
use super::director::{Claims, Mark};
use super::vehicle::{Ecu, Ecus};
use crate::image::ListedTarget;
use crate::refresh::misuse;
use crate::reject::{Code, Reject};
use crate::search::Engine;
use crate::session::{Protocol, Reply, Step};
use crate::trusted::Trusted;

/// What both repositories have signed for, as a whole: if one image of it is refused, all are.
#[derive(Debug)]
pub struct Update {
    /// One for each image and ECU.
    pub images: Vec<Directed>,
    /// The mark of the Director's Targets that names them.
    pub mark: Mark,
}

/// The search for all images of a Director's Targets. Ends with [`Update`].
#[derive(Debug)]
pub struct Resolve<'i> {
    claims: Claims,
    image: &'i mut Trusted,
    mapping: &'i Mapping,
    installed: &'i BTreeMap<EcuSerial, Installed>,
    /// Still to be found: the assignment's number, and for which ECU.
    due: VecDeque<(usize, Ecu)>,
    found: Vec<Directed>,
    state: State,
}

#[derive(Debug)]
enum State {
    Searching(Ecu, usize, Box<Engine>),
    Done(Result<(), Reject>),
    Over,
}

impl<'i> Resolve<'i> {
    pub(super) fn new(
        claims: Claims,
        image: &'i mut Trusted,
        mapping: &'i Mapping,
        installed: &'i BTreeMap<EcuSerial, Installed>,
    ) -> Self {
        let due = due(&claims);
        let mut resolve = Self {
            claims,
            image,
            mapping,
            installed,
            due: VecDeque::new(),
            found: Vec::new(),
            state: State::Over,
        };
        resolve.state = match due {
            Ok(due) => {
                resolve.due = due;
                resolve.search()
            }
            Err(reject) => State::Done(Err(reject.at(&resolve.claims.repository))),
        };
        resolve
    }

    /// Searches for one image after the other, until somebody has to be asked.
    fn search(&mut self) -> State {
        while let Some((number, ecu)) = self.due.pop_front() {
            let path = &self.claims.assignments[number].path;
            if !self.mapping.requires_both(path) {
                let detail = format!("the mapping does not ask both repositories for {path}");
                return State::Done(Err(Reject::new(Code::RepositoryMapping, "", detail)));
            }
            let hardware_id = Some(ecu.hardware_id.clone());
            let engine = Engine::new(self.image, path.as_str(), hardware_id);
            let mut engine = Box::new(engine);
            match engine.outcome(self.image) {
                None => return State::Searching(ecu, number, engine),
                Some(outcome) => {
                    let compared = outcome.and_then(|listed| self.compare(ecu, number, listed));
                    if let Err(reject) = compared {
                        return State::Done(Err(reject));
                    }
                }
            }
        }
        State::Done(Ok(()))
    }

    /// An image was found: both repositories must say the same of it.
    fn compare(&mut self, ecu: Ecu, number: usize, listed: ListedTarget) -> Result<(), Reject> {
        let assignment = &self.claims.assignments[number];
        let role = listed.role.clone();
        let repository = self.image.context.repository.clone();
        let at_image = |reject: Reject| reject.at(&repository);
        let custom = ImageCustom::of(&listed.file)
            .map_err(|error| at_image(Reject::metadata(&role, error)))?;
        matches(assignment, &ecu, &listed, &custom).map_err(at_image)?;
        let valid_until = listed.valid_until.min(self.claims.valid_until);
        let listed = ListedTarget {
            valid_until,
            ..listed
        };
        let vin = &self.claims.vehicle.vin;
        let verification = self.claims.verification;
        let terms = Terms::of(assignment.custom.clone(), &ecu.serial);
        let directed = Directed::new(vin, ecu, listed, terms, verification);
        directed.check_installed(self.installed.get(&directed.ecu().serial))?;
        self.found.push(directed);
        Ok(())
    }
}

/// What has to be found: every image for every ECU, or only its own for a Secondary.
fn due(claims: &Claims) -> Result<VecDeque<(usize, Ecu)>, Reject> {
    let ecus = &claims.vehicle.ecus;
    let mut due = VecDeque::new();
    for (number, assignment) in claims.assignments.iter().enumerate() {
        for (serial, hardware_id) in &assignment.custom.ecus {
            let known = match (ecus, claims.verification) {
                (Ecus::Own(own), _) if own.serial != *serial => continue,
                // An offline bundle may be for several vehicles.
                (ecus, Verification::Offline) if ecus.hardware_id(serial).is_none() => continue,
                (ecus, _) => ecus.hardware_id(serial),
            };
            check_hardware(serial, known, hardware_id)?;
            let ecu = Ecu {
                serial: serial.clone(),
                hardware_id: hardware_id.clone(),
            };
            due.push_back((number, ecu));
        }
    }
    Ok(due)
}

fn check_hardware(
    serial: &EcuSerial,
    known: Option<&HardwareId>,
    named: &HardwareId,
) -> Result<(), Reject> {
    match known {
        Some(known) if known == named => Ok(()),
        Some(known) => {
            let detail = format!("ECU {serial} is {known}, and the image is for {named}");
            Err(Reject::new(Code::HardwareMismatch, "targets", detail))
        }
        None => {
            let detail = format!("ECU {serial} is not in this vehicle");
            Err(Reject::new(Code::EcuUnknown, "targets", detail))
        }
    }
}

/// 5.4.4.2 step 10.2: what both state has to be the same.
fn matches(
    assignment: &Assignment,
    ecu: &Ecu,
    listed: &ListedTarget,
    custom: &ImageCustom,
) -> Result<(), Reject> {
    let role = &listed.role;
    let refuse = |code, detail| Err(Reject::new(code, role, detail));
    let (directed, path) = (&assignment.file, &assignment.path);
    if directed.length != listed.file.length || directed.hashes != listed.file.hashes {
        let detail = format!("the repositories list {path} with different length or hashes");
        return refuse(Code::DirectorImageMismatch, detail);
    }
    if !custom.hardware_ids.contains(&ecu.hardware_id) {
        let detail = format!("{path} is not for {}", ecu.hardware_id);
        return refuse(Code::HardwareMismatch, detail);
    }
    let (image, director) = (custom.release_counter, assignment.custom.release_counter);
    if image != director {
        let detail = format!("release counter {image} of {path}, and {director} at the Director");
        return refuse(Code::DirectorImageMismatch, detail);
    }
    if custom.confidentiality == Confidentiality::Required && assignment.custom.encrypted.is_none()
    {
        let detail = format!("{path} is confidential, and the Director offers it in plain");
        return refuse(Code::EncryptionRequired, detail);
    }
    Ok(())
}

impl Protocol for Resolve<'_> {
    type Output = Update;

    fn next(&mut self) -> Step<'_, Update> {
        if !matches!(self.state, State::Searching(..)) {
            return Step::Done(match core::mem::replace(&mut self.state, State::Over) {
                State::Done(Ok(())) => Ok(Update {
                    images: core::mem::take(&mut self.found),
                    mark: self.claims.mark,
                }),
                State::Done(Err(reject)) => Err(reject),
                _ => Err(misuse("the session is over")),
            });
        }
        match &self.state {
            State::Searching(_, _, engine) => engine
                .next(self.image)
                .map(|_| Err(misuse("the session is over"))),
            _ => Step::Done(Err(misuse("the session is over"))),
        }
    }

    fn supply(&mut self, reply: Reply) {
        self.state = match core::mem::replace(&mut self.state, State::Over) {
            State::Searching(ecu, number, mut engine) => {
                engine.supply(self.image, reply);
                match engine.outcome(self.image) {
                    None => State::Searching(ecu, number, engine),
                    Some(outcome) => {
                        match outcome.and_then(|listed| self.compare(ecu, number, listed)) {
                            Ok(()) => self.search(),
                            Err(reject) => State::Done(Err(reject)),
                        }
                    }
                }
            }
            _ => State::Done(Err(misuse("the session waits for no answer"))),
        };
    }
}
