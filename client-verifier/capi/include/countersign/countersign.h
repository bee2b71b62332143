/*
 * Countersign: verified updates after TUF and Uptane. This header is generated; do not edit it.
 *
 * Results. A function that can fail returns a status: 0, or the number of a refusal. Its last
 * parameter may be NULL; otherwise it gets the particulars, or NULL after a success. You free them
 * with countersign_error_free. Where a function fails, the places for its results hold NULL, 0, false,
 * or INT64_MIN for a time, unless its text says otherwise. A function that returns no status returns
 * the same for what is no handle of its type.
 *
 * Handles. Every type named "struct" below without members is a handle. What a function gives you is
 * yours: free it with the function of its type. Where a handle "is given up", the library has it from
 * then on, also if the call fails. A handle that was freed, or is of another type, is refused with
 * COUNTERSIGN_MISUSE; it is never followed. Freeing NULL, or twice, does nothing. Freeing does not
 * wait: a call that runs on another thread ends undisturbed, and goes on calling your callbacks until
 * then. So what a `user` pointer points to has to live until the handle is freed and every call that
 * had it has returned.
 *
 * Texts are UTF-8 and end with a NUL. Those that you give are copied; those that you get live as long
 * as the handle they come from.
 *
 * Threads. Every function may be called from any thread. A handle that never changes may be used by
 * any number of threads at once; of the others one call at a time, and a second one is refused with
 * COUNTERSIGN_MISUSE rather than kept waiting. Callbacks run on the thread of the call that needs
 * them. They may call this library, but not with a handle that is in use. They must not throw, nor
 * leave by longjmp.
 *
 * A defect of the library is COUNTERSIGN_INTERNAL: no panic crosses into your code. The handle that it
 * happened to can only be freed.
 */

#ifndef COUNTERSIGN_H
#define COUNTERSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Statuses: 0, or why something was refused. Numbers are never reused. */
#define COUNTERSIGN_OK 0
// The file is not strict JSON or a field is missing or wrong.
#define COUNTERSIGN_MALFORMED 100
// `_type` names another role than the one expected.
#define COUNTERSIGN_WRONG_ROLE_TYPE 101
// `spec_version` is of an unknown major version.
#define COUNTERSIGN_UNSUPPORTED_SPEC_VERSION 102
// A metadata file is larger than allowed.
#define COUNTERSIGN_TOO_LARGE 103
// The file is not in the one form that a device which cannot hold it reads.
#define COUNTERSIGN_NOT_CANONICAL 104
// Too few of the role's keys signed.
#define COUNTERSIGN_SIGNATURE_THRESHOLD 200
// The version is lower than one already trusted.
#define COUNTERSIGN_VERSION_ROLLBACK 300
// A Root that does not carry the next version.
#define COUNTERSIGN_ROOT_VERSION 301
// The version is not the one that the parent file names.
#define COUNTERSIGN_VERSION_MISMATCH 302
// The version is trusted already, with different content.
#define COUNTERSIGN_SAME_VERSION_DIFFERENT_CONTENT 303
// Snapshot lists a Targets file with a lower version than before.
#define COUNTERSIGN_SNAPSHOT_ENTRY_ROLLBACK 304
// Snapshot no longer lists a Targets file that it listed.
#define COUNTERSIGN_SNAPSHOT_ENTRY_REMOVED 305
// The bound on Root versions in one session was reached; progress is saved.
#define COUNTERSIGN_TOO_MANY_ROOTS 306
// The image has a lower release counter than the one that was installed last.
#define COUNTERSIGN_RELEASE_COUNTER_ROLLBACK 307
// The file has expired.
#define COUNTERSIGN_EXPIRED 400
// There is no attestation of the current time that policy accepts.
#define COUNTERSIGN_TIME_UNAVAILABLE 401
// The attested time is before a time that was attested earlier.
#define COUNTERSIGN_TIME_WENT_BACK 402
// The attestation of the time does not answer this ECU's nonce.
#define COUNTERSIGN_TIME_REPLAYED 403
// The file does not have the hash that its parent lists.
#define COUNTERSIGN_METADATA_HASH 500
// The file does not have the length that its parent lists.
#define COUNTERSIGN_METADATA_LENGTH 501
// Snapshot does not list this role.
#define COUNTERSIGN_ROLE_NOT_IN_SNAPSHOT 502
// The repository does not have the file.
#define COUNTERSIGN_METADATA_MISSING 503
// The Director and the Image repository do not say the same of an image.
#define COUNTERSIGN_DIRECTOR_IMAGE_MISMATCH 504
// The Director's Targets delegates, which it must not.
#define COUNTERSIGN_DIRECTOR_HAS_DELEGATIONS 505
// The Director's Targets names one ECU for two images.
#define COUNTERSIGN_ECU_REPEATED 506
// The Director's Targets names an ECU that is not in this vehicle.
#define COUNTERSIGN_ECU_UNKNOWN 507
// The image is for other hardware.
#define COUNTERSIGN_HARDWARE_MISMATCH 508
// The Director's metadata is for another vehicle.
#define COUNTERSIGN_VEHICLE_MISMATCH 509
// The repository mapping does not ask both repositories for this image.
#define COUNTERSIGN_REPOSITORY_MAPPING 510
// The Offline Targets file is another one than its name in the bundle says.
#define COUNTERSIGN_OFFLINE_NAME_MISMATCH 511
// No role that is trusted for the path lists it.
#define COUNTERSIGN_TARGET_NOT_FOUND 600
// The target path could leave its directory.
#define COUNTERSIGN_UNSAFE_FILENAME 601
// The image is not the one that was signed.
#define COUNTERSIGN_IMAGE_HASH 602
// The image goes on beyond its signed length.
#define COUNTERSIGN_IMAGE_TOO_LONG 603
// The image is listed without a hash function known here.
#define COUNTERSIGN_NO_KNOWN_HASH 604
// The repository does not have the image.
#define COUNTERSIGN_IMAGE_MISSING 605
// The encrypted image was changed, cut or put together from others.
#define COUNTERSIGN_DECRYPT_FAILED 606
// The content key was not wrapped for this ECU, vehicle and image.
#define COUNTERSIGN_KEY_UNWRAP_FAILED 607
// A confidential image is offered without encryption.
#define COUNTERSIGN_ENCRYPTION_REQUIRED 608
// The image is encrypted by a method unknown here.
#define COUNTERSIGN_UNKNOWN_ENCRYPTION 609
// The server was too slow and was given up.
#define COUNTERSIGN_SLOW_RETRIEVAL 700
// The repository could not be reached or answered with an error.
#define COUNTERSIGN_FETCH_FAILED 701
// A Secondary could not be reached or broke the protocol.
#define COUNTERSIGN_SECONDARY_UNREACHABLE 702
// The local store has no Root to start from.
#define COUNTERSIGN_NO_TRUSTED_ROOT 800
// Another Root is trusted here already.
#define COUNTERSIGN_ROOT_CONFLICT 801
// The local store could not be read or written.
#define COUNTERSIGN_STORE_FAILED 802
// A session was answered with something it did not ask for.
#define COUNTERSIGN_MISUSE 803
// The command was called wrongly, or something it needs here cannot be used.
#define COUNTERSIGN_USAGE 804
// A defect of this software; the operation was broken off.
#define COUNTERSIGN_INTERNAL 805
// The installer failed; the installed image is as it was.
#define COUNTERSIGN_INSTALL_FAILED 900
// The new image did not prove itself, and the one before it is back.
#define COUNTERSIGN_NOT_CONFIRMED 901
// The ECU is not in a state to install now.
#define COUNTERSIGN_PRECONDITION_FAILED 902

// The time of the system's clock, where countersign_client_refresh and countersign_client_download_to take
// `now`. Sessions and the gates of images take a time that you have chosen.
#define COUNTERSIGN_SYSTEM_TIME INT64_MIN

