// What the wrappers promise beside what their handles do.
//
//   wrappers REPOSITORY VECTOR HOME
#include <countersign/countersign.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

using namespace countersign;

static void require(bool is_so, const char *what) {
    if (is_so) return;
    std::cerr << "wrappers: " << what << "\n";
    std::abort();
}

static std::vector<std::uint8_t> bytes_of(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    require(file.good(), path.c_str());
    return {std::istreambuf_iterator<char>(file), {}};
}

// No type stands for a proof that is not there, or was moved away.
static void proofs(const std::string &repository, const std::string &home) {
    try {
        Verified none{VerifiedHandle()};
        require(false, "a proof out of nothing");
    } catch (const std::invalid_argument &) {
    }
    const std::string url = "file://" + repository;
    Client client(home + "/client", url + "/metadata");
    client.init(bytes_of(repository + "/metadata/1.root.json"));
    Trusted trusted = client.refresh();
    Target target = client.find(trusted, "fw.img");
    Verified image = client.download(trusted, target, url + "/targets", home + "/images");
    image.check_fresh();
    require(image.path() == "fw.img" && image.length() > 0, "what it says");
    Verified moved = std::move(image);
    require(moved.path() == "fw.img", "what was moved");
    require(image.path().empty() && image.file().empty() && image.length() == 0, "what it was moved from");
    try {
        image.check_fresh();
        require(false, "what was moved away is fresh");
    } catch (const Refused &refused) {
        require(refused.code() == COUNTERSIGN_MISUSE, "what was moved away");
    }
    try {
        moved.check_fresh(4102444800 + 100ll * 31557600);
        require(false, "fresh for ever");
    } catch (const Refused &refused) {
        require(refused.code() == COUNTERSIGN_EXPIRED, "expired");
    }
}

static std::int32_t sign(void *, const std::uint8_t *, std::size_t, std::uint8_t *, std::size_t *len) {
    *len = 64;
    return 0;
}
static std::int32_t put_manifest(void *, const std::uint8_t *, std::size_t) { return COUNTERSIGN_ANSWER_OK; }
static std::int32_t attest(void *, const std::uint8_t *, std::size_t, countersign_buffer *) {
    return COUNTERSIGN_ANSWER_NOT_FOUND;
}

// A cycle that is refused is one all the same: the Director wants something of an ECU that is not in this vehicle.
static void cycles(const std::string &vector, const std::string &home) {
    const std::string mapping = "{\"repositories\":{\"director\":[\"file://" + vector + "/director\"],\"image\":[\"file://" +
                                vector + "/image\"]},\"mapping\":[{\"paths\":[\"*\"],\"repositories\":[\"director\","
                                "\"image\"],\"threshold\":2,\"terminating\":true}]}";
    const std::string key = "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"" +
                            std::string(64, '5') + "\"}}";
    const std::string own = home + "/own", primary_directory = home + "/primary";
    const countersign_signer signer{nullptr, key.c_str(), sign};
    const countersign_director_link link{nullptr, put_manifest, attest};
    countersign_ecu_options ecu{};
    ecu.size = sizeof ecu;
    ecu.vin = "VIN-OF-THIS-CAR", ecu.serial = "P1", ecu.hardware_id = "pcu-a";
    ecu.mapping = mapping.c_str(), ecu.directory = own.c_str(), ecu.signer = &signer;
    countersign_primary_options options{};
    options.size = sizeof options;
    options.vin = ecu.vin, options.serial = ecu.serial, options.hardware_id = ecu.hardware_id;
    options.mapping = ecu.mapping, options.directory = primary_directory.c_str(), options.signer = &signer;
    options.director = &link;
    const auto director = bytes_of(vector + "/director/metadata/1.root.json");
    const auto image = bytes_of(vector + "/image/metadata/1.root.json");
    call(countersign_ecu_provision, &ecu, director.data(), director.size(), image.data(), image.size(), nullptr);
    call(countersign_primary_provision, &options, director.data(), director.size(), image.data(), image.size());

    Primary primary(options, make<EcuHandle>(countersign_ecu_open, &ecu));
    for (const Cycle &cycle : {primary.fetch(), primary.cycle()}) {
        require(cycle.handle != nullptr, "the cycle is there");
        require(cycle.refusal && cycle.refusal->code() == COUNTERSIGN_ECU_UNKNOWN, "and why it was refused");
    }
    // By way of `make` there is the refusal alone; the handle that came with it is freed.
    const std::size_t before = countersign_live_handles();
    try {
        make<CycleHandle>(countersign_primary_cycle, primary.get());
        require(false, "a cycle");
    } catch (const Refused &refused) {
        require(refused.code() == COUNTERSIGN_ECU_UNKNOWN, "why");
    }
    require(countersign_live_handles() == before, "the cycle is left");
    try {
        Primary twice(options, EcuHandle());
        require(false, "a primary without an ECU");
    } catch (const Refused &refused) {
        require(refused.code() == COUNTERSIGN_MISUSE, "no ECU");
    }
}

int main(int argc, char **argv) try {
    require(argc == 4, "REPOSITORY VECTOR HOME");
    proofs(argv[1], argv[3]);
    cycles(argv[2], argv[3]);
    return 0;
} catch (const std::exception &error) {
    std::cerr << "wrappers: " << error.what() << "\n";
    return 1;
}
