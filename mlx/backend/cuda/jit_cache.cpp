// The folder $XDG_CACHE_HOME/lazuli/cuda, or ~/.cache/lazuli/cuda. Code from it runs with the
// user's rights, so folder and files must be the user's own and writable by nobody else.
#include "mlx/backend/cuda/jit_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "mlx/core/faults.h"

namespace mlx::core::cuda {

namespace {

namespace fs = std::filesystem;
using faults::Point;

constexpr off_t most_bytes = off_t{256} << 20;  // far more than any kernel has

bool is_ours(const struct stat& info) {
  return info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

fs::path make_folder() {
  const char* base = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (base && *base) {
    folder = fs::path(base) / "lazuli" / "cuda";
  } else if (home && *home) {
    folder = fs::path(home) / ".cache" / "lazuli" / "cuda";
  } else {
    return {};
  }
  std::error_code error;
  fs::create_directories(folder, error);
  struct stat info {};
  if (error || stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || !is_ours(info)) {
    return {};
  }
  return folder;
}

const fs::path& folder() {
  static const auto* path = new fs::path(make_folder());
  return *path;
}

bool write_all(int file, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    bool fault = faults::strikes(Point::write);
    ssize_t n = fault ? -1 : write(file, bytes.data() + done, bytes.size() - done);
    if (n <= 0) {
      return false;
    }
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

/** FNV-1a of 64 bits from two starting values, side by side. */
std::string text_digest(const std::string& text) {
  constexpr char digits[] = "0123456789abcdef";
  constexpr uint64_t prime = 0x100000001b3ull;
  uint64_t hashes[] = {0xcbf29ce484222325ull, 0x9e3779b97f4a7c15ull};
  for (unsigned char c : text) {
    for (uint64_t& hash : hashes) hash = (hash ^ c) * prime;
  }
  std::string digest;
  for (uint64_t hash : hashes) {
    hash ^= hash >> 29;
    for (int shift = 60; shift >= 0; shift -= 4) {
      digest += digits[(hash >> shift) & 15];
    }
  }
  return digest;
}

std::optional<std::string> checked_code(std::string entry) {
  const size_t digits = text_digest("").size();
  if (entry.size() <= digits) {
    return std::nullopt;
  }
  std::string code = entry.substr(digits);
  entry.resize(digits);
  return text_digest(code) == entry ? std::optional(std::move(code)) : std::nullopt;
}

std::optional<std::string> read_cached(const std::string& digest) {
  if (folder().empty()) {
    return std::nullopt;
  }
  bool no_file = faults::strikes(Point::open);
  int file = no_file ? -1 : open((folder() / digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) {
    return std::nullopt;
  }
  struct stat info {};
  std::string code;
  if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && is_ours(info) &&
      info.st_size <= most_bytes) {
    code.resize(static_cast<size_t>(info.st_size));
    size_t done = 0;
    while (done < code.size()) {
      bool fault = faults::strikes(Point::read);
      ssize_t n = fault ? -1 : read(file, code.data() + done, code.size() - done);
      if (n <= 0) {
        code.clear();
        break;
      }
      done += static_cast<size_t>(n);
    }
  }
  close(file);
  return checked_code(std::move(code));
}

bool has_cached(const std::string& digest) {
  return !folder().empty() && access((folder() / digest).c_str(), R_OK) == 0;
}

void write_cached(const std::string& digest, const std::string& code) {
  if (folder().empty()) {
    return;
  }
  std::string temporary = (folder() / (digest + ".XXXXXX")).string();
  int file = faults::strikes(Point::open) ? -1 : mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) {
    return;
  }
  bool written = write_all(file, text_digest(code)) && write_all(file, code);
  close(file);
  bool renamed = written && !faults::strikes(Point::rename) &&
                 rename(temporary.c_str(), (folder() / digest).c_str()) == 0;
  if (!renamed) {
    unlink(temporary.c_str());
  }
}

}  // namespace mlx::core::cuda
