//! One file, parsed and verified.

use countersign_metadata::{
    Authority, Hashes, MetaFile, RoleKeys, Signed, Snapshot, TargetFile, TargetPath, Targets,
    TargetsBuilder,
};

use crate::counted_part;
use crate::keys::{Signer, by_id, signed};
use crate::world::World;

pub(crate) fn targets() {
    let (file, authority) = targets_file();
    counted_part(|| {
        let file = Signed::<Targets>::parse(file).unwrap();
        file.verify(&authority).unwrap()
    });
}

/// The same content as no canonical form has it.
pub(crate) fn respelled() {
    let (file, authority) = targets_file();
    let text = String::from_utf8(file).unwrap();
    let file = text.replace("\":", "\": ").into_bytes();
    counted_part(|| {
        let file = Signed::<Targets>::parse(file).unwrap();
        file.verify(&authority).unwrap()
    });
}

pub(crate) fn snapshot() {
    let mut snapshot = Snapshot::new(World::new().now);
    for number in 0..16_384 {
        snapshot.set_role(&format!("bin-{number:04x}"), MetaFile::version(1));
    }
    let (file, authority) = signed_file(snapshot.to_payload(), "snapshot");
    counted_part(|| {
        let file = Signed::<Snapshot>::parse(file).unwrap();
        file.verify(&authority).unwrap()
    });
}

fn targets_file() -> (Vec<u8>, Authority) {
    let mut builder = TargetsBuilder::new(World::new().now);
    builder.targets.extend((0..10_000).map(image));
    signed_file(builder.to_payload(), "targets")
}

fn signed_file(payload: String, role: &str) -> (Vec<u8>, Authority) {
    let signer = Signer::number(1);
    let role_keys = RoleKeys::new([signer.key.id()], 1);
    let authority = Authority::assume(role, &role_keys, &by_id([&signer]));
    (signed(payload, [&signer]), authority)
}

/// An image with both hashes; nobody has ever seen its bytes.
pub(crate) fn image(number: u64) -> (TargetPath, TargetFile) {
    let path = TargetPath::new(&format!("board/image-{number:06}.bin")).unwrap();
    let byte = number.to_le_bytes()[0];
    let hashes = Hashes {
        sha256: Some([byte; 32]),
        sha512: Some([byte; 64]),
        ..Hashes::default()
    };
    (path, TargetFile::new(number * 4096 + 1, hashes))
}
