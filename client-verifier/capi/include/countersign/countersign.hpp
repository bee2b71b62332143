/*
 * Countersign in C++17: handles that free themselves, and refusals as exceptions.
 *
 * A header over countersign.h; what is not wrapped here is called directly, with get(). Everything that
 * countersign.h says of threads and lifetimes holds.
 */
#ifndef COUNTERSIGN_HPP
#define COUNTERSIGN_HPP

#include <countersign/countersign.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace countersign {

/* Frees a handle. */
template <auto Free> struct Deleter {
    template <class T> void operator()(T *handle) const noexcept { Free(handle); }
};

using SessionHandle = std::unique_ptr<countersign_session, Deleter<countersign_session_free>>;
using TrustedHandle = std::unique_ptr<countersign_trusted, Deleter<countersign_trusted_free>>;
using TargetHandle = std::unique_ptr<countersign_target, Deleter<countersign_target_free>>;
using ImageHandle = std::unique_ptr<countersign_image, Deleter<countersign_image_free>>;
using VerifiedHandle = std::unique_ptr<countersign_verified, Deleter<countersign_verified_free>>;
using ClientHandle = std::unique_ptr<countersign_client, Deleter<countersign_client_free>>;
using RootHandle = std::unique_ptr<countersign_root, Deleter<countersign_root_free>>;
using DirectorHandle = std::unique_ptr<countersign_director, Deleter<countersign_director_free>>;
using UpdateHandle = std::unique_ptr<countersign_update, Deleter<countersign_update_free>>;
using DirectedHandle = std::unique_ptr<countersign_directed, Deleter<countersign_directed_free>>;
using EcuHandle = std::unique_ptr<countersign_ecu, Deleter<countersign_ecu_free>>;
using ServerHandle = std::unique_ptr<countersign_server, Deleter<countersign_server_free>>;
using PrimaryHandle = std::unique_ptr<countersign_primary, Deleter<countersign_primary_free>>;
using CycleHandle = std::unique_ptr<countersign_cycle, Deleter<countersign_cycle_free>>;

/* What the library says; empty where it says nothing, as of an object that was moved from. */
inline std::string text(const char *said) { return said ? said : ""; }

/* A refusal. */
class Refused : public std::runtime_error {
  public:
    /* Takes the particulars over, and frees them. */
    explicit Refused(countersign_error *error)
        : std::runtime_error(text(countersign_error_message(error))),
          code_(countersign_error_code(error)), cause_(countersign_error_cause(error)),
          name_(text(countersign_error_name(error))), attack_(text(countersign_error_attack(error))),
          role_(text(countersign_error_role(error))),
          repository_(text(countersign_error_repository(error))) {
        countersign_error_free(error);
    }

    /* The number: see COUNTERSIGN_SIGNATURE_THRESHOLD and its like. */
    countersign_status code() const noexcept { return code_; }
    /* For COUNTERSIGN_TARGET_NOT_FOUND: the number of what ended the search, or 0. */
    countersign_status cause() const noexcept { return cause_; }
    const std::string &name() const noexcept { return name_; }
    const std::string &attack() const noexcept { return attack_; }
    const std::string &role() const noexcept { return role_; }
    const std::string &repository() const noexcept { return repository_; }

  private:
    countersign_status code_, cause_;
    std::string name_, attack_, role_, repository_;
};

/* Calls a function whose last argument is the place for its error, and throws Refused. */
template <class Function, class... Arguments> void call(Function function, Arguments... arguments) {
    countersign_error *error = nullptr;
    if (function(arguments..., &error) != COUNTERSIGN_OK) throw Refused(error);
}

/* As `call`, for a function that makes a handle as its last result. One that comes with a refusal is freed: see
 * Primary::cycle where it is wanted. */
template <class Handle, class Function, class... Arguments>
Handle make(Function function, Arguments... arguments) {
    typename Handle::pointer handle = nullptr;
    countersign_error *error = nullptr;
    const countersign_status status = function(arguments..., &handle, &error);
    Handle owned(handle);
    if (status != COUNTERSIGN_OK) throw Refused(error);
    return owned;
}

/* A handle that is there: what says something of an image never stands for nothing. */
template <class Handle> Handle present(Handle handle) {
    if (!handle) throw std::invalid_argument("countersign: there is no handle");
    return handle;
}

/* The time of the system's clock, in seconds since 1970-01-01T00:00:00Z. */
inline std::int64_t system_time() {
    std::int64_t now = 0;
    call(countersign_system_time, &now);
    return now;
}

/* The proof that an image is the one that was signed: what an installer should ask for. It takes over a handle
 * that the library has made, and throws std::invalid_argument if there is none. Whoever forges pointers can
 * make one up: then the library refuses it with COUNTERSIGN_MISUSE, in check_fresh and wherever else it is asked. */
