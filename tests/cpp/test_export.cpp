// Functions in files: what comes back computes the same, and nothing that a file may say does harm.
#include "mlx/export.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "mlx/backend/cpu/registry.h"
#include "mlx/export/checksum.h"
#include "mlx/export/table.h"
#include "mlx/mlx.h"
#include "tests/cpp/arrays.h"

using namespace mlx::core;

namespace {

/** A file name of this test's own, and no file of that name afterwards. */
class ExportTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file); }
  const std::string file =
      std::filesystem::temp_directory_path() /
      ("mlx_export_" + std::to_string(getpid()) + "_" +
       testing::UnitTest::GetInstance()->current_test_info()->name() + ".mlxfn");
};

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void store(const std::string& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

/** Why a primitive of the library is not in the table. */
const std::map<std::string, const char*> reasons = {
    {"Arange", "It has no inputs, so its value is stored."},
    {"Load", "It has no inputs, so its value is stored."},
    {"Fused", "It exists in plans only."},
    {"CustomTransforms", "It holds functions; what it computed is stored instead."},
    {"AllReduce", "It belongs to a group of processes."},
    {"AllGather", "It belongs to a group of processes."},
    {"SumScatter", "It belongs to a group of processes."},
    {"Send", "It belongs to a group of processes."},
    {"Recv", "It belongs to a group of processes."},
};

std::string class_of(const std::type_info& type) {
  std::string name = type.name();  // …10LastPart or …10LastPartE
  name.erase(name.find_last_not_of('E') + 1);
  size_t digits = name.find_last_of("0123456789");
  return name.substr(digits + 1);
}

}  // namespace

TEST(Export, EveryPrimitiveIsInTheTableOrHasAReason) {
  auto unused = reasons;
  size_t seen = 0;
  cpu::primitive_table().for_each([&](const PrimitiveTable::Entry& entry) {
    std::string name = class_of(*entry.type);
    const ExportRow* row = export_row(name);
    bool is_row = row && *row->type == *entry.type;
    EXPECT_NE(is_row, reasons.contains(name)) << name << " needs a row or a reason, and not both";
    unused.erase(name);
    seen++;
  });
  EXPECT_GT(seen, 40u);
  for (auto& [name, reason] : unused) ADD_FAILURE() << "There is no " << name << " to excuse.";
}