// What happened to one ECU.
enum countersign_ecu_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Nothing was for it.
  COUNTERSIGN_ECU_NOTHING = 0,
  // It runs the new image.
  COUNTERSIGN_ECU_INSTALLED = 1,
  // The new image has to prove itself, or runs after a restart.
  COUNTERSIGN_ECU_ON_TRIAL = 2,
  // It refused.
  COUNTERSIGN_ECU_REFUSED = 3,
  // It could not be reached, or broke the protocol.
  COUNTERSIGN_ECU_UNREACHABLE = 4,
  // It was ready, and another ECU was not.
  COUNTERSIGN_ECU_ABANDONED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum countersign_ecu_outcome countersign_ecu_outcome;
#else
typedef uint32_t countersign_ecu_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a session needs.
enum countersign_step_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // There is no step: the call failed.
  COUNTERSIGN_STEP_NONE = 0,
  // A file of your store: `name`. Answer with countersign_session_supply_stored or _not_found.
  COUNTERSIGN_STEP_LOAD = 1,
  // A file of the repository: `name`, below the metadata URL. Answer with
  // countersign_session_supply_fetched (or _feed and _end_of_file), _not_found or _too_large.
  COUNTERSIGN_STEP_FETCH = 2,
  // Make `bytes` durable as `name`, with `accepted_under` beside it; where there is a
  // `history_name`, under that first. Then answer with countersign_session_supply_saved.
  COUNTERSIGN_STEP_SAVE = 3,
  // The session has succeeded: take its result.
  COUNTERSIGN_STEP_DONE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum countersign_step_kind countersign_step_kind;
#else
typedef uint32_t countersign_step_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where the bytes of an image are served.
enum countersign_origin_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Nowhere: the call failed.
  COUNTERSIGN_ORIGIN_NONE = 0,
  // Below the targets URL of the Image repository.
  COUNTERSIGN_ORIGIN_IMAGE = 1,
  // Below the Director's targets URL: the encrypted image.
  COUNTERSIGN_ORIGIN_DIRECTOR = 2,
  // At an address of its own.
  COUNTERSIGN_ORIGIN_URI = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum countersign_origin_kind countersign_origin_kind;
#else
typedef uint32_t countersign_origin_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a callback has come to.
enum countersign_answer
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It is there, or it is done.
  COUNTERSIGN_ANSWER_OK = 0,
  // There is no such file: somebody who must know says so.
  COUNTERSIGN_ANSWER_NOT_FOUND = 1,
  // It cannot be told, or was not possible.
  COUNTERSIGN_ANSWER_FAILED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum countersign_answer countersign_answer;
#else
typedef int32_t countersign_answer;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Whether an image works.
enum countersign_health
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It does, and is confirmed.
  COUNTERSIGN_HEALTH_WORKS = 0,
  // It does not, and the one before it comes back.
  COUNTERSIGN_HEALTH_FAILS = 1,
  // That will show.
  COUNTERSIGN_HEALTH_UNKNOWN = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum countersign_health countersign_health;
#else
typedef int32_t countersign_health;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where a callback puts the bytes of a file. It is yours while the callback runs.
typedef struct countersign_buffer countersign_buffer;

// An offline bundle, such as a file on a stick, open for reading. Nothing in it is believed. One call at
// a time may read from it.
typedef struct countersign_bundle countersign_bundle;

// A client of one repository, with a transport and a store. Its calls block. One call at a time may
// use it: another one at the same time is refused with COUNTERSIGN_MISUSE. It may move between
// threads.
typedef struct countersign_client countersign_client;

// What a cycle of a Primary came to. It never changes, and any number of threads may read it.
typedef struct countersign_cycle countersign_cycle;

// One image that the Director wants on one ECU and that everybody who was asked has signed for.
// It never changes, and any number of threads may read it.
typedef struct countersign_directed countersign_directed;

// What the Director assigns. Nothing of it may be installed on the Director's word alone: ask
// the Image repository, with countersign_session_resolve.
typedef struct countersign_director countersign_director;

// One ECU, to be given to countersign_primary_open as the Primary's own, or to
// countersign_ecu_listen.
typedef struct countersign_ecu countersign_ecu;

// Why a call failed: a refusal with its particulars. It never changes, and any number of threads
// may read it.
typedef struct countersign_error countersign_error;

// The bytes of one image on their way, bound to its length and hashes. You may stage what you
// pass in, where nothing runs it, and do no more with it before countersign_image_finish says
// that it is the image. One call at a time may use it.
typedef struct countersign_image countersign_image;

// A Primary with its own ECU. One call at a time may use it. It may move between threads.
typedef struct countersign_primary countersign_primary;

// The last Root of a chain. It may have expired: the session that goes on from it judges that.
// It never changes, and any number of threads may read it.
typedef struct countersign_root countersign_root;

// A Secondary that listens for its Primary. One call at a time may use it.
typedef struct countersign_server countersign_server;

// A session: something that is verified step by step, while you bring files and keep them. Call
// countersign_session_next and answer the step, until its kind is COUNTERSIGN_STEP_DONE or it is
// refused.
//
// One call at a time may use it: another one at the same time is refused with COUNTERSIGN_MISUSE.
// It may move between threads.
typedef struct countersign_session countersign_session;

// An image that current metadata lists. It never changes, and any number of threads may read it.
typedef struct countersign_target countersign_target;

// The current state of a repository: all top-level roles verified, fresh and linked at one time.
// Searches and downloads borrow it, one at a time. Any number of threads may read it.
typedef struct countersign_trusted countersign_trusted;

// The images that may be installed: what both repositories have signed for, or what a
// Secondary that verifies in part may act on. It never changes, and any number of threads may
// read it.
typedef struct countersign_update countersign_update;

// The proof that the bytes of an image were seen whole, and that its length and every listed
// hash held. An installer should ask for one before it activates anything. It never changes, and
// any number of threads may read it.
typedef struct countersign_verified countersign_verified;

// 0, or the number of a refusal: see the constants above.
typedef int32_t countersign_status;

// A store of your own for trusted metadata. Nothing in it is believed: it is verified again. Its
// functions are called on the thread of the call that needs them, one at a time, and must not throw.
//
// `name` is one harmless component of a path, without ending, such as "timestamp" or "root+4".
typedef struct countersign_store {
  // Handed to the functions.
  void *user;
  // Puts the file into `buffer` with countersign_buffer_append, and what it was saved with to
  // `accepted_under`. Returns a countersign_answer. What cannot be read is no
  // COUNTERSIGN_ANSWER_NOT_FOUND: a client that lost its floor would accept old metadata again.
  int32_t (*load)(void *user,
                  const char *name,
                  struct countersign_buffer *buffer,
                  uint64_t *accepted_under);
  // Keeps the file together with `accepted_under`, durably when this returns: after a power cut
  // there is the old file or this one. Returns a countersign_answer.
  int32_t (*save)(void *user,
                  const char *name,
                  const uint8_t *bytes,
                  size_t len,
                  uint64_t accepted_under);
} countersign_store;

// A transport of your own. Its functions are called on the thread of the call that needs them, one at
// a time, and must not throw.
typedef struct countersign_fetcher {
  // Handed to `open`.
  void *user;
  // Starts one GET of `url`, of the bytes from `range_from` on. Writes a body of yours to `body`; to
  // `starts_at` the offset of its first byte: `range_from`, or 0 where ranges are not served; to
  // `length` the announced number of bytes, or UINT64_MAX. Returns a countersign_answer. A time-out
  // is no COUNTERSIGN_ANSWER_NOT_FOUND.
  int32_t (*open)(void *user,
                  const char *url,
                  uint64_t range_from,
                  void **body,
                  uint64_t *starts_at,
                  uint64_t *length);
  // Reads up to `len` bytes into `buffer`, and returns their number: 0 is the end, less than 0 a
  // failure. Give up a server that is too slow: nobody else does.
  ptrdiff_t (*read)(void *body, uint8_t *buffer, size_t len);
  // Gives a body up, at its end or before.
  void (*close)(void *body);
} countersign_fetcher;