class Verified {
  public:
    explicit Verified(VerifiedHandle handle) : handle_(present(std::move(handle))) {}

    std::string path() const { return text(countersign_verified_path(handle_.get())); }
    std::uint64_t length() const { return countersign_verified_length(handle_.get()); }
    /* Where it is; empty if it went through the caller's hands. */
    std::string file() const { return text(countersign_verified_file(handle_.get())); }
    /* Throws if the metadata that names it has expired. Ask before you install. */
    void check_fresh(std::int64_t now = system_time()) const {
        call(countersign_verified_check_fresh, handle_.get(), now);
    }
    const countersign_verified *get() const noexcept { return handle_.get(); }

  private:
    VerifiedHandle handle_;
};

/* An image that current metadata lists. */
class Target {
  public:
    explicit Target(TargetHandle handle) : handle_(present(std::move(handle))) {}

    std::string path() const { return text(countersign_target_path(handle_.get())); }
    std::uint64_t length() const { return countersign_target_length(handle_.get()); }
    const countersign_target *get() const noexcept { return handle_.get(); }

  private:
    TargetHandle handle_;
};

/* The current state of a repository. */
class Trusted {
  public:
    explicit Trusted(TrustedHandle handle) : handle_(present(std::move(handle))) {}

    countersign_versions versions() const { return countersign_trusted_versions(handle_.get()); }
    countersign_trusted *get() noexcept { return handle_.get(); }

  private:
    TrustedHandle handle_;
};

/* The blocking client of a repository. */
class Client {
  public:
    /* Told how many bytes of how many have come. */
    using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

    Client(const std::string &metadata_dir, const std::string &metadata_url) {
        countersign_client_options options{};
        options.size = sizeof options;
        options.metadata_dir = metadata_dir.c_str();
        options.metadata_url = metadata_url.c_str();
        handle_ = make<ClientHandle>(countersign_client_new, &options);
    }

    explicit Client(const countersign_client_options &options)
        : handle_(make<ClientHandle>(countersign_client_new, &options)) {}

    /* Trusts the first Root, which came here out of band. */
    void init(const std::vector<std::uint8_t> &root) {
        call(countersign_client_init, handle_.get(), root.data(), root.size());
    }

    Trusted refresh(std::int64_t now = COUNTERSIGN_SYSTEM_TIME) {
        return Trusted(make<TrustedHandle>(countersign_client_refresh, handle_.get(), now));
    }

    Target find(Trusted &trusted, const std::string &path) {
        return Target(make<TargetHandle>(countersign_client_find, handle_.get(), trusted.get(), path.c_str()));
    }

    Verified download(Trusted &trusted, const Target &target, const std::string &targets_url,
                      const std::string &directory, Progress progress = {}) {
        countersign_progress told = progress ? &Client::tell : nullptr;
        return Verified(make<VerifiedHandle>(
            countersign_client_download, handle_.get(), trusted.get(), target.get(), targets_url.c_str(),
            directory.c_str(), static_cast<const char *>(nullptr), told, static_cast<void *>(&progress)));
    }

    countersign_client *get() noexcept { return handle_.get(); }

  private:
    /* No exception leaves a callback. */
    static void tell(void *user, std::uint64_t received, std::uint64_t length) noexcept {
        try {
            (*static_cast<Progress *>(user))(received, length);
        } catch (...) {
        }
    }

    ClientHandle handle_;
};

/* What a cycle came to: its handle, and why it was refused, if it was. */
struct Cycle {
    CycleHandle handle;
    std::optional<Refused> refusal;
};

/* The Primary of a vehicle. */
class Primary {
  public:
    /* Gives the ECU up, whatever comes of it. */
    Primary(const countersign_primary_options &options, EcuHandle ecu)
        : handle_(make<PrimaryHandle>(countersign_primary_open, &options, ecu.release())) {}

    /* One cycle. That it was refused is in what it returns, with what came of it until then; it throws only if
     * this machine failed, and there is nothing to say of a cycle. */
    Cycle cycle() { return run(countersign_primary_cycle); }
    /* The first half: verifies metadata and images, and installs nothing. */
    Cycle fetch() { return run(countersign_primary_fetch); }

    countersign_primary *get() noexcept { return handle_.get(); }

  private:
    Cycle run(decltype(&countersign_primary_cycle) function) {
        countersign_cycle *cycle = nullptr;
        countersign_error *error = nullptr;
        const countersign_status status = function(handle_.get(), &cycle, &error);
        Cycle came{CycleHandle(cycle), std::nullopt};
        if (status != COUNTERSIGN_OK) came.refusal.emplace(error);
        if (!came.handle) throw *came.refusal;
        return came;
    }

    PrimaryHandle handle_;
};

} // namespace countersign

#endif
