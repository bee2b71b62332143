//! An ECU: the time, and what the Director wants, with the Image repository's word on it or without.

use std::ffi::CStr;
use std::ptr::null;

use countersign::*;

use super::{Run, call, make};

const MAPPING: &CStr =
    cr#"{"repositories":{"director":["https://example.com"],"image":["https://example.com"]},
"mapping":[{"paths":["*"],"repositories":["director","image"],"threshold":2,"terminating":true}]}"#;

impl Run<'_> {
    pub(super) unsafe fn full(
        &mut self,
        root: *mut countersign_root,
        context: &countersign_context,
    ) {
        let ecus = [
            countersign_ecu_id {
                serial: c"S1".as_ptr(),
                hardware_id: c"brake-b".as_ptr(),
            },
            countersign_ecu_id {
                serial: c"P1".as_ptr(),
                hardware_id: c"pcu-a".as_ptr(),
            },
            countersign_ecu_id {
                serial: c"S2".as_ptr(),
                hardware_id: c"lamp-c".as_ptr(),
            },
        ];
        let vehicle = countersign_vehicle {
            vin: c"VIN-OF-THIS-CAR".as_ptr(),
            ecus: ecus.as_ptr(),
            ecus_count: ecus.len(),
            is_secondary: false,
        };
        let offline = self.offline_name();
        unsafe {
            let name = offline.as_ref().map_or(null(), |name| name.as_ptr());
            let director = make(|out, error| {
                countersign_session_director(root, &vehicle, name, context, out, error)
            });
            let director = director.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_director(s, out, error)
                })
            });
            let Some(director) = director else { return };
            let image = make(|out, error| countersign_session_image(director, context, out, error));
            (self.folder, self.source) = ("image/", "image/metadata/");
            let trusted = image.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_trusted(s, out, error)
                })
            });
            let Some(trusted) = trusted else {
                countersign_director_free(director);
                return;
            };
            let update = make(|out, error| {
                countersign_session_resolve(
                    director,
                    trusted,
                    MAPPING.as_ptr(),
                    null(),
                    0,
                    out,
                    error,
                )
            });
            let update = update.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_update(s, out, error)
                })
            });
            countersign_trusted_free(trusted);
            self.images(update, &ecus);
        }
    }

    pub(super) unsafe fn partial(
        &mut self,
        root: *mut countersign_root,
        context: &countersign_context,
    ) {
        let ecu = countersign_ecu_id {
            serial: c"S1".as_ptr(),
            hardware_id: c"brake-b".as_ptr(),
        };
        let offline = self.offline_name();
        unsafe {
            let vin = c"VIN-OF-THIS-CAR".as_ptr();
            let name = offline.as_ref().map_or(null(), |name| name.as_ptr());
            let session = make(|out, error| {
                countersign_session_partial(root, vin, &ecu, name, context, out, error)
            });
            let update = session.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_update(s, out, error)
                })
            });
            self.images(update, &[ecu]);
        }
    }

    pub(super) unsafe fn time(&mut self, root: *mut countersign_root) {
        let attestation = self.file(b"time");
        let mut nonce = [7; 16];
        let given = self.file(b"nonce");
        let len = given.len().min(nonce.len());
        nonce[..len].copy_from_slice(&given[..len]);
        let mut floor = countersign_time_floor {
            is_set: 0,
            time: 0,
            keys: [0; 32],
        };
        let (mut now, mut attested) = (0, false);
        call(|error| unsafe {
            let (bytes, len) = (attestation.as_ptr(), attestation.len());
            countersign_root_attested_time(
                root,
                bytes,
                len,
                nonce.as_ptr(),
                &mut floor,
                &mut now,
                &mut attested,
                error,
            )
        });
        if attested {
            self.now = now;
            // What was believed is the latest, too, up to the day on which this Root expires.
            assert!(call(|error| unsafe {
                countersign_root_latest_attested(root, &floor, &mut now, &mut attested, error)
            }));
            assert!(attested && now <= self.now);
        }
    }
}