// How files are fetched where this library does it: over http, https and file URLs. All zero for the
// defaults.
typedef struct countersign_http_options {
  // A file with the certificates that a server has to show, in PEM; NULL for Mozilla's list.
  const char *ca_file;
  // A file with this device's certificate chain, in PEM; NULL for none.
  const char *certificate_file;
  // A file with the private key of that certificate, in PEM; NULL for none.
  const char *private_key_file;
  // Seconds that a server may be silent. Default 20.
  uint32_t patience_s;
  // Bytes that have to arrive in each second, on average. Default 1024.
  uint32_t min_rate;
} countersign_http_options;

// Bounds on what a repository can make a session spend. 0 leaves a bound at its default, which is in
// docs/pouf.md. All sizes are in bytes.
typedef struct countersign_limits {
  // One Root file. Default 512 KiB.
  uint64_t root_len;
  // A Timestamp file. Default 64 KiB.
  uint64_t timestamp_len;
  // A Snapshot file. Default 64 MiB; 64 KiB in a Director's repository.
  uint64_t snapshot_len;
  // A Targets file. Default 512 MiB; 1 MiB in a Director's repository.
  uint64_t targets_len;
  // All files of delegated roles in one session. Default 512 MiB.
  uint64_t delegated_len;
  // Root versions followed in one session. Default 1024.
  uint32_t root_versions;
  // Targets roles visited in one search. Default 64.
  uint32_t visited_roles;
} countersign_limits;

// What a client is made of.
typedef struct countersign_client_options {
  // sizeof(countersign_client_options): a later version of this library may have more members.
  size_t size;
  // What the repository's metadata is below.
  const char *metadata_url;
  // The directory with the trusted metadata, or NULL where `store` is given. Nothing else is to be
  // kept in it.
  const char *metadata_dir;
  // A store of your own, or NULL.
  const struct countersign_store *store;
  // A transport of your own, or NULL.
  const struct countersign_fetcher *fetcher;
  // How to fetch where `fetcher` is NULL.
  struct countersign_http_options http;
  // Seconds to wait for another process that uses the directory. Default 30.
  uint32_t lock_patience_s;
  // The repository's name in refusals; NULL for none.
  const char *repository;
  // Bounds; all zero for the defaults.
  struct countersign_limits limits;
} countersign_client_options;

// Told how a download goes on: `received` bytes of `length`. It starts at 0 again where the transfer
// does.
typedef void (*countersign_progress)(void *user, uint64_t received, uint64_t length);

// Takes the bytes of an image on their way to be staged. They are bound to no image before the proof
// is there: keep them where nothing runs them.
typedef struct countersign_sink {
  // Handed to `write`.
  void *user;
  // Takes the next bytes; 0 if that went well. Anything else ends the image with
  // COUNTERSIGN_INSTALL_FAILED. NULL is refused.
  int32_t (*write)(void *user, const uint8_t *bytes, size_t len);
} countersign_sink;

// The key that signs an ECU's reports, wherever it lives (Uptane 5.4.1). It is used on the thread of
// whichever call needs it, one at a time.
typedef struct countersign_signer {
  // Handed to `sign`.
  void *user;
  // The public key as JSON, as metadata has it: {"keytype", "scheme", "keyval"}.
  const char *public_key;
  // Signs `message`: Ed25519 in 64 bytes, ECDSA in DER, RSA-PSS. Writes to `signature`, which has room
  // for `*signature_len` bytes, and sets `*signature_len`. 0 if that went well.
  int32_t (*sign)(void *user,
                  const uint8_t *message,
                  size_t message_len,
                  uint8_t *signature,
                  size_t *signature_len);
} countersign_signer;

// The key that content keys are wrapped to, wherever it lives. It is used on the thread of the call
// that it is given to.
typedef struct countersign_decryption {
  // Handed to `agree`.
  void *user;
  // The public key as JSON, as the Director has it (docs/pouf.md).
  const char *public_key;
  // The raw Diffie-Hellman result of the private key with `peer`: 65 bytes of an uncompressed
  // point on P-256, or 32 bytes for X25519. Writes 32 bytes to `shared`: the x-coordinate, or
  // X25519's output. 0 if that went well; otherwise the image is refused with
  // COUNTERSIGN_PRECONDITION_FAILED.
  int32_t (*agree)(void *user, const uint8_t *peer, size_t peer_len, uint8_t *shared);
} countersign_decryption;

// What only the device knows of itself. A function that is NULL says: the system's clock, ready, works.
typedef struct countersign_host {
  // Handed to the functions.
  void *user;
  // The time of a secure source of the device's own, in seconds since 1970-01-01T00:00:00Z, or INT64_MIN
  // if there is none. It is asked only where the Director's Root names no time server.
  int64_t (*time)(void *user);
  // Whether an image may be installed now (Uptane 5.4.3.5): the vehicle stands, the battery is full.
  // Otherwise the image stays staged, and the next cycle asks again.
  bool (*may_install)(void *user);
  // Whether the image that runs on trial works: a countersign_health. Any other number says that it
  // fails.
  int32_t (*health)(void *user);
} countersign_host;

// A way of installing images. Every effect is durable when a function returns; each returns 0 if it went
// well, and COUNTERSIGN_INSTALL_FAILED or another status if it did not. They are called on the thread of
// whichever call needs them, one at a time, and must not throw.
typedef struct countersign_installer {
  // Handed to the functions.
  void *user;
  // Whether an activated image runs only when the ECU starts again.
  bool needs_restart;
  // Whether an image of `length` bytes could be staged now: COUNTERSIGN_PRECONDITION_FAILED if there is
  // no room, or while the image that would be overwritten may still be needed.
  int32_t (*precheck)(void *user, uint64_t length);
  // Begins to stage an image, in the place of what was staged before. The active one is not touched.
  int32_t (*begin)(void *user, const char *path, uint64_t length);
  // Takes the next bytes. They are not proven yet.
  int32_t (*write)(void *user, const uint8_t *bytes, size_t len);
  // What was written is the image, and stays, staged; or, where `is_whole` is false, it is not, and is
  // thrown away.
  int32_t (*end)(void *user, bool is_whole);
  // Reads up to `len` bytes of the staged image from `offset` on, to check it again after a restart;
  // returns their number, 0 at the end or if nothing is staged, less than 0 for a failure.
  ptrdiff_t (*read_staged)(void *user, uint64_t offset, uint8_t *buffer, size_t len);
  // Switches to the staged image, on trial; the former one is kept. `verified` is the proof that it is
  // the right one, and lives as long as the call.
  int32_t (*activate)(void *user, const struct countersign_verified *verified);
  // Ends the trial for good: the new image works.
  int32_t (*confirm)(void *user);
  // Ends the trial by going back to the former image.
  int32_t (*rollback)(void *user);
  // 1 while an image is on trial, 0 while none is, less than 0 if that cannot be told.
  int32_t (*is_on_trial)(void *user);
  // As `read_staged`, of the active image; 0 at `offset` 0 if there is none.
  ptrdiff_t (*read_active)(void *user, uint64_t offset, uint8_t *buffer, size_t len);
} countersign_installer;

// What an ECU is made of.
typedef struct countersign_ecu_options {
  // sizeof(countersign_ecu_options): a later version of this library may have more members.
  size_t size;
  // The vehicle it is in.
  const char *vin;
  // Who and what it is.
  const char *serial;
  // Its hardware identifier.
  const char *hardware_id;
  // Whether it verifies in part, with the Director's Root and Targets alone (Uptane 5.4.4.1). False
  // for a Primary's own ECU, and wherever there is room.
  bool verifies_in_part;
  // The repository mapping as JSON (TAP 4).
  const char *mapping;
  // A directory of its own: `director` and `image` (trusted metadata), `state` (what it must not
  // forget), `slots` (images, where `installer` is NULL).
  const char *directory;
  // The key that signs its reports.
  const struct countersign_signer *signer;
  // The key that its images are encrypted for; NULL if none are.
  const struct countersign_decryption *decryption;
  // The device; NULL for the system's clock, always ready, and images that work.
  const struct countersign_host *host;
  // How it installs; NULL for two slots of files, of which `slots/active/image` is the one that runs.
  const struct countersign_installer *installer;
} countersign_ecu_options;