TEST(Export, ChecksumIsTheOneThatTheFormatNames) {
  auto sum = [](const char* text) { return xxh64(text, std::strlen(text)); };
  EXPECT_EQ(sum(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(sum("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(sum("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(sum("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST_F(ExportTest, PositionsAndNames) {
  auto fun = [](const Args& args, const Kwargs& kwargs) {
    return std::vector<array>{matmul(args[0], kwargs.at("w")) + 1.0f, sum(args[0])};
  };
  array x = counted({2, 3}), w = counted({3, 4});
  export_function(file, fun, {x}, {{"w", w}}, false, "some text");
  auto imported = import_function(file);
  EXPECT_EQ(imported.metadata(), "some text");
  auto out = imported({x}, {{"w", w}});
  expect_equal(out[0], matmul(x, w) + 1.0f);
  expect_equal(out[1], sum(x));
  EXPECT_THROW(imported({x, w}), std::invalid_argument);
  EXPECT_THROW(imported({x}, {{"v", w}}), std::invalid_argument);
  EXPECT_THROW(imported({w}, {{"w", w}}), std::invalid_argument);
}

TEST_F(ExportTest, SeveralTracesWithOneSetOfWeights) {
  array weight = random_values({64, 64}, 1);
  auto to = exporter(file, [&](const Args& args) {
    array all = args[0];
    for (size_t i = 1; i < args.size(); i++) all = all + args[i];
    return std::vector<array>{matmul(all, weight)};
  });
  array x = random_values({2, 64}, 2);
  to({x});
  to({x, x});
  EXPECT_THROW(to({x}), std::runtime_error);
  to.close();
  EXPECT_THROW(to({x, x, x}), std::runtime_error);
  EXPECT_LT(content(file).size(), 64 * 64 * 4 + 2000u);
  auto imported = import_function(file);
  expect_equal(imported({x})[0], matmul(x, weight));
  expect_equal(imported({x, x})[0], matmul(x + x, weight));
}

TEST_F(ExportTest, NoFileBeforeItIsComplete) {
  {
    auto to = exporter(file, [](const Args& args) { return args; });
    to({array(1.0f)});
    EXPECT_FALSE(std::filesystem::exists(file));
  }
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(ExportTest, ShapelessWhereTheGraphIsTheSame) {
  array w = random_values({3, 4}, 3);
  auto fun = [&](const Args& args) {
    array y = matmul(args[0], w);
    return std::vector<array>{y / static_cast<float>(y.shape(1)), softmax(y, 0)};
  };
  export_function(file, fun, {random_values({2, 3}, 4)}, true);
  auto imported = import_function(file);
  array x = random_values({5, 3}, 5);
  auto out = imported({x}), expected = fun({x});
  expect_equal(out[0], expected[0]);
  expect_equal(out[1], expected[1]);
  EXPECT_THROW(imported({random_values({5, 2}, 5)}), std::invalid_argument);
}

TEST_F(ExportTest, ShapelessNeverKeepsAnOldExtent) {
  auto fun = [](const Args& args) {
    return std::vector<array>{sum(args[0]) / static_cast<float>(args[0].shape(0))};
  };
  export_function(file, fun, {counted({4, 2})}, true);
  auto imported = import_function(file);
  expect_equal(imported({counted({4, 7})})[0], fun({counted({4, 7})})[0]);
  EXPECT_THROW(imported({counted({5, 2})}), std::invalid_argument);
}

TEST_F(ExportTest, ShapelessNeverReadsOutside) {
  auto fun = [](const Args& args) {
    return std::vector<array>{partition(args[0], 3), slice(args[0], array({1}), {0}, {4})};
  };
  export_function(file, fun, {counted({5})}, true);
  auto imported = import_function(file);
  expect_equal(imported({counted({9})})[1], array({1.0f, 2.0f, 3.0f, 4.0f}));
  EXPECT_THROW(imported({counted({2})}), std::invalid_argument);
}

TEST_F(ExportTest, ExtentsThatMustBeEqualVaryTogether) {
  auto fun = [](const Args& args) { return std::vector<array>{matmul(args[0], args[1])}; };
  export_function(file, fun, {counted({3, 3}), counted({3, 3})}, true);
  auto imported = import_function(file);
  array a = counted({2, 5}), b = counted({5, 4});
  expect_equal(imported({a, b})[0], matmul(a, b));
  EXPECT_THROW(imported({a, counted({4, 4})}), std::invalid_argument);
}

TEST_F(ExportTest, DrawsAreTheCallers) {
  auto fun = [](const Args& args) {
    return std::vector<array>{args[0] + random::normal(args[0].shape())};
  };
  array x = zeros({8});
  export_function(file, fun, {x});
  auto imported = import_function(file);
  random::seed(3);
  array first = imported({x})[0], second = imported({x})[0];
  random::seed(3);
  expect_equal(imported({x})[0], first);
  EXPECT_FALSE(array_equal(first, second).item<bool>());
}

TEST_F(ExportTest, TransformsSeeWhatIsInside) {
  array w = random_values({3}, 6);
  export_function(
      file, [&](const Args& args) { return std::vector<array>{sum(square(args[0] * w))}; }, {w});
  auto imported = import_function(file);
  auto fun = [&](const array& x) { return imported({x})[0]; };
  array x = random_values({3}, 7);
  expect_close(grad(fun)(x), 2.0f * x * w * w, 1e-6);
  auto compiled = compile([&](const std::vector<array>& in) { return imported(in); });
  expect_equal(compiled({x})[0], imported({x})[0]);
}

TEST_F(ExportTest, CallbacksAreToldEverything) {
  std::vector<std::string> types, names;
  export_function(
      [&](const ExportCallbackInput& input) {
        types.push_back(std::get<std::string>(input.at("type")));
        if (types.back() == "primitive") names.push_back(std::get<std::string>(input.at("name")));
      },
      [](const Args& args) { return std::vector<array>{matmul(args[0], args[0]) * 2.0f}; },
      {counted({2, 2})});
  EXPECT_EQ(types, (std::vector<std::string>{"inputs", "keyword_inputs", "outputs", "constants",
                                             "primitive", "primitive"}));
  EXPECT_EQ(names, (std::vector<std::string>{"Matmul", "Multiply"}));
}

namespace {

/** A graph with many sorts of parameters. */
std::vector<array> many_nodes(const Args& args) {
  array x = args[0];
  array y = softmax(matmul(x, transpose(x)), -1);
  array z = slice(pad(y, 1), {0, 1}, {4, 5}, {1, 2});
  array c = conv1d(reshape(x, {1, 4, 6}), random_values({3, 2, 6}, 1), 1, 1);
  array n = fast::layer_norm(x, ones({6}), std::nullopt, 1e-5f);
  array t = take_along_axis(x, argsort(x, 1), 1);
  array r = fast::rope(reshape(x, {1, 1, 4, 6}), 4, false, 10.0f, 1.0f, 0);
  return {astype(z, float16), sum(c), n + t, r,
          scatter_add(x, {array({0, 2})}, ones({2, 1, 6}), {0})};
}

/** The header's and the description's checksums made right again. */
std::string with_checksums(std::string bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data() + 16, 8);
  if (length > bytes.size() - 48) return bytes;
  uint64_t hash = xxh64(bytes.data() + 48, length);
  std::memcpy(bytes.data() + 32, &hash, 8);
  hash = xxh64(bytes.data(), 40);
  std::memcpy(bytes.data() + 40, &hash, 8);
  return bytes;
}

}  // namespace

TEST_F(ExportTest, ManySortsOfParameters) {
  array x = random_values({4, 6}, 8);
  export_function(file, many_nodes, {x});
  auto out = import_function(file)({x}), expected = many_nodes({x});
  for (size_t i = 0; i < out.size(); i++) expect_equal(out[i], expected[i]);
}

TEST_F(ExportTest, FilesOfAnyOtherLengthAreRefused) {
  export_function(file, many_nodes, {random_values({4, 6}, 8)});
  const std::string bytes = content(file);
  for (size_t n = 0; n < bytes.size(); n += 1 + n / 16) {
    store(file, bytes.substr(0, n));
    EXPECT_THROW(import_function(file), std::runtime_error) << n;
  }
  store(file, bytes + "x");
  EXPECT_THROW(import_function(file), std::runtime_error);
}

TEST_F(ExportTest, AnyAlteredByteIsFound) {
  export_function(file, many_nodes, {random_values({4, 6}, 8)});
  const std::string bytes = content(file);
  std::string altered = bytes;
  for (size_t i = 0; i < bytes.size(); i += i < 2000 ? 3 : 11) {
    altered[i] = static_cast<char>(altered[i] ^ (1 + i % 255));
    store(file, altered);
    // The bytes that only fill up to the next constant mean nothing.
    try {
      import_function(file);
      EXPECT_EQ(bytes[i], 0) << i;
    } catch (const std::runtime_error&) {
    }
    altered[i] = bytes[i];
  }
}

namespace {

std::vector<array> branches_and_turns(const std::vector<array>& in) {
  auto picked = cond(
      sum(in[0]) > array(0.0f), [](const auto& a) { return std::vector{exp(a[0])}; },
      [](const auto& a) { return std::vector{a[0] * array(2.0f)}; }, in);
  auto step = [](const std::vector<array>& carry, const std::vector<array>& x) {
    auto more = cond(
        max(x[0]) > array(1.0f), [](const auto& a) { return std::vector{a[0] + a[1]}; },
        [](const auto& a) { return std::vector{a[0] - a[1]}; }, {carry[0], x[0]});
    return std::pair(more, std::vector{carry[0] * x[0], sum(x[0])});
  };
  auto [carry, all] = scan(step, {zeros({6})}, picked);
  all.push_back(carry[0]);
  return all;
}

std::vector<array> turns_while_small(const std::vector<array>& in) {
  return while_loop([](const auto& v) { return sum(v[0]) < array(100.0f); },
                    [](const auto& v) { return std::vector{v[0] * v[0] + array(1.0f)}; }, in);
}

/** Alters the description of a stored function in many ways, with checksums that fit: whatever
 *  becomes of it is refused or runs, as far as it is run. Says how many were refused and taken. */
std::pair<int, int> forge(const std::string& file, const array& x, bool runs) {
  const std::string bytes = content(file);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data() + 16, 8);
  std::mt19937 engine(1);
  int refused = 0, ran = 0;
  for (int i = 0; i < 3000; i++) {
    std::string forged = bytes;
    for (int k = 0; k < 1 + i % 3; k++) {
      forged[48 + engine() % length] ^= static_cast<char>(1 + engine() % (i % 2 ? 255 : 7));
    }
    store(file, with_checksums(forged));
    try {
      auto function = import_function(file);
      for (auto& a : runs ? function({x}) : std::vector<array>{}) {
        if (a.nbytes() < 1 << 20) a.eval();
      }
      ran++;
    } catch (const std::exception&) {
      refused++;
    }
  }
  return {refused, ran};
}

}  // namespace

TEST_F(ExportTest, ForgedFilesDoNoHarm) {
  array x = random_values({4, 6}, 8);
  for (auto function : {many_nodes, branches_and_turns}) {
    export_function(file, function, {x});
    auto [refused, ran] = forge(file, x, true);
    EXPECT_GT(refused, 1000);
    EXPECT_GT(ran, 10);
  }
}

TEST_F(ExportTest, ForgedLoopsDoNoHarm) {  // which may rightly run for ever
  array x = random_values({4, 6}, 8);
  export_function(file, turns_while_small, {x});
  auto [refused, taken] = forge(file, x, false);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(taken, 10);
}
