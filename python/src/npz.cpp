// Reading and writing npz archives. What an archive says about sizes is checked against what its
// bytes could hold before memory is taken for it.
#include "python/src/npz.h"

#include <cerrno>

#include "mlx/io.h"
#include "python/src/convert.h"
#include "python/src/errors.h"
#include "python/src/gil.h"
#include "python/src/python_file.h"

namespace mlx::python {

namespace {

/** Deflate cannot shrink more than this: 258 bytes into two bits. */
constexpr size_t max_deflate_ratio = 1032;

[[noreturn]] void fail_archive(const std::string& problem) {
  throw std::runtime_error("[load] The npz archive " + problem + ".");
}

/** Runs f; what zipfile and zlib raise for broken archives becomes std::runtime_error. Where an
 *  archive says that a part of it lies before its beginning, files raise ValueError or OSError. */
template <typename F>
auto with_archive_errors(const F& f) {
  try {
    return f();
  } catch (nb::python_error& e) {
    auto zipfile = nb::module_::import_("zipfile");
    auto zlib = nb::module_::import_("zlib");
    for (nb::handle type :
         {nb::object(zipfile.attr("BadZipFile")), nb::object(zlib.attr("error")),
          nb::borrow(PyExc_EOFError), nb::borrow(PyExc_RuntimeError), nb::borrow(PyExc_ValueError),
          nb::borrow(PyExc_IndexError), nb::borrow(PyExc_OverflowError)}) {
      if (e.matches(type)) {
        fail_archive("is damaged: " + text_of(e));
      }
    }
    if (e.matches(PyExc_OSError) && e.value().attr("errno").equal(nb::int_(EINVAL))) {
      fail_archive("is damaged: " + text_of(e));
    }
    throw;
  }
}

size_t archive_size(const nb::object& archive) {
  nb::object file = archive.attr("fp");
  nb::object position = call_python(file.attr("tell"));
  call_python(file.attr("seek"), 0, 2);
  auto size = nb::cast<size_t>(call_python(file.attr("tell")));
  call_python(file.attr("seek"), position);
  return size;
}

struct Member {
  std::string name;
  nb::object info;
  size_t size;
};

/** The npy files of the archive, if what it says can be true. */
std::vector<Member> list_members(const nb::object& archive) {
  auto zipfile = nb::module_::import_("zipfile");
  size_t left = archive_size(archive);
  std::vector<Member> members;
  for (nb::handle item : call_python(archive.attr("infolist"))) {
    nb::object info = nb::borrow(item);
    auto name = nb::cast<std::string>(info.attr("filename"));
    auto packed = nb::cast<size_t>(info.attr("compress_size"));
    auto size = nb::cast<size_t>(info.attr("file_size"));
    bool deflated = info.attr("compress_type").equal(zipfile.attr("ZIP_DEFLATED"));
    if (!deflated && !info.attr("compress_type").equal(zipfile.attr("ZIP_STORED"))) {
      fail_archive("has '" + name + "' in a compression other than deflate");
    }
    if (packed > left || (deflated ? size / max_deflate_ratio > packed : size != packed)) {
      fail_archive("gives a size for '" + name + "' that its bytes cannot hold");
    }
    left -= packed;
    if (!name.ends_with(".npy")) {
      fail_archive("has '" + name + "', which is not an npy file");
    }
    name.resize(name.size() - 4);
    members.push_back({name, info, size});
  }
  return members;
}

nb::object open_archive(nb::handle file, const char* mode, bool compressed = false) {
  auto zipfile = nb::module_::import_("zipfile");
  nb::object method = zipfile.attr(compressed ? "ZIP_DEFLATED" : "ZIP_STORED");
  return call_python(zipfile.attr("ZipFile"), file, mode, method);
}

void write_members(nb::handle file, const std::vector<std::pair<std::string, array>>& arrays,
                   bool compressed) {
  nb::object archive = open_archive(file, "w", compressed);
  try {
    for (const auto& [name, a] : arrays) {
      nb::dict large;
      large["force_zip64"] = a.nbytes() >> 31 > 0;
      nb::object member =
          call_with(archive.attr("open"), nb::make_tuple(name + ".npy", "w"), large);
      {
        auto writer = std::make_shared<PythonFileWriter>(member);
        Unlocked unlocked;
        save(writer, a);
      }
      call_python(member.attr("close"));
    }
    call_python(archive.attr("close"));
  } catch (...) {
    archive.attr("fp") = nb::none();  // or it tries to finish the archive when it is dropped
    throw;
  }
}

}  // namespace

NamedArrays load_npz(nb::handle file, StreamOrDevice s) {
  return with_archive_errors([&] {
    nb::object archive = open_archive(file, "r");
    NamedArrays out;
    for (const auto& member : list_members(archive)) {
      nb::object content = call_python(archive.attr("open"), member.info);
      array a = load(std::make_shared<PythonFileReader>(content, member.size), s);
      call_python(content.attr("close"));
      if (!out.emplace(member.name, a).second) {
        fail_archive("has two arrays named '" + member.name + "'");
      }
    }
    call_python(archive.attr("close"));
    return out;
  });
}

void save_npz(nb::handle file, const std::vector<std::pair<std::string, array>>& arrays,
              bool compressed) {
  if (!nb::isinstance<nb::str>(file)) {
    write_members(file, arrays, compressed);
    return;
  }
  io::FileWriter writer(path_bytes(file));
  {
    Unlocked unlocked;  // a pipe waits for its reader, and a disk takes its time
    writer.open();
  }
  auto os = nb::module_::import_("os");
  nb::object stream =
      call_python(os.attr("fdopen"), call_python(os.attr("dup"), writer.descriptor()), "wb");
  try {
    write_members(stream, arrays, compressed);
    call_python(stream.attr("close"));
  } catch (nb::python_error& e) {
    if (e.matches(PyExc_OSError)) {
      throw std::runtime_error("[save] Cannot write " + writer.label() + ": " + text_of(e));
    }
    throw;
  }
  Unlocked unlocked;
  writer.close();
}

}  // namespace mlx::python
