use countersign_verifier::{ImageStream, VerifiedImage};

fn activate(_image: VerifiedImage) {}

// Bytes that are still on their way can be staged, not activated.
fn install(stream: ImageStream) {
    activate(stream);
}

fn main() {}
