//! What may be installed together (Uptane 5.3.2.1 step 5): the dependencies and conflicts that the
//! Image repository lists with images, over all ECUs of a vehicle.
//!
//! A dependency asks for an image on any ECU of the vehicle, a conflict forbids it on every other one.
//! What an ECU runs already and what is violated already is left alone: an update breaks nothing that
//! holds, and is not held up by what was broken before it.

mod set;
mod words;

use std::collections::BTreeMap;

use countersign_metadata::TargetPath;
use countersign_metadata::uptane::{ConstrainedImage, Constraint, EcuSerial, ImageCustom};
use pubgrub::{OfflineDependencyProvider, PubGrubError, resolve};

use set::Choices;

/// An image, and what the Image repository says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its target path.
    pub path: TargetPath,
    /// Its release counter, class, dependencies and conflicts.
    pub custom: ImageCustom,
}

/// What there is to decide of one ECU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    /// What it runs, as far as that is known.
    pub installed: Option<Image>,
    /// What it shall run. Without it the ECU may stay as it is.
    pub wanted: Option<Image>,
    /// What it may be given as well, if that is what makes the others possible; the best one first.
    pub possible: Vec<Image>,
}

/// What a vehicle's ECUs shall run, as far as that is something else than now.
pub type Plan = BTreeMap<EcuSerial, Image>;

/// There is no such plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this cannot be installed together: {}", .reasons.join("; "))]
pub struct NoPlan {
    /// Why not, in words.
    pub reasons: Vec<String>,
}

/// What the solver decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Package {
    /// All of it.
    Vehicle,
    /// Which image an ECU gets, by the ECU's number.
    Ecu(usize),
    /// Which ECU has what somebody depends on, by the number of the need.
    Need(usize),
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vehicle => f.write_str("the vehicle"),
            Self::Ecu(number) => write!(f, "ECU {number}"),
            Self::Need(number) => write!(f, "need {number}"),
        }
    }
}

type Provider = OfflineDependencyProvider<Package, Choices>;

/// Finds images for all ECUs that hold together.
///
/// # Errors
/// [`NoPlan`]
pub fn plan(slots: &BTreeMap<EcuSerial, Slot>) -> Result<Plan, NoPlan> {
    let problem = Problem::new(slots);
    match resolve(&problem.provider(), Package::Vehicle, 0_u32) {
        Ok(chosen) => Ok(problem.changes(|ecu| chosen.get(&Package::Ecu(ecu)).copied())),
        Err(PubGrubError::NoSolution(tree)) => Err(NoPlan {
            reasons: words::reasons(&problem, &tree),
        }),
        // The provider is in memory and never fails.
        Err(other) => Err(NoPlan {
            reasons: vec![other.to_string()],
        }),
    }
}

struct Problem<'s> {
    ecus: Vec<(&'s EcuSerial, Candidates<'s>)>,
    needs: Vec<Need<'s>>,
}

/// What an ECU could run. The number of an image is its version to the solver, which likes high ones:
/// what is there already comes last.
struct Candidates<'s> {
    images: Vec<Option<&'s Image>>,
    /// What it runs now.
    installed: Option<&'s Image>,
}

/// Somebody depends on something.
struct Need<'s> {
    constraint: &'s Constraint,
    /// ECUs that could have it, each with the numbers of its images that will do.
    fulfilled_by: Vec<(usize, Choices)>,
}

impl<'s> Problem<'s> {
    fn new(slots: &'s BTreeMap<EcuSerial, Slot>) -> Self {
        let ecus = slots
            .iter()
            .map(|(serial, slot)| (serial, slot.candidates()));
        let mut problem = Self {
            ecus: ecus.collect(),
            needs: Vec::new(),
        };
        let constraints: Vec<&Constraint> = problem
            .images()
            .flat_map(|(ecu, image)| problem.binding(ecu, image, &image.custom.dependencies))
            .collect();
        for constraint in constraints {
            if problem.need(constraint).is_none() {
                let fulfilled_by = problem.fulfilled_by(constraint);
                problem.needs.push(Need {
                    constraint,
                    fulfilled_by,
                });
            }
        }
        problem
    }

    fn images(&self) -> impl Iterator<Item = (usize, &'s Image)> {
        let ecus = self.ecus.iter().enumerate();
        ecus.flat_map(|(ecu, (_, candidates))| {
            let images = candidates.images.iter().flatten();
            images.map(move |image| (ecu, *image))
        })
    }

