-- What concerns no single vehicle.

-- The Director's Roots, as they were signed.
CREATE TABLE roots (
    version BIGINT PRIMARY KEY,
    imported BIGINT NOT NULL,
    bytes BLOB NOT NULL
);

-- What the Image repository has listed, each content of a path by its own row.
CREATE TABLE images (
    path TEXT NOT NULL,
    -- SHA-256 of the plaintext, in hexadecimal.
    sha256 TEXT NOT NULL,
    -- The entry of the Image repository's Targets.
    entry TEXT NOT NULL,
    -- Grows; the content of a path is the one with the highest number.
    listed BIGINT NOT NULL,
    -- The name of what is stored: SHA-256 of the plaintext or of the ciphertext.
    blob_name TEXT,
    -- Of an encrypted one: its content key wrapped to the Director's own key, length and hashes of the
    -- ciphertext.
    content_key TEXT,
    ciphertext TEXT,
    PRIMARY KEY (path, sha256)
);

-- What was signed to be carried to vehicles.
CREATE TABLE offline_files (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (name, version)
);

-- Who may use the admin API. Only digests of the tokens are here.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- Whose vehicles it is good for; all if there is none.
    tenant TEXT,
    scopes TEXT NOT NULL,
    digest TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT
);

-- What has happened. Each entry has the digest of the one before it.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    vin TEXT,
    detail TEXT NOT NULL,
    digest TEXT NOT NULL
);

CREATE INDEX audit_by_vehicle ON audit (vin, seq);

-- The last entry. Who adds one changes this row first, so that only one does at a time.
CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL,
    digest TEXT NOT NULL
);

INSERT INTO audit_head (id, seq, digest)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
