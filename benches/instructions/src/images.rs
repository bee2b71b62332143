//! The bytes of images, as they arrive.

use std::io::Read as _;

use countersign_encryption::{Decryptor, EncryptionError, encrypt};
use countersign_metadata::Hashes;

use crate::counted_part;
use crate::world::{World, ecu, image};

const LENGTH: usize = 4 << 20;
const PART: usize = 64 << 10;

/// Through an ECU's gate, with both hashes.
pub(crate) fn hashed() {
    let bytes = vec![0x5a; LENGTH];
    let mut world = World::new();
    let listed = world.image.listed("targets", "pcu.img");
    (listed.length, listed.hashes) = (LENGTH as u64, Hashes::of(&bytes));
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    let own = ecu("P1", "pcu-a");
    let update = world.primary().cycle(&world).unwrap();
    let directed = update.images.into_iter().find(|image| *image.ecu() == own);
    let mut stream = directed.unwrap().open_image(&own, None, world.now).unwrap();
    counted_part(|| {
        for part in bytes.chunks(PART) {
            stream.update(part).unwrap();
        }
        stream.finish().unwrap()
    });
}

/// Decrypted, without any hash.
pub(crate) fn decrypted() {
    let mut image = std::io::repeat(0x5a).take(LENGTH as u64);
    let mut encrypted = Vec::new();
    let made = encrypt(&mut image, &mut encrypted).unwrap();
    let mut decryptor = Decryptor::new(&made.key, encrypted.len() as u64).unwrap();
    counted_part(|| {
        for part in encrypted.chunks(PART) {
            let mut sink = |_: &[u8]| Ok::<(), EncryptionError>(());
            decryptor.update(part, &mut sink).unwrap();
        }
        decryptor.finish().unwrap()
    });
}