    /// The constraints that have to hold for an image: those of one that is there already only if
    /// they hold now.
    fn binding(
        &self,
        ecu: usize,
        image: &'s Image,
        constraints: &'s [Constraint],
    ) -> Vec<&'s Constraint> {
        let stays = self.ecus[ecu].1.installed == Some(image);
        let is_dependency = std::ptr::eq(constraints, &*image.custom.dependencies);
        let holds = |constraint: &&Constraint| {
            let mut present = self.ecus.iter().enumerate();
            let there = present.any(|(other, (_, candidates))| {
                (is_dependency || other != ecu)
                    && candidates
                        .installed
                        .is_some_and(|image| is_meant(constraint, image))
            });
            there == is_dependency
        };
        let all = constraints.iter();
        all.filter(|constraint| !stays || holds(constraint))
            .collect()
    }

    /// Those that have it already come last.
    fn fulfilled_by(&self, constraint: &Constraint) -> Vec<(usize, Choices)> {
        let mut fulfilled: Vec<(usize, Choices)> = Vec::new();
        for (ecu, (_, candidates)) in self.ecus.iter().enumerate() {
            let will_do = candidates.meant_by(constraint);
            if !will_do.is_nothing() {
                fulfilled.push((ecu, will_do));
            }
        }
        fulfilled.sort_by_key(|(ecu, will_do)| will_do.has(self.ecus[*ecu].1.last()));
        fulfilled
    }

    fn need(&self, constraint: &Constraint) -> Option<usize> {
        let mut needs = self.needs.iter();
        needs.position(|need| need.constraint == constraint)
    }

    fn provider(&self) -> Provider {
        let mut provider = Provider::new();
        let everything = (0..self.ecus.len()).map(|ecu| (Package::Ecu(ecu), Choices::all()));
        provider.add_dependencies(Package::Vehicle, 0_u32, everything);
        for (ecu, (_, candidates)) in self.ecus.iter().enumerate() {
            for (number, image) in (0_u32..).zip(&candidates.images) {
                let asks = image.map_or_else(Vec::new, |image| self.asked_by(ecu, image));
                provider.add_dependencies(Package::Ecu(ecu), number, asks);
            }
        }
        for (number, need) in self.needs.iter().enumerate() {
            for (choice, (ecu, will_do)) in (0_u32..).zip(&need.fulfilled_by) {
                let asks = [(Package::Ecu(*ecu), will_do.clone())];
                provider.add_dependencies(Package::Need(number), choice, asks);
            }
        }
        provider
    }

    /// What has to be so if this image is on this ECU.
    fn asked_by(&self, ecu: usize, image: &'s Image) -> Vec<(Package, Choices)> {
        let needs = self.binding(ecu, image, &image.custom.dependencies);
        let needs = needs
            .into_iter()
            .filter_map(|constraint| self.need(constraint));
        let mut asks: Vec<(Package, Choices)> = needs
            .map(|need| (Package::Need(need), Choices::all()))
            .collect();
        let conflicts = self.binding(ecu, image, &image.custom.conflicts);
        for (other, (_, candidates)) in self.ecus.iter().enumerate() {
            let forbidden = conflicts
                .iter()
                .map(|conflict| candidates.meant_by(conflict));
            let forbidden = forbidden.fold(Choices::nothing(), |all, some| all.or(&some));
            if other != ecu && !forbidden.is_nothing() {
                asks.push((Package::Ecu(other), forbidden.others()));
            }
        }
        asks
    }

    fn changes(&self, chosen: impl Fn(usize) -> Option<u32>) -> Plan {
        let ecus = self.ecus.iter().enumerate();
        let changes = ecus.filter_map(|(ecu, (serial, candidates))| {
            let number = usize::try_from(chosen(ecu)?).ok()?;
            let image = (*candidates.images.get(number)?)?;
            (candidates.installed != Some(image)).then(|| ((*serial).clone(), image.clone()))
        });
        changes.collect()
    }
}

impl Slot {
    fn candidates(&self) -> Candidates<'_> {
        let installed = self.installed.as_ref();
        let images = match &self.wanted {
            Some(wanted) => vec![Some(wanted)],
            None => {
                let possible = self.possible.iter().rev().map(Some);
                possible.chain([installed]).collect()
            }
        };
        Candidates { images, installed }
    }
}

impl Candidates<'_> {
    fn last(&self) -> u32 {
        u32::try_from(self.images.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn meant_by(&self, constraint: &Constraint) -> Choices {
        let images = (0_u32..).zip(&self.images);
        let meant =
            images.filter(|(_, image)| image.is_some_and(|image| is_meant(constraint, image)));
        meant.map(|(number, _)| number).collect()
    }
}

/// Whether a constraint is about this image.
fn is_meant(constraint: &Constraint, image: &Image) -> bool {
    let named = match &constraint.image {
        ConstrainedImage::Filename(path) => image.path.as_str() == path,
        ConstrainedImage::Class(class) => image.custom.class.as_ref() == Some(class),
    };
    let counter = image.custom.release_counter;
    let above = constraint
        .min_release_counter
        .is_none_or(|least| counter >= least);
    let below = constraint
        .max_release_counter
        .is_none_or(|most| counter <= most);
    named && above && below
}
