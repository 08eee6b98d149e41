// Writing files so that a reader never sees half of one: write beside, then rename.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "mlx/io/load.h"

namespace mlx::core::io {

namespace {

[[noreturn]] void fail_errno(const std::string& what, const std::string& label) {
  throw std::runtime_error("[save] " + what + " " + label + ": " + std::strerror(errno));
}

std::string temporary_name(const std::string& target) {
  static std::atomic<uint64_t> count{0};
  return target + "." + std::to_string(getpid()) + "-" + std::to_string(count++) + ".tmp";
}

}  // namespace

void FileWriter::open() {
  if (is_open()) {
    return;
  }
  std::error_code error;
  auto resolved = std::filesystem::canonical(path_, error);
  target_ = error ? path_ : resolved.string();
  struct stat info;
  bool exists = stat(target_.c_str(), &info) == 0;
  if (!exists || S_ISREG(info.st_mode)) {
    temporary_ = temporary_name(target_);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ >= 0 && exists) {
      fchmod(fd_, info.st_mode & 07777);
    }
  }
  if (fd_ < 0) {  // a pipe, a device, or a folder that takes no new files
    temporary_.clear();
    fd_ = ::open(target_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (fd_ < 0) {
    fail_errno("Failed to open", label());
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
  while (n > 0) {
    ssize_t written = ::write(fd_, data, n);
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
  bool closed = ::close(fd_) == 0;
  fd_ = -1;
  bool complete = closed && !failed_;
  if (!temporary_.empty()) {
    complete = complete && std::rename(temporary_.c_str(), target_.c_str()) == 0;
    if (!complete) {
      int reason = errno;
      unlink(temporary_.c_str());
      errno = reason;
    }
  }
  if (!complete) {
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
