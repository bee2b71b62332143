//! Why there is no plan, in words. The solver's proof consists of facts; those that say something
//! about the vehicle are told, each once.

use countersign_metadata::uptane::{ConstrainedImage, Constraint};
use pubgrub::{DerivationTree, External};

use super::set::Choices;
use super::{Image, Package, Problem, is_meant};

type Tree = DerivationTree<Package, Choices, String>;

pub(super) fn reasons(problem: &Problem<'_>, tree: &Tree) -> Vec<String> {
    let mut reasons = Vec::new();
    collect(problem, tree, &mut reasons);
    reasons
}

fn collect(problem: &Problem<'_>, tree: &Tree, reasons: &mut Vec<String>) {
    match tree {
        DerivationTree::Derived(derived) => {
            collect(problem, &derived.cause1, reasons);
            collect(problem, &derived.cause2, reasons);
        }
        DerivationTree::External(fact) => {
            for reason in told(problem, fact) {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
    }
}

fn told(problem: &Problem<'_>, fact: &External<Package, Choices, String>) -> Vec<String> {
    match fact {
        External::FromDependencyOf(Package::Ecu(ecu), choices, Package::Need(need), _) => {
            let constraint = problem.needs[*need].constraint;
            let asking = images(problem, *ecu, choices);
            let needs = |image: &Image| {
                let dependencies = &image.custom.dependencies;
                dependencies.contains(constraint).then(|| {
                    format!(
                        "{} needs {}",
                        placed(problem, *ecu, image),
                        meant(constraint)
                    )
                })
            };
            asking.into_iter().filter_map(needs).collect()
        }
        External::FromDependencyOf(Package::Ecu(ecu), choices, Package::Ecu(other), allowed) => {
            let asking = images(problem, *ecu, choices);
            let refused = images(problem, *other, &allowed.others());
            let pairs = asking.into_iter().flat_map(|image| {
                let refused = refused.clone().into_iter();
                refused.map(move |other| (image, other))
            });
            let conflict = |(image, refused): (&Image, &Image)| {
                let mut conflicts = image.custom.conflicts.iter();
                conflicts
                    .any(|conflict| is_meant(conflict, refused))
                    .then(|| {
                        let (image, refused) = (
                            placed(problem, *ecu, image),
                            placed(problem, *other, refused),
                        );
                        format!("{image} conflicts with {refused}")
                    })
            };
            pairs.filter_map(conflict).collect()
        }
        External::NoVersions(Package::Need(need), _) => {
            let need = &problem.needs[*need];
            let had = match need.fulfilled_by.is_empty() {
                true => "no ECU of this vehicle has or can be given",
                false => "no other ECU of this vehicle has or can be given",
            };
            vec![format!("{had} {}", meant(need.constraint))]
        }
        _ => Vec::new(),
    }
}

/// The images of an ECU among these choices.
fn images<'s>(problem: &Problem<'s>, ecu: usize, choices: &Choices) -> Vec<&'s Image> {
    let all = (0_u32..).zip(&problem.ecus[ecu].1.images);
    let chosen = all.filter(|(number, _)| choices.has(*number));
    chosen.filter_map(|(_, image)| *image).collect()
}

fn placed(problem: &Problem<'_>, ecu: usize, image: &Image) -> String {
    let counter = image.custom.release_counter;
    format!(
        "{} (release {counter}) on ECU {}",
        image.path, problem.ecus[ecu].0
    )
}

fn meant(constraint: &Constraint) -> String {
    let image = match &constraint.image {
        ConstrainedImage::Filename(path) => path.clone(),
        ConstrainedImage::Class(class) => format!("an image of class {class}"),
    };
    let range = (
        constraint.min_release_counter,
        constraint.max_release_counter,
    );
    match range {
        (None, None) => image,
        (Some(least), None) => format!("{image} of release {least} or newer"),
        (None, Some(most)) => format!("{image} of release {most} or older"),
        (Some(least), Some(most)) => format!("{image} of release {least} to {most}"),
    }
}
