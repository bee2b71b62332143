-- Vehicles, their ECUs, what they have reported, what they were told.
-- One text for SQLite and PostgreSQL: BLOB is a domain over BYTEA there, times are seconds since 1970.

CREATE TABLE vehicles (
    vin TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    primary_serial TEXT NOT NULL,
    registered BIGINT NOT NULL,
    -- Counts the changes of everything that this file keeps of the vehicle. Who has decided on an
    -- older revision decides again.
    revision BIGINT NOT NULL
);

CREATE INDEX vehicles_by_tenant ON vehicles (tenant, vin);

CREATE TABLE ecus (
    serial TEXT PRIMARY KEY,
    vin TEXT NOT NULL REFERENCES vehicles (vin),
    hardware_id TEXT NOT NULL,
    -- Public keys, as in metadata.
    signing_key TEXT NOT NULL,
    signing_public BLOB NOT NULL UNIQUE,
    encryption_key TEXT
);

CREATE INDEX ecus_by_vehicle ON ecus (vin);

-- The last manifest that was believed, as it was signed.
CREATE TABLE manifests (
    vin TEXT PRIMARY KEY REFERENCES vehicles (vin),
    received BIGINT NOT NULL,
    manifest BLOB NOT NULL
);

-- What an ECU shall run.
CREATE TABLE orders (
    vin TEXT NOT NULL REFERENCES vehicles (vin),
    serial TEXT NOT NULL REFERENCES ecus (serial),
    path TEXT NOT NULL,
    -- The entry of Targets for this ECU.
    entry TEXT NOT NULL,
    ordered BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    PRIMARY KEY (vin, serial)
);

-- Signed metadata by file name. A version, once there, is never changed.
CREATE TABLE files (
    vin TEXT NOT NULL REFERENCES vehicles (vin),
    name TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (vin, name)
);
