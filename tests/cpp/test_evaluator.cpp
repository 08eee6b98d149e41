// The evaluator: selective, fused, deep graphs, several streams, errors that stay with their
// arrays.
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "mlx/graph/plan.h"
#include "mlx/mlx.h"

using namespace mlx::core;

namespace {

// Counts how often it runs, and fails when told to.
class Probe : public Primitive {
 public:
  Probe(Stream s, std::atomic<int>& runs, bool fails = false)
      : Primitive(s), runs_(runs), fails_(fails) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    runs_++;
    if (fails_) {
      throw std::runtime_error("probe failed");
    }
    for (auto& out : outputs) {
      out.set_data(allocator::malloc(out.nbytes()));
      *out.data<float>() = inputs.empty() ? 1.0f : *inputs[0].data<float>() + 1.0f;
    }
  }
  void eval_gpu(const std::vector<array>&, std::vector<array>&) override { FAIL(); }
  const char* name() const override { return "Probe"; }

 private:
  std::atomic<int>& runs_;
  bool fails_;
};

// Forgets what it is for.
class Idle : public Probe {
 public:
  using Probe::Probe;
  void eval_cpu(const std::vector<array>&, std::vector<array>&) override {}
};

// As work of a device is that may report a failure after it was queued.
class Doubtful : public Probe {
 public:
  Doubtful(Stream s, std::atomic<int>& runs, std::exception_ptr verdict)
      : Probe(s, runs), verdict_(std::move(verdict)) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    struct Fixed : Doubt {
      explicit Fixed(std::exception_ptr verdict) : known(std::move(verdict)) {}
      std::exception_ptr verdict() override { return known; }
      std::exception_ptr known;
    };
    Probe::eval_cpu(inputs, outputs);
    outputs[0].add_doubt(std::make_shared<Fixed>(verdict_));
  }

 private:
  std::exception_ptr verdict_;
};

array doubtful(std::atomic<int>& runs, std::exception_ptr verdict) {
  auto primitive = std::make_shared<Doubtful>(to_stream({}), runs, std::move(verdict));
  return array({}, float32, std::move(primitive), {});
}

array probe(std::atomic<int>& runs, std::vector<array> inputs = {}, bool fails = false) {
  return array({}, float32, std::make_shared<Probe>(to_stream({}), runs, fails), std::move(inputs));
}

std::vector<array> probes(std::atomic<int>& runs, int n) {
  return array::make_arrays(std::vector<Shape>(n), std::vector<Dtype>(n, float32),
                            std::make_shared<Probe>(to_stream({}), runs), {});
}

}  // namespace

TEST(Evaluator, RunsOnlyWhatIsAskedFor) {
  std::atomic<int> wanted{0};
  std::atomic<int> unwanted{0};
  array a = probe(wanted);
  array b = probe(unwanted, {a});
  EXPECT_EQ(a.item<float>(), 1.0f);
  EXPECT_EQ(wanted, 1);
  EXPECT_EQ(unwanted, 0);
  EXPECT_EQ(b.item<float>(), 2.0f);
  EXPECT_EQ(wanted, 1);
}

TEST(Evaluator, RunsSiblingsTogetherAndOnce) {
  std::atomic<int> runs{0};
  auto outputs = probes(runs, 3);
  eval(outputs[1]);
  eval(outputs);
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(outputs[2].is_available());
  EXPECT_TRUE(outputs[0].siblings().empty());
}

