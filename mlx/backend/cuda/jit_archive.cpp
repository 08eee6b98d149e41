// Reading archives: never by mapping them, since a file that is cut meanwhile would end the
// process.
#include "mlx/backend/cuda/jit_archive.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "mlx/backend/cuda/jit_cache.h"
#include "mlx/core/faults.h"

namespace mlx::core::cuda {

namespace {

struct Head {
  char sort[16];  // and version of the format
  uint64_t count;
};

constexpr std::string_view sort = "lazuli kernels 1";

std::filesystem::path library_folder() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&KernelArchive::own), &info);
  return std::filesystem::path(info.dli_fname ? info.dli_fname : "").parent_path();
}

bool read_at(int file, uint64_t offset, void* to, size_t bytes) {
  auto* next = static_cast<char*>(to);
  while (bytes > 0) {
    bool fault = faults::strikes(faults::Point::read);
    ssize_t n = fault ? -1 : pread(file, next, bytes, static_cast<off_t>(offset));
    if (n <= 0) return false;
    next += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

uint64_t size_of(int file) {
  struct stat info {};
  return file >= 0 && fstat(file, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

}  // namespace

KernelArchive::KernelArchive(const std::string& path) {
  bool no_file = faults::strikes(faults::Point::open);
  file_ = no_file ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  Head head;
  uint64_t size = size_of(file_);
  bool is_one = size > sizeof(head) && read_at(file_, 0, &head, sizeof(head)) &&
                std::string_view(head.sort, sizeof(head.sort)) == sort &&
                head.count <= (size - sizeof(head)) / sizeof(Place);
  if (!is_one) return;
  places_.resize(head.count);
  if (!read_at(file_, sizeof(head), places_.data(), head.count * sizeof(Place))) places_.clear();
  std::erase_if(places_,
                [&](const Place& p) { return p.offset > size || p.size > size - p.offset; });
}

KernelArchive::~KernelArchive() {
  if (file_ >= 0) close(file_);
}

const KernelArchive& KernelArchive::own() {
  static const auto* archive = new KernelArchive(library_folder() / "kernels.bin");
  return *archive;
}

std::optional<std::string> KernelArchive::read(const std::string& digest) const {
  const Place* place = place_of(digest);
  if (!place) return std::nullopt;
  std::string entry(place->size, '\0');
  if (!read_at(file_, place->offset, entry.data(), entry.size())) return std::nullopt;
  return checked_code(std::move(entry));
}

const KernelArchive::Place* KernelArchive::place_of(const std::string& digest) const {
  auto name = [](const Place& p) { return std::string_view(p.digest, sizeof(p.digest)); };
  auto found = std::lower_bound(places_.begin(), places_.end(), digest,
                                [&](const Place& p, const std::string& d) { return name(p) < d; });
  return found != places_.end() && name(*found) == digest ? &*found : nullptr;
}

}  // namespace mlx::core::cuda
