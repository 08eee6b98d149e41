// Writing files so that a reader never sees half of one and a crash leaves the old one: write
// beside, bring it to the disk, then rename.
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <random>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "mlx/core/errors.h"
#include "mlx/core/faults.h"
#include "mlx/io/load.h"

namespace mlx::core::io {

namespace fs = std::filesystem;
using faults::Point;

namespace {

[[noreturn]] void fail_errno(const std::string& what, const std::string& label) {
  throw std::runtime_error("[save] " + what + " " + label + ": " + std::strerror(errno));
}

/** Where a path ends up when links are followed, also those to files that are yet to be made. */
fs::path followed(fs::path path, const std::string& label) {
  constexpr int most_links = 40;
  for (int i = 0; i < most_links; i++) {
    std::error_code error;
    fs::path next = fs::read_symlink(path, error);
    if (error) {
      return path;
    }
    path = path.parent_path() / next;  // an absolute link replaces the whole path
  }
  errno = ELOOP;
  fail_errno("Failed to open", label);
}

std::string folder_of(const std::string& target) {
  fs::path folder = fs::path(target).parent_path();
  return folder.empty() ? "." : folder.string();
}

/** A name that nobody can foresee, in the folder of the target and however long its own name is. */
std::string temporary_name(const std::string& target) {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
    bits = std::random_device{}();
  }
  std::ostringstream name;
  name << folder_of(target) << "/.save-" << std::hex << std::setfill('0') << std::setw(16) << bits
       << ".tmp";
  return name.str();
}

bool synced(int fd) { return !faults::strikes(Point::sync) && fsync(fd) == 0; }

bool renamed(const std::string& from, const std::string& to) {
  return !faults::strikes(Point::rename) && std::rename(from.c_str(), to.c_str()) == 0;
}

/** Makes renames in a folder last. Some file systems cannot, and have no need to. */
void sync_folder(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd);
    ::close(fd);
  }
}

}  // namespace

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      position_(other.position_),
      failed_(other.failed_) {}

void FileWriter::open() {
  if (is_open()) {
    return;
  }
  check(path_.find('\0') == std::string::npos, "save", "A path cannot contain a null byte.");
  target_ = followed(path_, label()).string();
  struct stat info;
  bool exists = stat(target_.c_str(), &info) == 0;
  if (faults::strikes(Point::open)) {
    fd_ = -1;
  } else if (exists && !S_ISREG(info.st_mode)) {  // a pipe or a device takes bytes as they come
    fd_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    open_temporary(exists ? std::optional<mode_t>(info.st_mode & 07777) : std::nullopt);
  }
  if (fd_ < 0) {
    temporary_.clear();
    fail_errno("Failed to open", label());
  }
}

void FileWriter::open_temporary(std::optional<mode_t> mode) {
  do {
    temporary_ = temporary_name(target_);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                 mode ? 0600 : 0666);
  } while (fd_ < 0 && (errno == EEXIST || errno == EINTR));
  if (fd_ >= 0 && mode) {
    fchmod(fd_, *mode);
  }
}

void FileWriter::seek(int64_t off, std::ios_base::seekdir way) {
  int whence = way == std::ios_base::beg   ? SEEK_SET
               : way == std::ios_base::cur ? SEEK_CUR
                                           : SEEK_END;
  off_t position = lseek(fd_, off, whence);
  if (position < 0) {
    fail_errno("Cannot seek in", label());
  }
  position_ = static_cast<size_t>(position);
}

void FileWriter::write(const char* data, size_t n) {
  if (target_.empty()) {
    open();
  }
  while (n > 0) {
    ssize_t written = faults::strikes(Point::write) ? -1 : ::write(fd_, data, n);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      failed_ = true;
      fail_errno("Cannot write", label());
    }
    data += written;
    n -= static_cast<size_t>(written);
    position_ += static_cast<size_t>(written);
  }
}

void FileWriter::close() {
  if (!is_open()) {
    return;
  }
  const std::string folder = folder_of(target_);  // what may fail comes before the rename
  bool complete = !failed_ && (temporary_.empty() || synced(fd_));
  int reason = errno;
  if ((::close(fd_) != 0 || faults::strikes(Point::close)) && complete) {
    complete = false;
    reason = errno;
  }
  fd_ = -1;
  if (!temporary_.empty()) {
    if (complete && !renamed(temporary_, target_)) {
      complete = false;
      reason = errno;
    }
    if (complete) {
      sync_folder(folder);
    } else {
      unlink(temporary_.c_str());
    }
  }
  if (!complete) {
    errno = reason;
    fail_errno("Cannot complete", label());
  }
}

void FileWriter::discard() {
  ::close(fd_);
  fd_ = -1;
  if (!temporary_.empty()) {
    unlink(temporary_.c_str());
  }
}

FileWriter::~FileWriter() {
  if (!is_open()) {
    return;
  }
  if (failed_ || std::uncaught_exceptions() > 0) {
    discard();
    return;
  }
  try {
    close();
  } catch (const std::exception&) {
    // Nobody to tell: those who need to know call close themselves.
  }
}

}  // namespace mlx::core::io
