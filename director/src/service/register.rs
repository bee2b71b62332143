//! Vehicles that register themselves, with proofs that their keys are their own.

use countersign_director_domain::VehicleRecord;
use countersign_director_domain::registration::{
    Challenge, Registration, check, vehicle_to_value, wrap_context,
};
use countersign_encryption::{ContentKey, wrap};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, Vin};
use countersign_metadata::{UtcTime, canonical};
use ring::hmac;
use zeroize::Zeroizing;

use super::{Actor, Inner, Service, busy, random, record};
use crate::problem::{Kind, Problem};
use crate::storage::StorageError;

/// Seconds for which a challenge is good.
const PATIENCE: i64 = 600;

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The vehicle is known from now on.
    New,
    /// It was known, exactly so.
    AsBefore,
    /// It was known otherwise, and somebody has to approve.
    Waits,
}

impl Service {
    /// What the ECUs of a vehicle have to sign and unwrap. `serial` is who asks.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn challenge(
        &self,
        (vin, serial): (&Vin, &EcuSerial),
        vehicle: VehicleRecord,
    ) -> Result<Challenge, Problem> {
        self.tenant_of(vin).await?;
        check_vehicle(serial, &vehicle)?;
        let (vin, ends) = (vin.clone(), self.now()?.unix() + PATIENCE);
        self.work(move |inner| inner.challenge(&vin, &vehicle, ends))
            .await
    }

    /// Registers a vehicle that has proved its keys. Somebody has to approve what contradicts an earlier
    /// registration.
    ///
    /// # Errors
    /// [`Problem`]; then everything is as it was.
    pub async fn register(
        &self,
        (vin, serial): (&Vin, &EcuSerial),
        registration: Registration,
    ) -> Result<Registered, Problem> {
        let tenant = self.tenant_of(vin).await?;
        check_vehicle(serial, &registration.vehicle)?;
        let now = self.now()?;
        let (of, asked) = (vin.clone(), registration.clone());
        self.work(move |inner| inner.judge(&of, &asked, now))
            .await?;
        let vehicle = registration.vehicle;
        let actor = Actor::vehicle(vin);
        let ecus = ("ecus", (vehicle.ecus.len() as u64).into());
        let database = &self.0.database;
        if let Some(known) = database.vehicle(vin).await? {
            if known.record == vehicle {
                return Ok(Registered::AsBefore);
            }
            let text = canonical::encode(&vehicle_to_value(&vehicle));
            let record = record(now, &actor, "replacement.requested", Some(vin), [ecus]);
            database
                .ask_for_replacement(vin, &text, now, &[record])
                .await?;
            return Ok(Registered::Waits);
        }
        let record = record(now, &actor, "vehicle.registered", Some(vin), [ecus]);
        let done = database
            .register(vin, &tenant, &vehicle, now, &[record])
            .await;
        match done {
            // Somebody has sent the same at the same time.
            Err(StorageError::KnownVehicle(_)) => Err(busy()),
            done => Ok(done.map(|()| Registered::New)?),
        }
    }

    /// Whose a vehicle is that registers, if it may.
    async fn tenant_of(&self, vin: &Vin) -> Result<String, Problem> {
        let database = &self.0.database;
        if let Some(known) = database.vehicle(vin).await? {
            return Ok(known.tenant);
        }
        let expected = database.expected(vin).await?;
        let open = || self.0.rules.open_registration.clone();
        expected.or_else(open).ok_or_else(|| {
            let message = format!("vehicle {vin} was not announced; announce it first");
            Problem::new(Kind::Forbidden, "vehicle-not-expected", message)
        })
    }
}

fn check_vehicle(serial: &EcuSerial, vehicle: &VehicleRecord) -> Result<(), Problem> {
    vehicle.check()?;
    match vehicle.primary == *serial {
        true => Ok(()),
        false => Err(not_the_primary(serial)),
    }
}

/// Only a vehicle's Primary speaks for it.
pub(super) fn not_the_primary(serial: &EcuSerial) -> Problem {
    let message = format!("the certificate is of ECU {serial}, which is not the vehicle's Primary");
    Problem::new(Kind::Forbidden, "not-the-primary", message)
}

impl Inner {
    fn challenge(
        &self,
        vin: &Vin,
        vehicle: &VehicleRecord,
        ends: i64,
    ) -> Result<Challenge, Problem> {
        let nonce = hex::encode(*random::<16>()?);
        let text = format!("{ends}.{nonce}.{}", self.seal(vin, ends, &nonce));
        let mut challenge = Challenge {
            text,
            wrapped_keys: Default::default(),
        };
        for (serial, ecu) in &vehicle.ecus {
            let Some(recipient) = &ecu.encryption else {
                continue;
            };
            let key = self.key_for(&challenge.text, serial, recipient);
            let context = wrap_context(vin, serial, &challenge.text);
            let context = context.map_err(|error| Problem::bad_request(error.to_string()))?;
            let wrapped = wrap(&key, recipient, &context);
            let wrapped = wrapped.map_err(|error| Problem::bad_request(error.to_string()))?;
            challenge.wrapped_keys.insert(serial.clone(), wrapped);
        }
        Ok(challenge)
    }

    fn judge(&self, vin: &Vin, asked: &Registration, now: UtcTime) -> Result<(), Problem> {
        let wrong = || {
            let message = "this is no challenge for this vehicle; ask for one";
            Problem::new(Kind::Wrong, "challenge-wrong", message)
        };
        let mut parts = asked.challenge.splitn(3, '.');
        let (ends, nonce, seal) = (parts.next(), parts.next(), parts.next());
        let ends: i64 = ends.and_then(|ends| ends.parse().ok()).ok_or_else(wrong)?;
        let seal = hex::decode(seal.unwrap_or_default()).map_err(|_| wrong())?;
        let said = sealed(vin, ends, nonce.unwrap_or_default());
        hmac::verify(&self.mac_key(), &said, &seal).map_err(|_| wrong())?;
        if ends < now.unix() {
            let message = "this challenge is more than ten minutes old; ask for another one";
            return Err(Problem::new(Kind::Conflict, "challenge-expired", message));
        }
        let vehicle = &asked.vehicle;
        let expected = |serial: &EcuSerial| {
            let ecu = vehicle.ecus.get(serial);
            let recipient = ecu.and_then(|ecu| ecu.encryption.as_ref());
            match recipient {
                Some(recipient) => self.key_for(&asked.challenge, serial, recipient),
                // Nobody is asked for the answer to it.
                None => ContentKey::from_bytes(Zeroizing::new([0; 32])),
            }
        };
        check(vin, vehicle, &asked.challenge, &asked.proofs, expected)?;
        Ok(())
    }

    fn seal(&self, vin: &Vin, ends: i64, nonce: &str) -> String {
        hex::encode(hmac::sign(&self.mac_key(), &sealed(vin, ends, nonce)))
    }

    /// What is wrapped to an ECU with a challenge: the same in every process of this Director, and known
    /// to nobody else.
    fn key_for(
        &self,
        challenge: &str,
        serial: &EcuSerial,
        recipient: &EncryptionKey,
    ) -> ContentKey {
        let keyid = recipient.id();
        let of = format!("key\0{challenge}\0{serial}\0{keyid}");
        let tag = hmac::sign(&self.mac_key(), of.as_bytes());
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(tag.as_ref());
        ContentKey::from_bytes(key)
    }

    fn mac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &*self.secret)
    }
}

fn sealed(vin: &Vin, ends: i64, nonce: &str) -> Vec<u8> {
    format!("challenge\0{vin}\0{ends}\0{nonce}").into_bytes()
}
