// An updater in C++17. See CMakeLists.txt beside it.
//
//   update DIRECTORY init ROOT
//   update DIRECTORY URL NAME IMAGES
#include <countersign/countersign.hpp>

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

// [install]
// Takes the proof, not bytes or a path. Between downloading and installing there may be days: ask it whether
// the metadata that names the image is still fresh. Switching to the image would go here.
void install(const countersign::Verified &image) {
    image.check_fresh();
    std::cout << image.file() << ": " << image.length() << " bytes, verified, installing\n";
}
// [end install]

// [update]
void update(const std::string &directory, const std::string &url, const std::string &name,
            const std::string &images) {
    countersign::Client client(directory, url + "/metadata");
    countersign::Trusted trusted = client.refresh();
    countersign::Target target = client.find(trusted, name);
    std::uint64_t seen = 0;
    countersign::Verified image = client.download(
        trusted, target, url + "/targets", images,
        [&](std::uint64_t received, std::uint64_t) { seen = received; });
    install(image);
}
// [end update]

int main(int argc, char **argv) try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 3 && words[1] == "init") {
        std::ifstream file(words[2], std::ios::binary);
        if (!file) throw std::runtime_error("cannot read " + words[2]);
        const std::vector<std::uint8_t> root{std::istreambuf_iterator<char>(file), {}};
        countersign::Client(words[0], "https://none.invalid/").init(root);
        return 0;
    }
    if (words.size() != 4) {
        std::cerr << "usage: update DIRECTORY init ROOT | update DIRECTORY URL NAME IMAGES\n";
        return 1;
    }
    update(words[0], words[1], words[2], words[3]);
    return 0;
} catch (const countersign::Refused &refused) {
    std::cerr << "update: " << refused.name() << " (" << refused.code() << "): " << refused.what() << "\n";
    return 1;
} catch (const std::exception &error) {
    std::cerr << "update: " << error.what() << "\n";
    return 1;
}