// An ECU: who it is and what it is.
typedef struct countersign_ecu_id {
  // Its serial, unique in the world; up to 64 characters.
  const char *serial;
  // Its hardware identifier; up to 200 characters.
  const char *hardware_id;
} countersign_ecu_id;

// The image that was installed on an ECU last and proved itself: what release counters are compared
// with.
typedef struct countersign_installed {
  // The ECU.
  struct countersign_ecu_id ecu;
  // The image's filename.
  const char *path;
  // Its release counter.
  uint64_t release_counter;
  // Its length in bytes.
  uint64_t length;
  // The 32 bytes of its SHA-256, or NULL.
  const uint8_t *sha256;
  // The 64 bytes of its SHA-512, or NULL.
  const uint8_t *sha512;
} countersign_installed;

// The Director's service over a way of your own. Its functions are called on the thread of the cycle, and
// must not throw.
typedef struct countersign_director_link {
  // Handed to the functions.
  void *user;
  // Sends the vehicle version manifest. Returns COUNTERSIGN_ANSWER_OK only if the Director has it.
  int32_t (*put_manifest)(void *user, const uint8_t *manifest, size_t len);
  // Asks for an attestation of the time that answers `nonces`, `count` of 16 bytes each, and puts it into
  // `attestation`. Returns a countersign_answer: COUNTERSIGN_ANSWER_NOT_FOUND if there is no time server.
  int32_t (*attest)(void *user,
                    const uint8_t *nonces,
                    size_t count,
                    struct countersign_buffer *attestation);
} countersign_director_link;

// A Secondary, as its Primary knows it.
typedef struct countersign_member {
  // Its serial.
  const char *serial;
  // Its hardware identifier.
  const char *hardware_id;
  // The public key that verifies its reports, as JSON.
  const char *public_key;
  // Where it listens, such as "192.0.2.7:4711".
  const char *address;
} countersign_member;

// What a Primary is made of, beside its own ECU.
typedef struct countersign_primary_options {
  // sizeof(countersign_primary_options): a later version of this library may have more members.
  size_t size;
  // The vehicle.
  const char *vin;
  // The Primary's own serial.
  const char *serial;
  // Its hardware identifier.
  const char *hardware_id;
  // The repository mapping as JSON: where the repositories are, and which images both have to sign.
  const char *mapping;
  // A directory of its own, another than the ECU's: `director` and `image` (metadata for the vehicle),
  // `primary` (its record, and images on their way).
  const char *directory;
  // The key that signs manifests: that of its own ECU.
  const struct countersign_signer *signer;
  // A transport of your own, or NULL.
  const struct countersign_fetcher *fetcher;
  // How to fetch where `fetcher` is NULL; the certificate is this vehicle's at the Director.
  struct countersign_http_options http;
  // The Director's service, or NULL: then the manifest goes to where the mapping says the Director is
  // (docs/device-api.md).
  const struct countersign_director_link *director;
  // The Secondaries.
  const struct countersign_member *members;
  // How many there are.
  size_t members_count;
  // Whether the others install where one ECU cannot take its part. By default nobody does.
  bool best_effort;
} countersign_primary_options;

// What holds for a whole session.
typedef struct countersign_context {
  // The time of the whole session (TUF 5.1), in seconds since 1970-01-01T00:00:00Z.
  int64_t now;
  // The repository's name in refusals; NULL for none.
  const char *repository;
  // Bounds; all zero for the defaults.
  struct countersign_limits limits;
} countersign_context;

// A step of a session. What it points to lives until the next call on the session.
typedef struct countersign_step {
  // What is needed. The members below are 0 or NULL where a kind has none.
  countersign_step_kind kind;
  // The file's name. In the store: one component of a path, without ending and harmless whatever
  // a role is called, such as "timestamp". In the repository: as it stands in a URL, such as
  // "4.snapshot.json".
  const char *name;
  // FETCH: the role whose file it is.
  const char *role;
  // FETCH: stop reading after so many bytes.
  uint64_t max_len;
  // SAVE: the file's version.
  uint64_t version;
  // SAVE: the version of the Root that the file was accepted under. Keep it with the file.
  uint64_t accepted_under;
  // SAVE: the file as received.
  const uint8_t *bytes;
  // SAVE: its length.
  size_t len;
  // SAVE: of a Root, the name under which it is kept for ever, such as "root+4".
  const char *history_name;
} countersign_step;

// Versions of the top-level roles.
typedef struct countersign_versions {
  // Root.
  uint64_t root;
  // Timestamp; 0 out of an offline bundle, which has none.
  uint64_t timestamp;
  // Snapshot.
  uint64_t snapshot;
  // Top-level Targets.
  uint64_t targets;
} countersign_versions;

// Where the bytes of an image are served.
typedef struct countersign_origin {
  // Below what.
  countersign_origin_kind kind;
  // The rest of the URL, or the whole of it. It lives as long as the image's handle.
  const char *text;
} countersign_origin;

// A vehicle, as whoever verifies knows it.
typedef struct countersign_vehicle {
  // Its unique identifier (VIN).
  const char *vin;
  // A Primary: all ECUs of the vehicle, its own included. Metadata that names another one is
  // refused. A Secondary: itself alone, and `is_secondary` is true; what is for others is not
  // its business.
  const struct countersign_ecu_id *ecus;
  // How many there are.
  size_t ecus_count;
  // Whether `ecus` is the one ECU that verifies for itself.
  bool is_secondary;
} countersign_vehicle;

// The latest attested time, as it is kept from cycle to cycle. All zero for none.
typedef struct countersign_time_floor {
  // 1 if there is one, otherwise 0. Anything else is refused: it was damaged where it was kept.
  uint8_t is_set;
  // No earlier time will be believed: seconds since 1970-01-01T00:00:00Z.
  int64_t time;
  // Names the keys that said so. Not secret; keep it with the time.
  uint8_t keys[32];
} countersign_time_floor;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// This library's version, such as "0.1.0". The text lives for ever.
const char *countersign_version(void);

// How many handles are out, errors included, in all threads: 0 when everything was freed.
size_t countersign_live_handles(void);

// Makes a client. Nothing is asked for yet. `client` gets a new handle, which you free; everything in
// `options` is copied, and what the `user` pointers of callbacks point to has to live as long as the
// client.
//
// Refuses with COUNTERSIGN_USAGE for a URL that files cannot be asked for below, and with
// COUNTERSIGN_STORE_FAILED if the directory cannot be used or is in use by another process.
countersign_status countersign_client_new(const struct countersign_client_options *options,
                                          struct countersign_client **client,
                                          struct countersign_error **error);

// Puts the first Root, which came here out of band, into the store (TUF 5.2). Makes no request. Fine
// if it is there already, or if the trusted one was reached from it.
//
// Refuses with COUNTERSIGN_ROOT_CONFLICT if another one is trusted, and for what is wrong with it.
countersign_status countersign_client_init(struct countersign_client *client,
                                           const uint8_t *root,
                                           size_t root_len,
                                           struct countersign_error **error);

// Follows the repository to its current state (TUF 5.1 to 5.6.6), at `now`: seconds since
// 1970-01-01T00:00:00Z, or COUNTERSIGN_SYSTEM_TIME. What was verified is kept also when the call
// fails, and the next refresh goes on from it.
//
// `trusted` gets a new handle, which you free.
// Refuses for everything that docs/refusals.md lists.
countersign_status countersign_client_refresh(struct countersign_client *client,
                                              int64_t now,
                                              struct countersign_trusted **trusted,
                                              struct countersign_error **error);

// Looks for the image at `path` (TUF 5.6.7), which may fetch delegated roles. `target` gets a new
// handle, which you free.
//
// Refuses with COUNTERSIGN_TARGET_NOT_FOUND, with its cause if something was refused.
countersign_status countersign_client_find(struct countersign_client *client,
                                           struct countersign_trusted *trusted,
                                           const char *path,
                                           struct countersign_target **target,
                                           struct countersign_error **error);