TEST(Evaluator, SiblingsDieTogether) {
  std::atomic<int> runs{0};
  std::weak_ptr<Primitive> alive;
  {
    auto outputs = probes(runs, 3);
    alive = outputs[0].primitive_ptr();
    array kept = outputs[2];
    outputs.clear();
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

TEST(Evaluator, DetachesWhatItHasRun) {
  array a = array(1.0f) + array(2.0f);
  eval(a);
  EXPECT_FALSE(a.has_primitive());
  EXPECT_TRUE(a.inputs().empty());
}

TEST(Evaluator, GraphsOfAMillionNodes) {
  array x(0.0f);
  array one(1.0f);
  for (int i = 0; i < 1'000'000; i++) {
    x = x + one;
  }
  EXPECT_EQ(x.item<float>(), 1e6f);
}

TEST(Evaluator, DeepGraphsAreDroppedWithoutRecursion) {
  array x(0.0f);
  for (int i = 0; i < 1'000'000; i++) {
    x = exp(x);
  }
  x = array(0.0f);
  SUCCEED();
}

TEST(Evaluator, ErrorsStayWithTheArraysTheyBelongTo) {
  std::atomic<int> runs{0};
  array bad = probe(runs, {}, true);
  array good = probe(runs);
  array after = bad + good;
  EXPECT_THROW(eval(after, good), std::runtime_error);
  EXPECT_THROW(bad.eval(), std::runtime_error);
  EXPECT_THROW((after + good).eval(), std::runtime_error);
  EXPECT_EQ(good.item<float>(), 1.0f);
}

TEST(Evaluator, AnOutputWithoutDataIsAnError) {
  std::atomic<int> runs{0};
  array idle({}, float32, std::make_shared<Idle>(to_stream({}), runs), {});
  EXPECT_THROW(idle.item<float>(), std::invalid_argument);
}

TEST(Evaluator, AsyncErrorsAreRaisedAtUse) {
  std::atomic<int> runs{0};
  array bad = probe(runs, {}, true);
  async_eval(bad);
  EXPECT_THROW(bad.item<float>(), std::runtime_error);
}

TEST(Evaluator, StreamsWaitForEachOther) {
  Stream s1 = new_stream(Device::cpu);
  Stream s2 = new_stream(Device::cpu);
  array x(1.0f);
  for (int i = 0; i < 100; i++) {
    x = add(x, array(1.0f), i % 2 ? s1 : s2);
    if (i % 10 == 0) {
      async_eval(x);
    }
  }
  EXPECT_EQ(x.item<float>(), 101.0f);
}

TEST(Evaluator, ThreadsEvaluateAtTheSameTime) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&right, t] {
      for (int i = 0; i < 50; i++) {
        array x = full({100}, static_cast<float>(t));
        right += sum(x + array(1.0f)).item<float>() == 100.0f * (t + 1);
      }
    });
  }
  for (auto& t : threads) {
    t.join();
  }
  EXPECT_EQ(right, 200);
}

TEST(Evaluator, UnknownStreamIsRefusedAtOnce) {
  EXPECT_THROW(add(array(1.0f), array(1.0f), Stream(12345, Device::cpu)), std::invalid_argument);
}

TEST(Fusion, IntermediatesThatNobodyHoldsNeedNoMemory) {
  array x = full({1 << 20}, 1.0f) + array(0.0f);
  eval(x);
  size_t before = get_active_memory();
  reset_peak_memory();
  array y = exp(x) * array(2.0f) + x * x - array(1.0f);
  eval(y);
  EXPECT_LT(get_peak_memory() - before, size_t{3} << 21);  // one result of 4 MB
}

TEST(Fusion, IntermediatesThatSomebodyHoldsAreKept) {
  array x = arange(0.0, 1000.0, 1.0);
  array held = x * array(2.0f);
  array y = held + array(1.0f);
  eval(y);
  EXPECT_TRUE(held.is_available());
  EXPECT_EQ(take(held, 10, 0).item<float>(), 20.0f);
}

TEST(Fusion, FusedAndUnfusedGiveTheSameBits) {
  array x = arange(-8.0, 8.0, 1.0 / 1024);
  eval(x);
  auto f = [&x] {
    array y = astype(x, bfloat16);
    return array(0.5f, bfloat16) * y * (array(1.0f, bfloat16) + tanh(y * y * y));
  };
  array fused = f();
  eval(fused);
  detail::set_fusion_enabled(false);
  array plain = f();
  eval(plain);
  detail::set_fusion_enabled(true);
  EXPECT_TRUE(array_equal(view(fused, uint16), view(plain, uint16)).item<bool>());
}

