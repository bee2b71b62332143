use countersign_verifier::{ListedTarget, VerifiedImage};

// Being listed is not being verified.
fn forge(target: ListedTarget) -> VerifiedImage {
    VerifiedImage { target }
}

fn main() {}
