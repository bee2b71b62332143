-- Vehicles, their ECUs, what they have reported, what they were told.
-- One text for SQLite and PostgreSQL: BLOB is a domain over BYTEA there, times are seconds since 1970.

-- Vehicles that may register.
CREATE TABLE expected (
    vin TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    announced BIGINT NOT NULL
);

CREATE TABLE vehicles (
    vin TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    primary_serial TEXT NOT NULL,
    registered BIGINT NOT NULL,
    -- Counts the changes of everything that this file keeps of the vehicle. Who has decided on an
    -- older revision decides again.
    revision BIGINT NOT NULL,
    -- Why it gets no new orders, if it does not.
    held TEXT,
    -- What was published last: versions and ends.
    desk TEXT NOT NULL,
    -- The version of the Root under which that was signed, and from when on it has to be signed anew.
    signed_root BIGINT NOT NULL,
    due BIGINT NOT NULL,
    -- How many versions to leave out next time.
    skip BIGINT NOT NULL
);

CREATE INDEX vehicles_by_tenant ON vehicles (tenant, vin);

CREATE TABLE ecus (
    serial TEXT PRIMARY KEY,
    vin TEXT NOT NULL REFERENCES vehicles (vin),
    hardware_id TEXT NOT NULL,
    -- Public keys, as in metadata.
    signing_key TEXT NOT NULL,
    -- Id of the bare key: one key is one ECU's, however it is written.
    signing_keyid TEXT NOT NULL UNIQUE,
    encryption_key TEXT
);

CREATE INDEX ecus_by_vehicle ON ecus (vin);

-- What a registered vehicle wants to be registered as, until somebody approves.
CREATE TABLE replacements (
    vin TEXT PRIMARY KEY REFERENCES vehicles (vin),
    record TEXT NOT NULL,
    requested BIGINT NOT NULL
);

-- The last manifest that was believed, as it was signed.
CREATE TABLE manifests (
    vin TEXT PRIMARY KEY REFERENCES vehicles (vin),
    received BIGINT NOT NULL,
    manifest BLOB NOT NULL
);

-- What an ECU shall run.
CREATE TABLE orders (
    vin TEXT NOT NULL REFERENCES vehicles (vin),
    serial TEXT NOT NULL,
    -- Orders that were given together.
    assignment TEXT NOT NULL,
    -- 1: all of them or none.
    whole BIGINT NOT NULL,
    path TEXT NOT NULL,
    -- The entry of Targets for this ECU.
    entry TEXT NOT NULL,
    ordered BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    PRIMARY KEY (vin, serial)
);

-- Signed metadata. A version, once there, is never changed.
CREATE TABLE files (
    vin TEXT NOT NULL REFERENCES vehicles (vin),
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (vin, role, version)
);

-- Requests for certificates, and the certificates that await their devices.
CREATE TABLE certificates (
    vin TEXT PRIMARY KEY REFERENCES vehicles (vin),
    serial TEXT NOT NULL,
    request TEXT NOT NULL,
    requested BIGINT NOT NULL,
    certificate TEXT
);
