// Reading files: one descriptor shared by all arrays of a file, positional reads from any thread.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "mlx/core/faults.h"
#include "mlx/core/parallel.h"
#include "mlx/io/load.h"

namespace mlx::core::io {

namespace {

/** Reads of this many bytes are worth a thread. */
constexpr int64_t chunk_size = 4 << 20;

int open_regular_file(const std::string& path) {
  if (path.find('\0') != std::string::npos) {  // what follows would be cut off
    return -1;
  }
  bool fault = faults::strikes(faults::Point::open);
  int fd = fault ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (fd >= 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) {
    ::close(fd);
    return -1;
  }
  return fd;
}

/** Bytes read, fewer than n only at the end of the file; -1 on failure. */
int64_t read_fully(int fd, char* data, int64_t n, int64_t offset) {
  int64_t done = 0;
  while (done < n) {
    bool fault = faults::strikes(faults::Point::read);
    ssize_t got = fault ? -1 : pread(fd, data + done, n - done, offset + done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return -1;
    }
    if (got == 0) {
      break;
    }
    done += got;
  }
  return done;
}

}  // namespace

int ThreadPool::size() const { return num_threads(); }

void ThreadPool::run(int64_t n, int64_t grain, FunctionRef<void(int64_t, int64_t)> f) {
  parallel_for(n, grain, f);
}

ThreadPool& thread_pool() {
  static ThreadPool pool;
  return pool;
}

size_t source_size(Reader& reader) {
  size_t position = reader.tell();
  reader.seek(0, std::ios_base::end);
  size_t size = reader.tell();
  reader.seek(static_cast<int64_t>(position));
  return size;
}

void MemoryReader::seek(int64_t off, std::ios_base::seekdir way) {
  size_t origin = way == std::ios_base::cur ? position_ : way == std::ios_base::end ? bytes_ : 0;
  if (static_cast<int64_t>(origin) + off < 0) {
    throw std::runtime_error("[load] Cannot seek before the start of " + label());
  }
  position_ = origin + off;
}

void MemoryReader::read(char* data, size_t n) {
  read(data, n, position_);
  position_ += n;
}

void MemoryReader::read(char* data, size_t n, size_t offset) {
  if (offset > bytes_ || n > bytes_ - offset) {
    throw std::runtime_error("[load] Unexpected end of " + label());
  }
  std::copy_n(data_.get() + offset, n, data);
}

ParallelFileReader::ParallelFileReader(std::string file_path)
    : path_(std::move(file_path)), fd_(open_regular_file(path_)) {}

ParallelFileReader::~ParallelFileReader() {
  if (is_open()) {
    ::close(fd_);
  }
}

void ParallelFileReader::seek(int64_t off, std::ios_base::seekdir way) {
  int64_t origin = 0;
  if (way == std::ios_base::cur) {
    origin = static_cast<int64_t>(position_);
  } else if (way == std::ios_base::end) {
    struct stat info;
    if (fstat(fd_, &info) != 0) {
      throw std::runtime_error("[load] Cannot read " + label() + ": " + std::strerror(errno));
    }
    origin = info.st_size;
  }
  if (origin + off < 0) {
    throw std::runtime_error("[load] Cannot seek before the start of " + label());
  }
  position_ = static_cast<size_t>(origin + off);
}

void ParallelFileReader::read(char* data, size_t n) {
  read(data, n, position_);
  position_ += n;
}

void ParallelFileReader::read(char* data, size_t n, size_t offset) {
  thread_pool().run(static_cast<int64_t>(n), chunk_size, [&](int64_t begin, int64_t end) {
    int64_t got = read_fully(fd_, data + begin, end - begin, static_cast<int64_t>(offset) + begin);
    if (got < 0) {
      throw std::runtime_error("[load] Cannot read " + label() + ": " + std::strerror(errno));
    }
    if (got < end - begin) {
      throw std::runtime_error("[load] Unexpected end of " + label());
    }
  });
}

}  // namespace mlx::core::io