TEST(Fusion, WorkBetweenElementWiseOpsSplitsThem) {
  array x = arange(0.0, 16.0, 1.0);
  array a = x + array(1.0f);
  array total = sum(a);
  array y = a / total + x;
  EXPECT_FLOAT_EQ(sum(y).item<float>(), 121.0f);
}

TEST(Evaluator, LateFailuresReachWhatWasMadeFromThem) {
  std::atomic<int> runs{0};
  array bad = doubtful(runs, std::make_exception_ptr(std::out_of_range("late")));
  array next = probe(runs, {bad});
  array other = probe(runs);
  EXPECT_THROW(eval({other, next, bad}), std::out_of_range);
  EXPECT_EQ(runs, 3);
  EXPECT_THROW(bad.item<float>(), std::out_of_range);
  EXPECT_THROW(next.item<float>(), std::out_of_range);
  EXPECT_EQ(other.item<float>(), 1.0f);
  array later = probe(runs, {next});
  EXPECT_THROW(later.item<float>(), std::out_of_range);
  EXPECT_EQ(runs, 3);  // what is made from a failed array does not run
}

TEST(Evaluator, DoubtsAreSharedAndForgottenWhenTheyAreOver) {
  std::atomic<int> runs{0};
  array waiting(1.0f), heir(2.0f), other(3.0f);
  waiting.add_doubts(doubtful(runs, nullptr).doubts());
  EXPECT_FALSE(waiting.doubts());  // there is none before the work
  array good = doubtful(runs, nullptr), bad = doubtful(runs, std::make_exception_ptr(1));
  eval({good});
  async_eval({bad});
  synchronize();
  EXPECT_TRUE(good.doubts());
  heir.add_doubts(good.doubts());
  EXPECT_FALSE(heir.doubts());  // it has turned out well
  heir.add_doubts(bad.doubts());
  EXPECT_EQ(heir.doubts(), bad.doubts());  // one list for both
  heir.add_doubts(bad.doubts());
  other.add_doubts(heir.doubts());
  EXPECT_EQ(other.doubts()->size(), 1u);
  EXPECT_THROW(other.wait(), int);
}

TEST(Evaluator, ViewsOfWhatIsAtHandNeedNoNode) {
  array a = array({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3});
  std::vector<array> views = {transpose(a), reshape(a, {3, 2}), slice(a, {0, 1}, {2, 3}),
                              expand_dims(a, 1), slice(a, {1, 2}, {-3, -4}, {-1, -1})};
  for (auto& view : views) {
    EXPECT_FALSE(view.has_primitive());
    EXPECT_TRUE(view.is_available());
    EXPECT_EQ(view.data_shared_ptr(), a.data_shared_ptr());
  }
  EXPECT_TRUE(
      array_equal(views[0], array({1.0f, 4.0f, 2.0f, 5.0f, 3.0f, 6.0f}, {3, 2})).item<bool>());
  EXPECT_TRUE(array_equal(views[2], array({2.0f, 3.0f, 5.0f, 6.0f}, {2, 2})).item<bool>());
  EXPECT_TRUE(
      array_equal(views[4], array({6.0f, 5.0f, 4.0f, 3.0f, 2.0f, 1.0f}, {2, 3})).item<bool>());
  EXPECT_TRUE(transpose(a + a).has_primitive());          // not computed yet
  EXPECT_TRUE(reshape(views[0], {6}).has_primitive());    // no view
  EXPECT_TRUE(slice(a, {0, 0}, {0, 3}).has_primitive());  // nothing to look at
  bool traced = false;
  auto f = [&](const array& x) {
    traced = transpose(x).has_primitive();
    return sum(transpose(x));
  };
  EXPECT_EQ(grad(f)(a).shape(), a.shape());
  EXPECT_TRUE(traced);
}

TEST(Evaluator, DoubtsWithoutAFailureChangeNothing) {
  std::atomic<int> runs{0};
  array good = doubtful(runs, nullptr);
  array next = probe(runs, {good});
  EXPECT_EQ(next.item<float>(), 2.0f);
  EXPECT_EQ(probe(runs, {good}).item<float>(), 2.0f);
}