// Gets the image from below `targets_url` into `directory`, unless the right one is there already
// (TUF 5.7). It has its name there only once it is proven; until then it grows in `partial_dir`, from
// where a later call goes on. With a store in a directory `partial_dir` may be NULL.
//
// `progress` may be NULL; it is called on this thread, with `user`. `verified` gets the proof, which
// you free; countersign_verified_file says where the image is.
// Refuses with COUNTERSIGN_IMAGE_HASH, COUNTERSIGN_IMAGE_TOO_LONG, COUNTERSIGN_IMAGE_MISSING, and
// for why it could not be had or kept.
countersign_status countersign_client_download(struct countersign_client *client,
                                               struct countersign_trusted *trusted,
                                               const struct countersign_target *target,
                                               const char *targets_url,
                                               const char *directory,
                                               const char *partial_dir,
                                               countersign_progress progress,
                                               void *user,
                                               struct countersign_verified **verified,
                                               struct countersign_error **error);

// Gets the image from below `targets_url` and passes it to `sink` as it comes, for those who stage it
// by themselves. What the sink gets is bound to no image before this call succeeds: keep it where
// nothing runs it, and throw it away after a refusal.
//
// `now` as for countersign_client_refresh. `verified` gets the proof, which you free.
// Refuses as countersign_client_download, and with COUNTERSIGN_INSTALL_FAILED if the sink does.
countersign_status countersign_client_download_to(struct countersign_client *client,
                                                  const struct countersign_target *target,
                                                  const char *targets_url,
                                                  int64_t now,
                                                  const struct countersign_sink *sink,
                                                  struct countersign_verified **verified,
                                                  struct countersign_error **error);

// Gives a client up; its store is free for another one. NULL is fine.
void countersign_client_free(struct countersign_client *client);

// The time of the system's clock, in seconds since 1970-01-01T00:00:00Z.
//
// Refuses with COUNTERSIGN_TIME_UNAVAILABLE if it is outside the years 0 to 9999.
countersign_status countersign_system_time(int64_t *now, struct countersign_error **error);

// Adds bytes to a buffer. They are copied.
//
// Refuses with COUNTERSIGN_MISUSE beyond 512 MiB, and after the callback.
countersign_status countersign_buffer_append(struct countersign_buffer *buffer,
                                             const uint8_t *bytes,
                                             size_t len,
                                             struct countersign_error **error);

// What an ECU gets at the factory (Uptane 5.4.1): the first Roots of both repositories, and the image
// that it has (or NULL). Fine if all of that is there already.
//
// `options->installer`, `host` and the keys are not looked at. The image's bytes, where they are in the
// file slots, are put there by whoever flashes the device.
// Refuses with COUNTERSIGN_ROOT_CONFLICT if another Root is trusted, and for what is wrong with one.
countersign_status countersign_ecu_provision(const struct countersign_ecu_options *options,
                                             const uint8_t *director_root,
                                             size_t director_root_len,
                                             const uint8_t *image_root,
                                             size_t image_root_len,
                                             const struct countersign_installed *factory_image,
                                             struct countersign_error **error);

// Puts an ECU together. An installation that a power cut broke off is brought to its end in its next
// cycle. `ecu` gets a new handle, which you free or give away; everything in `options` is copied, and
// what the `user` pointers of callbacks point to has to live as long as the ECU.
//
// Refuses with COUNTERSIGN_STORE_FAILED if the directory was not provisioned or is in use, and with
// COUNTERSIGN_MISUSE if it is another ECU's.
countersign_status countersign_ecu_open(const struct countersign_ecu_options *options,
                                        struct countersign_ecu **ecu,
                                        struct countersign_error **error);

// Gives an ECU up. NULL is fine.
void countersign_ecu_free(struct countersign_ecu *ecu);

// The version of the Director's Targets that was verified; 0 if none was.
uint64_t countersign_cycle_targets_version(const struct countersign_cycle *cycle);

// The images that both repositories ask for and that were not processed before. `update` gets a new
// handle, which you free.
//
// Refuses with COUNTERSIGN_MISUSE if no Targets was verified.
countersign_status countersign_cycle_update(const struct countersign_cycle *cycle,
                                            struct countersign_update **update,
                                            struct countersign_error **error);

// How many ECUs the cycle came to. 0 for what is no handle.
size_t countersign_cycle_ecus(const struct countersign_cycle *cycle);

// What happened to the ECU at `index`, counted from 0. `serial` and `message` (for people, may be empty)
// get texts that live as long as the handle.
//
// Refuses with COUNTERSIGN_MISUSE beyond the last one.
countersign_status countersign_cycle_ecu(const struct countersign_cycle *cycle,
                                         size_t index,
                                         const char **serial,
                                         countersign_ecu_outcome *outcome,
                                         const char **message,
                                         struct countersign_error **error);

// Why the Director did not get the last manifest; NULL if it did. The text lives as long as the handle.
const char *countersign_cycle_unreported(const struct countersign_cycle *cycle);

// Gives a cycle up. NULL is fine.
void countersign_cycle_free(struct countersign_cycle *cycle);

// What a Primary gets at the factory (Uptane 5.4.1), beside what its own ECU gets: the first Roots of both
// repositories. Fine if they are there already.
//
// Of `options` only the directory is looked at.
// Refuses with COUNTERSIGN_ROOT_CONFLICT if another Root is trusted, and for what is wrong with one.
countersign_status countersign_primary_provision(const struct countersign_primary_options *options,
                                                 const uint8_t *director_root,
                                                 size_t director_root_len,
                                                 const uint8_t *image_root,
                                                 size_t image_root_len,
                                                 struct countersign_error **error);

// Puts a Primary together. `ecu` is given up, whatever comes of it. `primary` gets a new handle, which you
// free; everything in `options` is copied, and what the `user` pointers of callbacks point to has to live
// as long as the Primary.
//
// Refuses with COUNTERSIGN_STORE_FAILED if the directory was not provisioned or is in use.
countersign_status countersign_primary_open(const struct countersign_primary_options *options,
                                            struct countersign_ecu *ecu,
                                            struct countersign_primary **primary,
                                            struct countersign_error **error);

// One cycle, in the order of the Standard: manifest, time, metadata, images, then all of that for every ECU,
// and the manifest again. What was verified is kept also when it is refused.
//
// `cycle` gets a new handle, which you free, also after a refusal: NULL only if this machine failed.
// Refuses for everything that docs/refusals.md lists; that an ECU refused is in the cycle.
countersign_status countersign_primary_cycle(struct countersign_primary *primary,
                                             struct countersign_cycle **cycle,
                                             struct countersign_error **error);

// The first half of a cycle: verifies metadata and images, and installs nothing. Otherwise as
// countersign_primary_cycle.
countersign_status countersign_primary_fetch(struct countersign_primary *primary,
                                             struct countersign_cycle **cycle,
                                             struct countersign_error **error);

// As countersign_primary_cycle, with the metadata and images of an offline bundle (PURE-2). The Director
// is told if it can be reached, and asked for the time; without it the latest time that was attested
// counts. `bundle` stays yours.
countersign_status countersign_primary_cycle_from(struct countersign_primary *primary,
                                                  struct countersign_bundle *bundle,
                                                  struct countersign_cycle **cycle,
                                                  struct countersign_error **error);

// As countersign_primary_fetch, with the metadata and images of an offline bundle. Otherwise as
// countersign_primary_cycle_from.
countersign_status countersign_primary_fetch_from(struct countersign_primary *primary,
                                                  struct countersign_bundle *bundle,
                                                  struct countersign_cycle **cycle,
                                                  struct countersign_error **error);

// Gives a Primary and its own ECU up. NULL is fine.
void countersign_primary_free(struct countersign_primary *primary);

// Listens at `address`, such as "192.0.2.7:4711", or port 0 for a free one. `ecu` is given up, whatever
// comes of it; `server` gets a new handle, which you free.
//
// Refuses with COUNTERSIGN_USAGE if that address cannot be had.
countersign_status countersign_ecu_listen(struct countersign_ecu *ecu,
                                          const char *address,
                                          struct countersign_server **server,
                                          struct countersign_error **error);

