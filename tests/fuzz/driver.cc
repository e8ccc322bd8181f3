// Runs a fuzz target without libFuzzer: first every file of its corpus, then seeded mutations of
// them, so that any compiler with a sanitizer can search and every run of the tests repeats the
// same inputs. It has no coverage feedback; the preset `fuzz` has. The mutations are those that
// break parsers of bytes: flipped bits, lengths gone wrong, pieces cut, doubled or taken from
// another input.
//
//   <target> [--runs=N | --seconds=N] [--seed=N] [--max-bytes=N] [file or folder]...
//
// An input that crashes lies in ./crash-<target>, written before it is tried.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;
using Input = std::vector<uint8_t>;

struct Options {
  uint64_t runs = 20'000;
  uint64_t seconds = 0;  // Not 0: run this long instead of `runs` times.
  uint64_t seed = 1;
  size_t bytes_max = 4096;
  std::vector<fs::path> corpus;
};

bool TakeNumber(std::string_view argument, std::string_view flag, uint64_t& value) {
  if (!argument.starts_with(flag)) return false;
  value = std::strtoull(argument.data() + flag.size(), nullptr, 10);
  return true;
}

Options Parse(int argc, char** argv) {
  Options options;
  uint64_t bytes_max = options.bytes_max;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (TakeNumber(argument, "--runs=", options.runs)) continue;
    if (TakeNumber(argument, "--seconds=", options.seconds)) continue;
    if (TakeNumber(argument, "--seed=", options.seed)) continue;
    if (TakeNumber(argument, "--max-bytes=", bytes_max)) continue;
    options.corpus.emplace_back(argument);
  }
  options.bytes_max = bytes_max;
  return options;
}

Input ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(file), {});
}

// The corpus in the order of its names, so that a seed means the same on every file system.
std::vector<Input> ReadCorpus(const std::vector<fs::path>& places) {
  std::vector<fs::path> files;
  for (const fs::path& place : places) {
    if (fs::is_regular_file(place)) files.push_back(place);
    if (!fs::is_directory(place)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(place)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> corpus;
  for (const fs::path& file : files) corpus.push_back(ReadFile(file));
  return corpus;
}

class Mutator {
 public:
  Mutator(const std::vector<Input>& corpus, const Options& options)
      : corpus_(corpus), bytes_max_(options.bytes_max), random_(options.seed) {}

  Input Next() {
    Input input = corpus_.empty() ? Input{} : corpus_[Below(corpus_.size())];
    const size_t changes = 1 + Below(4);
    for (size_t i = 0; i < changes; ++i) Change(input);
    if (input.size() > bytes_max_) input.resize(bytes_max_);
    return input;
  }

 private:
  size_t Below(size_t end) { return end == 0 ? 0 : random_() % end; }

  void Change(Input& input) {
    if (input.empty()) {
      input.resize(1 + Below(16));
      for (uint8_t& byte : input) byte = static_cast<uint8_t>(random_());
      return;
    }
    const size_t at = Below(input.size());
    switch (Below(8)) {
      case 0:
        input[at] ^= static_cast<uint8_t>(1U << Below(8));
        break;
      case 1:
        input[at] = static_cast<uint8_t>(random_());
        break;
      case 2:
        input[at] = kTelling[Below(sizeof kTelling)];
        break;
      case 3:
        input.resize(at);
        break;
      case 4:
        Erase(input, at);
        break;
      case 5:
        Repeat(input, at);
        break;
      case 6:
        Splice(input, at);
        break;
      default:
        SetLength(input, at);
        break;
    }
  }

  void Erase(Input& input, size_t at) {
    const size_t count = 1 + Below(std::min<size_t>(input.size() - at, 32));
    input.erase(input.begin() + at, input.begin() + std::min(at + count, input.size()));
  }

  void Repeat(Input& input, size_t at) {
    const Input piece(input.begin() + at,
                      input.begin() + at + 1 + Below(std::min<size_t>(input.size() - at, 64)));
    const size_t times = 1 + Below(8);
    for (size_t i = 0; i < times && input.size() < bytes_max_; ++i) {
      input.insert(input.begin() + at, piece.begin(), piece.end());
    }
  }

  void Splice(Input& input, size_t at) {
    const Input& other = corpus_.empty() ? input : corpus_[Below(corpus_.size())];
    if (other.empty()) return;
    const size_t from = Below(other.size());
    const Input piece(other.begin() + from,
                      other.begin() + from + 1 + Below(std::min<size_t>(other.size() - from, 128)));
    input.insert(input.begin() + at, piece.begin(), piece.end());
  }

  // A big-endian or little-endian 16- or 32-bit number that is small, huge or off by one.
  void SetLength(Input& input, size_t at) {
    const uint32_t kinds[] = {0,
                              1,
                              0xFFFF,
                              0xFFFFFFFF,
                              0x7FFFFFFF,
                              0x80000000,
                              static_cast<uint32_t>(input.size()),
                              static_cast<uint32_t>(random_())};
    uint32_t value = kinds[Below(std::size(kinds))];
    if (Below(2) == 0) value = __builtin_bswap32(value);
    const size_t width = Below(2) == 0 ? 2 : 4;
    if (at + width > input.size()) return;
    std::memcpy(input.data() + at, &value, width);
  }

  static constexpr uint8_t kTelling[] = {0,   1,   '\n', '\r', '"', '\\', ',', '=', ' ', '{', '}',
                                         '[', ']', '-',  '.',  'e', '/',  ':', 127, 128, 254, 255};

  const std::vector<Input>& corpus_;
  size_t bytes_max_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  const std::vector<Input> corpus = ReadCorpus(options.corpus);
  const fs::path crash = "crash-" + fs::path(argv[0]).filename().string();
  const auto try_input = [](const Input& input) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
  };
  for (const Input& input : corpus) try_input(input);

  // The input lies on disk only while it is tried in a search; the fixed runs of the tests are
  // repeatable by their seed and write nothing.
  Mutator mutator(corpus, options);
  const auto start = std::chrono::steady_clock::now();
  uint64_t runs = 0;
  const auto goes_on = [&] {
    if (options.seconds == 0) return runs < options.runs;
    return std::chrono::steady_clock::now() - start < std::chrono::seconds(options.seconds);
  };
  for (; goes_on(); ++runs) {
    const Input input = mutator.Next();
    if (options.seconds != 0) {
      std::ofstream(crash, std::ios::binary)
          .write(reinterpret_cast<const char*>(input.data()),
                 static_cast<std::streamsize>(input.size()));
    }
    try_input(input);
  }
  fs::remove(crash);
  std::cout << corpus.size() << " corpus inputs, " << runs << " mutations of seed " << options.seed
            << ": no crash\n";
  return 0;
}
