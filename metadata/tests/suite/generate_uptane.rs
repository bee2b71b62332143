//! Uptane's structures at random.

use countersign_metadata::TargetPath;
use countersign_metadata::uptane::{
    Confidentiality, ConstrainedImage, Constraint, DetectedAttack, DirectorCustom, EcuSerial,
    EcuVersionReport, EncryptedTarget, HardwareId, ImageCustom, InstalledImage, Nonce, OfflineName,
    Outcome, TimeAttestation, WrappedKey,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::generate::{extra, hashes, keyid, text, time};

pub fn serial() -> impl Strategy<Value = EcuSerial> {
    "[!#-\\[\\]-~]{1,64}".prop_map(|text| EcuSerial::new(&text).unwrap())
}

pub fn hardware_id() -> impl Strategy<Value = HardwareId> {
    "[!#-\\[\\]-~]{1,20}".prop_map(|text| HardwareId::new(&text).unwrap())
}

fn target_path() -> impl Strategy<Value = TargetPath> {
    text().prop_filter_map("unsafe path", |text| TargetPath::new(&text).ok())
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let image = (any::<bool>(), text()).prop_map(|(class, text)| match class {
        true => ConstrainedImage::Class(text),
        false => ConstrainedImage::Filename(text),
    });
    (
        image,
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        extra(),
    )
        .prop_map(
            |(image, min_release_counter, max_release_counter, extra)| Constraint {
                image,
                min_release_counter,
                max_release_counter,
                extra,
            },
        )
}

pub fn image_custom() -> impl Strategy<Value = ImageCustom> {
    (
        btree_set(hardware_id(), 1..4),
        any::<u64>(),
        [option::of(text()), option::of(text()), option::of(text())],
        vec(constraint(), 0..3),
        vec(constraint(), 0..3),
        any::<bool>(),
        extra(),
    )
        .prop_map(
            |(
                ids,
                counter,
                [version, class, installer],
                dependencies,
                conflicts,
                secret,
                extra,
            )| {
                ImageCustom {
                    version,
                    class,
                    installer,
                    dependencies,
                    conflicts,
                    confidentiality: match secret {
                        true => Confidentiality::Required,
                        false => Confidentiality::Public,
                    },
                    extra,
                    ..ImageCustom::new(ids.into_iter().collect(), counter)
                }
            },
        )
}

pub fn director_custom() -> impl Strategy<Value = DirectorCustom> {
    let wrapped = (
        keyid(),
        vec(any::<u8>(), 1..70),
        vec(any::<u8>(), 1..70),
        extra(),
    );
    let wrapped = wrapped.prop_map(|(keyid, enc, ct, extra)| WrappedKey {
        extra,
        ..WrappedKey::new(keyid, enc, ct)
    });
    let target = (target_path(), any::<u64>(), hashes(), text(), extra());
    let target = target.prop_map(
        |(filename, length, hashes, method, extra)| EncryptedTarget {
            extra,
            ..EncryptedTarget::new(filename, length, hashes, &method)
        },
    );
    (
        btree_map(serial(), (hardware_id(), wrapped), 1..4),
        any::<u64>(),
        option::of(target),
        option::of(text()),
        extra(),
    )
        .prop_map(|(ecus, counter, encrypted, uri, extra)| {
            let ids = ecus
                .iter()
                .map(|(serial, (id, _))| (serial.clone(), id.clone()));
            let mut custom = DirectorCustom::new(ids.collect(), counter);
            if encrypted.is_some() {
                let keys = ecus.into_iter().map(|(serial, (_, key))| (serial, key));
                custom.wrapped_keys = keys.collect();
            }
            DirectorCustom {
                encrypted,
                uri,
                extra,
                ..custom
            }
        })
}

pub fn report() -> impl Strategy<Value = EcuVersionReport> {
    let installed = (target_path(), any::<u64>(), hashes());
    let installed = installed.prop_map(|(filepath, length, hashes)| InstalledImage {
        filepath,
        length,
        hashes,
    });
    let attack = (any::<u16>(), text(), text(), text(), text()).prop_map(
        |(code, name, attack, repository, role)| DetectedAttack {
            code,
            name,
            attack,
            repository,
            role,
        },
    );
    let offline = option::of("[A-Za-z0-9][A-Za-z0-9._-]{9,60}")
        .prop_map(|name| name.map(|name| OfflineName::new(&name).unwrap()));
    let outcome = (any::<u64>(), offline, any::<u16>(), text(), text()).prop_map(
        |(targets_version, offline, code, name, message)| Outcome {
            targets_version,
            offline,
            code,
            name,
            message,
        },
    );
    (
        serial(),
        option::of(installed),
        vec(attack, 0..4),
        time(),
        any::<u64>(),
        option::of(outcome),
        extra(),
    )
        .prop_map(
            |(
                ecu_serial,
                installed_image,
                attacks_detected,
                latest_time,
                report_counter,
                outcome,
                extra,
            )| {
                EcuVersionReport {
                    ecu_serial,
                    installed_image,
                    attacks_detected,
                    latest_time,
                    report_counter,
                    outcome,
                    extra,
                }
            },
        )
}

pub fn attestation() -> impl Strategy<Value = TimeAttestation> {
    (
        time(),
        vec(any::<[u8; 16]>().prop_map(Nonce), 0..5),
        extra(),
    )
        .prop_map(|(time, nonces, extra)| TimeAttestation {
            time,
            nonces,
            extra,
        })
}