// Where it listens, such as "127.0.0.1:49152". It lives as long as the handle.
const char *countersign_server_address(const struct countersign_server *server);

// Waits for the next call of the Primary, for at most `wait_ms` milliseconds, and answers it: verifying,
// staging, installing and reporting happen in here, which takes as long as it takes. `served` says whether
// there was a call. Call it in a loop, with a wait after which the loop may end: nothing else ends it.
//
// Refuses with COUNTERSIGN_SECONDARY_UNREACHABLE if this call failed. The next one may be served all the
// same.
countersign_status countersign_server_serve_next(struct countersign_server *server,
                                                 uint32_t wait_ms,
                                                 bool *served,
                                                 struct countersign_error **error);

// Gives a server and its ECU up. NULL is fine.
void countersign_server_free(struct countersign_server *server);

// The number of the refusal: what the call that failed has returned. 0 for NULL.
countersign_status countersign_error_code(const struct countersign_error *error);

// The stable name of the refusal, such as "signature-threshold". NULL for NULL.
const char *countersign_error_name(const struct countersign_error *error);

// The attack that was stopped, such as "rollback", or "none". NULL for NULL.
const char *countersign_error_attack(const struct countersign_error *error);

// The role whose file was refused; empty where no role is concerned. NULL for NULL.
const char *countersign_error_role(const struct countersign_error *error);

// The repository that is concerned, by the name that the session was given. NULL for NULL.
const char *countersign_error_repository(const struct countersign_error *error);

// What went wrong, for people: one line without control characters. NULL for NULL.
const char *countersign_error_message(const struct countersign_error *error);

// For COUNTERSIGN_TARGET_NOT_FOUND: the number of what ended the search, or 0 if nothing was
// refused.
countersign_status countersign_error_cause(const struct countersign_error *error);

// Gives an error up, and with it the texts that were read from it. NULL is fine.
void countersign_error_free(struct countersign_error *error);

// The name of a status: "ok" for 0, NULL for a number that this version does not know. The text
// lives for ever.
const char *countersign_status_name(countersign_status status);

// Takes the next bytes, as they are served: of an encrypted image the ciphertext, which
// countersign_directed_open_encrypted decrypts into your sink.
//
// Refuses with COUNTERSIGN_IMAGE_TOO_LONG as soon as they go beyond the signed length: stop reading.
// After a refusal the stream refuses everything.
countersign_status countersign_image_update(struct countersign_image *image,
                                            const uint8_t *bytes,
                                            size_t len,
                                            struct countersign_error **error);

// Ends the image, and gives the handle up, whatever comes of it.
//
// `verified` gets the proof, which you free. It gets NULL after a success of
// countersign_directed_open_download: that what is served was seen whole makes no image of it.
//
// Refuses with COUNTERSIGN_IMAGE_HASH when it is too short or a listed hash differs; what was staged
// must then not be used.
countersign_status countersign_image_finish(struct countersign_image *image,
                                            struct countersign_verified **verified,
                                            struct countersign_error **error);

// Gives an image up before its end. NULL is fine.
void countersign_image_free(struct countersign_image *image);

// The target path. It lives as long as the handle.
const char *countersign_verified_path(const struct countersign_verified *verified);

// Where this library has put the image, as a path of this system; NULL if the bytes went through
// your hands. It lives as long as the handle.
const char *countersign_verified_file(const struct countersign_verified *verified);

// Its length in bytes. 0 for what is no handle.
uint64_t countersign_verified_length(const struct countersign_verified *verified);

// The 32 bytes of its SHA-256; NULL if none is listed. They live as long as the handle.
const uint8_t *countersign_verified_sha256(const struct countersign_verified *verified);

// Whether the metadata that names the image is still fresh at `now`, in seconds since
// 1970-01-01T00:00:00Z. Ask before you activate what was staged some time ago.
//
// Refuses with COUNTERSIGN_EXPIRED.
countersign_status countersign_verified_check_fresh(const struct countersign_verified *verified,
                                                    int64_t now,
                                                    struct countersign_error **error);

// Gives a proof up. NULL is fine.
void countersign_verified_free(struct countersign_verified *verified);

// Starts following a TUF repository to its current state (TUF 5.1 to 5.6.6). Ends with what
// countersign_session_take_trusted takes.
//
// `session` gets a new session, which you free.
// Refuses with COUNTERSIGN_MISUSE what is no context.
countersign_status countersign_session_refresh(const struct countersign_context *context,
                                               struct countersign_session **session,
                                               struct countersign_error **error);

// Starts following a chain of Roots to its end (TUF 5.3, Uptane 5.4.4.3). That takes no time:
// `context->now` is not looked at. Ends with what countersign_session_take_root takes.
//
// `session` gets a new session, which you free.
// Refuses with COUNTERSIGN_MISUSE what is no context.
countersign_status countersign_session_follow_root(const struct countersign_context *context,
                                                   struct countersign_session **session,
                                                   struct countersign_error **error);

// Judges a first Root, which came here out of band (TUF 5.2): it has to be signed by its own threshold.
// Keep it as "root+VERSION" and then as "root", and sessions can go on from it. `version` gets its version.
//
// Ask this once, at manufacture, and never where there is a "root" already: that one may be newer, and what
// replaces it would be believed in its place. Refuses for what is wrong with it.
countersign_status countersign_provision_root(const uint8_t *root,
                                              size_t root_len,
                                              uint64_t *version,
                                              struct countersign_error **error);

// Starts looking for the image at `path` (TUF 5.6.7). Ends with what
// countersign_session_take_target takes.
//
// The session borrows `trusted`: until it is over or freed, other calls on `trusted` are refused
// with COUNTERSIGN_MISUSE. `session` gets a new session, which you free.
countersign_status countersign_session_search(struct countersign_trusted *trusted,
                                              const char *path,
                                              struct countersign_session **session,
                                              struct countersign_error **error);

// What the session needs next. The step stays the same until it is answered.
//
// `step` is filled in; what it points to lives until the next call on the session. A step of kind
// COUNTERSIGN_STEP_DONE means that the session has succeeded: take the result. A refusal is
// returned as a status of its own, and ends the session: there is nothing left to go on with.
countersign_status countersign_session_next(struct countersign_session *session,
                                            struct countersign_step *step,
                                            struct countersign_error **error);

// Answers COUNTERSIGN_STEP_LOAD with a file of your store. The bytes are copied.
//
// This and the other answers refuse with COUNTERSIGN_MISUSE once the session is over. What is wrong with an
// answer, that it does not fit the step among others, the next countersign_session_next says, and the
// session has ended with it.
//
// `accepted_under` is the Root version that the file was saved with; 0 if your store does not know.
countersign_status countersign_session_supply_stored(struct countersign_session *session,
                                                     const uint8_t *bytes,
                                                     size_t len,
                                                     uint64_t accepted_under,
                                                     struct countersign_error **error);

// Answers COUNTERSIGN_STEP_FETCH with the whole file. The bytes are copied. Refuses as
// countersign_session_supply_stored.
countersign_status countersign_session_supply_fetched(struct countersign_session *session,
                                                      const uint8_t *bytes,
                                                      size_t len,
                                                      struct countersign_error **error);

// Takes the next bytes of the file that COUNTERSIGN_STEP_FETCH asks for, where it arrives in
// pieces; the bytes are copied. Nothing is decided before countersign_session_end_of_file.
//
// Refuses with COUNTERSIGN_TOO_LARGE beyond `max_len` of the step: stop sending, and end the file.
countersign_status countersign_session_feed(struct countersign_session *session,
                                            const uint8_t *bytes,
                                            size_t len,
                                            struct countersign_error **error);

// Says that the file which came in pieces is complete. Refuses as countersign_session_supply_stored.
countersign_status countersign_session_end_of_file(struct countersign_session *session,
                                                   struct countersign_error **error);

// Answers COUNTERSIGN_STEP_LOAD or COUNTERSIGN_STEP_FETCH: there is no such file. Say so of a file
// to be fetched only if the repository says so (HTTP 404, 410, or 403 from object stores). If it
// cannot be reached, there is no answer: free the session, and start another one later. Refuses as
// countersign_session_supply_stored.
countersign_status countersign_session_supply_not_found(struct countersign_session *session,
                                                        struct countersign_error **error);

// Answers COUNTERSIGN_STEP_FETCH: the file goes on after `max_len` bytes. Refuses as
// countersign_session_supply_stored.
countersign_status countersign_session_supply_too_large(struct countersign_session *session,
                                                        struct countersign_error **error);

// Answers COUNTERSIGN_STEP_SAVE: the file is durable. A power cut from now on must not lose it. Refuses as
// countersign_session_supply_stored.
countersign_status countersign_session_supply_saved(struct countersign_session *session,
                                                    struct countersign_error **error);

// Takes what countersign_session_follow_root ends with. `root` gets a new handle, which you free.
//
// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
countersign_status countersign_session_take_root(struct countersign_session *session,
                                                 struct countersign_root **root,
                                                 struct countersign_error **error);

// Takes what countersign_session_refresh and countersign_session_image end with. `trusted` gets a
// new handle, which you free.
//
// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
countersign_status countersign_session_take_trusted(struct countersign_session *session,
                                                    struct countersign_trusted **trusted,
                                                    struct countersign_error **error);

// Takes what countersign_session_search ends with. `target` gets a new handle, which you free.
//
// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
countersign_status countersign_session_take_target(struct countersign_session *session,
                                                   struct countersign_target **target,
                                                   struct countersign_error **error);

// Takes what countersign_session_director ends with. `director` gets a new handle, which you free
// or give to countersign_session_resolve.
//
// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
countersign_status countersign_session_take_director(struct countersign_session *session,
                                                     struct countersign_director **director,
                                                     struct countersign_error **error);

// Takes what countersign_session_resolve and countersign_session_partial end with. `update` gets a
// new handle, which you free.
//
// Refuses with COUNTERSIGN_MISUSE before the end, a second time, and for other sessions.
countersign_status countersign_session_take_update(struct countersign_session *session,
                                                   struct countersign_update **update,
                                                   struct countersign_error **error);

// Gives a session up, at any step: what was saved until then is where the next one goes on. NULL
// is fine.
void countersign_session_free(struct countersign_session *session);

// The target path, as it was looked for. It lives as long as the handle.
const char *countersign_target_path(const struct countersign_target *target);

// Its length in bytes. 0 for what is no handle.
uint64_t countersign_target_length(const struct countersign_target *target);

// The 32 bytes of its SHA-256; NULL if none is listed. They live as long as the handle.
const uint8_t *countersign_target_sha256(const struct countersign_target *target);

// The 64 bytes of its SHA-512; NULL if none is listed. They live as long as the handle.
const uint8_t *countersign_target_sha512(const struct countersign_target *target);

// Its `custom` as a JSON object; NULL if there is none. It lives as long as the handle.
const char *countersign_target_custom(const struct countersign_target *target);

// The role that lists it. It lives as long as the handle.
const char *countersign_target_role(const struct countersign_target *target);

// Where it is below the targets URL, as it stands in a URL: "dir/HASH.name" in a consistent
// repository (TUF 5.7.3). NULL if no hash that is known here is listed. It lives as long as the
// handle.
const char *countersign_target_remote_path(const struct countersign_target *target);

// When the first of the files that lead to it expires, in seconds since 1970-01-01T00:00:00Z.
// INT64_MIN for what is no handle.
int64_t countersign_target_valid_until(const struct countersign_target *target);

// Starts checking the image's bytes (TUF 5.7) at `now`, in seconds since 1970-01-01T00:00:00Z.
// `image` gets a new handle, which you free or finish.
//
// Refuses with COUNTERSIGN_EXPIRED when the metadata that names it has expired since, and with
// COUNTERSIGN_NO_KNOWN_HASH.
countersign_status countersign_target_open(const struct countersign_target *target,
                                           int64_t now,
                                           struct countersign_image **image,
                                           struct countersign_error **error);

// Gives a target up. NULL is fine.
void countersign_target_free(struct countersign_target *target);

// The versions that are trusted. All are 0 for what is no handle.
struct countersign_versions countersign_trusted_versions(const struct countersign_trusted *trusted);

// The time at which all of it was current, in seconds since 1970-01-01T00:00:00Z. INT64_MIN for
// what is no handle.
int64_t countersign_trusted_now(const struct countersign_trusted *trusted);

// Gives a state up. NULL is fine.
void countersign_trusted_free(struct countersign_trusted *trusted);

// Opens the bundle at `path` (docs/offline-bundles.md). `bundle` gets a new handle, which you free.
//
// Refuses with COUNTERSIGN_USAGE what cannot be read or is no bundle.
countersign_status countersign_bundle_open(const char *path,
                                           struct countersign_bundle **bundle,
                                           struct countersign_error **error);

// The name of its Offline Targets file, for countersign_session_director or
// countersign_session_partial. It lives as long as the handle; NULL for what is no handle.
const char *countersign_bundle_offline_name(const struct countersign_bundle *bundle);

// Passes the file `name` of a bundle to `sink`, such as "director/metadata/2.root.json". What a session
// fetches is below "director/metadata/" (the chain of Roots), "director/offline/" (Offline Snapshot and
// Targets) and "image/metadata/"; the image with the content name NAME is "images/NAME", of which at
// most 100 characters count. `found` says whether there is such a file.
//
// Refuses with COUNTERSIGN_TOO_LARGE what goes on after `max_len` bytes, with
// COUNTERSIGN_FETCH_FAILED what cannot be read, and with COUNTERSIGN_INSTALL_FAILED if the sink does.
countersign_status countersign_bundle_read(struct countersign_bundle *bundle,
                                           const char *name,
                                           uint64_t max_len,
                                           const struct countersign_sink *sink,
                                           bool *found,
                                           struct countersign_error **error);

// Gives a bundle up. NULL is fine.
void countersign_bundle_free(struct countersign_bundle *bundle);

// The serial of the ECU that it is for. It lives as long as the handle.
const char *countersign_directed_ecu_serial(const struct countersign_directed *directed);

// The hardware that it is for. It lives as long as the handle.
const char *countersign_directed_hardware_id(const struct countersign_directed *directed);

// The image's filename. It lives as long as the handle.
const char *countersign_directed_path(const struct countersign_directed *directed);

// Length of the plaintext in bytes. 0 for what is no handle.
uint64_t countersign_directed_length(const struct countersign_directed *directed);

// The 32 bytes of the plaintext's SHA-256; NULL if none is listed. They live as long as the handle.
const uint8_t *countersign_directed_sha256(const struct countersign_directed *directed);

// The 64 bytes of the plaintext's SHA-512; NULL if none is listed. They live as long as the handle.
const uint8_t *countersign_directed_sha512(const struct countersign_directed *directed);

// Its release counter. 0 for what is no handle.
uint64_t countersign_directed_release_counter(const struct countersign_directed *directed);

// Whether what is served is encrypted for this ECU. False for what is no handle.
bool countersign_directed_is_encrypted(const struct countersign_directed *directed);

// Length of what is served, in bytes: of the ciphertext where there is one. 0 for what is no handle.
uint64_t countersign_directed_download_length(const struct countersign_directed *directed);

// What is served, named by its content: "sha256-" or "sha512-" and hexadecimal digits. A Primary
// keeps it under this name, and Secondaries ask for it so. NULL if no hash that is known here is
// listed. It lives as long as the handle.
const char *countersign_directed_content_name(const struct countersign_directed *directed);

// Where it is served. `origin` is filled in; its text lives as long as the handle.
//
// Refuses with COUNTERSIGN_NO_KNOWN_HASH.
countersign_status countersign_directed_origin(const struct countersign_directed *directed,
                                               struct countersign_origin *origin,
                                               struct countersign_error **error);

// When the first of the files that lead to it expires, in either repository, in seconds since
// 1970-01-01T00:00:00Z. INT64_MIN for what is no handle.
int64_t countersign_directed_valid_until(const struct countersign_directed *directed);

// Starts checking what is served, at `now`: a Primary does so for all its ECUs (5.4.2.4). `image`
// gets a new handle, which you free or finish; it yields no countersign_verified.
//
// Refuses with COUNTERSIGN_EXPIRED and COUNTERSIGN_NO_KNOWN_HASH.
countersign_status countersign_directed_open_download(const struct countersign_directed *directed,
                                                      int64_t now,
                                                      struct countersign_image **image,
                                                      struct countersign_error **error);

// The image gate (5.4.3.4): on `ecu`, where `last_installed` (or NULL) is the last image of its
// hardware, at `now`. The stream takes the plaintext. `image` gets a new handle, which you free or
// finish.
//
// Refuses with COUNTERSIGN_ECU_UNKNOWN, COUNTERSIGN_HARDWARE_MISMATCH,
// COUNTERSIGN_RELEASE_COUNTER_ROLLBACK, COUNTERSIGN_SAME_VERSION_DIFFERENT_CONTENT,
// COUNTERSIGN_EXPIRED and COUNTERSIGN_NO_KNOWN_HASH.
countersign_status countersign_directed_open_image(const struct countersign_directed *directed,
                                                   const struct countersign_ecu_id *ecu,
                                                   const struct countersign_installed *last_installed,
                                                   int64_t now,
                                                   struct countersign_image **image,
                                                   struct countersign_error **error);

// As countersign_directed_open_image, for an image that is encrypted: the stream takes the
// ciphertext, and `sink` gets the plaintext. `sink` and `decryption` are copied; what their `user`
// points to has to live as long as the image's handle.
//
// Refuses with COUNTERSIGN_KEY_UNWRAP_FAILED, COUNTERSIGN_UNKNOWN_ENCRYPTION and
// COUNTERSIGN_DECRYPT_FAILED besides.
countersign_status countersign_directed_open_encrypted(const struct countersign_directed *directed,
                                                       const struct countersign_ecu_id *ecu,
                                                       const struct countersign_installed *last_installed,
                                                       int64_t now,
                                                       const struct countersign_decryption *decryption,
                                                       const struct countersign_sink *sink,
                                                       struct countersign_image **image,
                                                       struct countersign_error **error);

// Gives an image up. NULL is fine.
void countersign_directed_free(struct countersign_directed *directed);

// Starts following the Director's repository from the last Root, for `vehicle` (Uptane 5.4.4.2 steps
// 2 to 5). Ends with what countersign_session_take_director takes.
//
// `offline_name` is NULL, or the name of the Offline Targets file of a bundle (PURE-2).
// `session` gets a new session, which you free.
countersign_status countersign_session_director(const struct countersign_root *root,
                                                const struct countersign_vehicle *vehicle,
                                                const char *offline_name,
                                                const struct countersign_context *context,
                                                struct countersign_session **session,
                                                struct countersign_error **error);

// Starts following the Image repository, so that it can be asked about what `director` assigns
// (Uptane 5.4.4.2 steps 6 to 9). Ends with what countersign_session_take_trusted takes.
//
// `session` gets a new session, which you free.
countersign_status countersign_session_image(const struct countersign_director *director,
                                             const struct countersign_context *context,
                                             struct countersign_session **session,
                                             struct countersign_error **error);

// Starts looking for every image of `director` in the Image repository, and comparing (Uptane 5.4.4.2
// step 10). Ends with what countersign_session_take_update takes.
//
// `director` is given up, whatever comes of it. The session borrows `trusted`, which comes from
// countersign_session_image: until it is over or freed, other calls on `trusted` are refused with
// COUNTERSIGN_MISUSE. `mapping` is the repository mapping as JSON; `installed` what was installed
// last, one for each ECU that has something. `session` gets a new session, which you free.
countersign_status countersign_session_resolve(struct countersign_director *director,
                                               struct countersign_trusted *trusted,
                                               const char *mapping,
                                               const struct countersign_installed *installed,
                                               size_t installed_count,
                                               struct countersign_session **session,
                                               struct countersign_error **error);

// Starts verifying in part, as small Secondaries do (Uptane 5.4.4.1): the Director's Root and Targets
// and nothing else. Ends with what countersign_session_take_update takes.
//
// `offline_name` is NULL, or the name of the Offline Targets file of a bundle (PURE-2).
// `session` gets a new session, which you free.
countersign_status countersign_session_partial(const struct countersign_root *root,
                                               const char *vin,
                                               const struct countersign_ecu_id *ecu,
                                               const char *offline_name,
                                               const struct countersign_context *context,
                                               struct countersign_session **session,
                                               struct countersign_error **error);

// The version of the Director's Targets. 0 for what is no handle.
uint64_t countersign_director_targets_version(const struct countersign_director *director);

// Gives up what the Director assigns. NULL is fine.
void countersign_director_free(struct countersign_director *director);

// The version of the Director's Targets that asks for it. 0 for what is no handle.
uint64_t countersign_update_targets_version(const struct countersign_update *update);

// The SHA-256 of the signed content of the Director's Targets, written to the 32 bytes at `digest`.
// Keep it with the version when everything was installed: the next time you need not ask the Image
// repository about the same.
countersign_status countersign_update_targets_digest(const struct countersign_update *update,
                                                     uint8_t *digest,
                                                     struct countersign_error **error);

// How many images there are, one for each image and ECU. 0 for what is no handle.
size_t countersign_update_count(const struct countersign_update *update);

// The image at `index`, counted from 0. `directed` gets a new handle, which you free; it outlives
// the update.
//
// Refuses with COUNTERSIGN_MISUSE beyond the last one.
countersign_status countersign_update_image(const struct countersign_update *update,
                                            size_t index,
                                            struct countersign_directed **directed,
                                            struct countersign_error **error);

// Gives an update up. NULL is fine.
void countersign_update_free(struct countersign_update *update);

// The Root's version. 0 for what is no handle.
uint64_t countersign_root_version(const struct countersign_root *root);

// When it expires, in seconds since 1970-01-01T00:00:00Z. INT64_MIN for what is no handle.
int64_t countersign_root_expires(const struct countersign_root *root);

// Whether it names a time server: then countersign_root_attested_time is asked for the time, and no
// clock of the device (Uptane 5.4.2.2). False for what is no handle.
bool countersign_root_names_time_server(const struct countersign_root *root);

// Judges an attestation of the time: it has to be signed as this Root says, to answer `nonce` (16
// random bytes of one use), and not to go behind `floor`.
//
// `attestation` may be NULL, if there is none. `floor` is what you kept; it is replaced, and has to
// be durable before anything is judged by `now`. `now` gets seconds since 1970-01-01T00:00:00Z, and
// `attested` whether it comes from the attestation: if the Root names no time server it is false, and
// `now` is INT64_MIN, which no session takes: ask a secure clock.
//
// Refuses with COUNTERSIGN_TIME_UNAVAILABLE, COUNTERSIGN_TIME_REPLAYED,
// COUNTERSIGN_TIME_WENT_BACK, and for what is wrong with the file.
countersign_status countersign_root_attested_time(const struct countersign_root *root,
                                                  const uint8_t *attestation,
                                                  size_t attestation_len,
                                                  const uint8_t *nonce,
                                                  struct countersign_time_floor *floor,
                                                  int64_t *now,
                                                  bool *attested,
                                                  struct countersign_error **error);

// The time for an update out of an offline bundle (PURE-2), where nobody answers a nonce: the latest
// that was attested under the keys that this Root names. Otherwise as
// countersign_root_attested_time; `floor` is not changed.
//
// Refuses with COUNTERSIGN_TIME_UNAVAILABLE if nothing was attested under these keys.
countersign_status countersign_root_latest_attested(const struct countersign_root *root,
                                                    const struct countersign_time_floor *floor,
                                                    int64_t *now,
                                                    bool *attested,
                                                    struct countersign_error **error);

// Gives a Root up. NULL is fine.
void countersign_root_free(struct countersign_root *root);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* COUNTERSIGN_H */
