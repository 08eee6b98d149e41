// Communication between the members of a group, which are threads here, each with its own stream.
#include <atomic>
#include <barrier>
#include <cstring>
#include <thread>

#include "mlx/distributed/group.h"
#include "tests/cpp/arrays.h"

using namespace mlx::core;
namespace dist = mlx::core::distributed;
using dist::detail::GroupImpl;
using dist::detail::Reduction;

namespace {

constexpr int size = 3;

/** A place where all members put their data and wait for each other. */
struct Meeting {
  std::barrier<> barrier{size};
  const array* inputs[size] = {};
  std::atomic<const array*> messages[size][size] = {};
  std::atomic<int> messages_sent = 0;
};

class Threads : public GroupImpl {
 public:
  Threads(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return ::size; }
  std::shared_ptr<GroupImpl> split(int, int) override { return nullptr; }

  void all_reduce(Reduction reduction, const array& in, array& out) override {
    meet(in, [&] {
      for (size_t i = 0; i < in.size(); i++) {
        float total = meeting_.inputs[0]->data<float>()[i];
        for (int r = 1; r < ::size; r++) {
          float v = meeting_.inputs[r]->data<float>()[i];
          total = reduction == Reduction::Sum   ? total + v
                  : reduction == Reduction::Max ? std::max(total, v)
                                                : std::min(total, v);
        }
        out.data<float>()[i] = total;
      }
    });
  }
  void all_gather(const array& in, array& out) override {
    meet(in, [&] {
      for (int r = 0; r < ::size; r++) {
        std::memcpy(out.data<char>() + r * in.nbytes(), meeting_.inputs[r]->data<char>(),
                    in.nbytes());
      }
    });
  }
  void sum_scatter(const array& in, array& out) override {
    meet(in, [&] {
      for (size_t i = 0; i < out.size(); i++) {
        float total = 0;
        for (auto* other : meeting_.inputs) total += other->data<float>()[rank_ * out.size() + i];
        out.data<float>()[i] = total;
      }
    });
  }
  void send(const array& in, int destination) override {
    auto& slot = meeting_.messages[rank_][destination];
    slot = &in;
    meeting_.messages_sent++;
    slot.notify_one();
    slot.wait(&in);
  }
  void recv(array& out, int source) override {
    auto& slot = meeting_.messages[source][rank_];
    slot.wait(nullptr);
    std::memcpy(out.data<char>(), slot.load()->data<char>(), out.nbytes());
    slot = nullptr;
    slot.notify_one();
  }

 private:
  template <typename F>
  void meet(const array& in, F&& f) {
    meeting_.inputs[rank_] = &in;
    meeting_.barrier.arrive_and_wait();
    f();
    meeting_.barrier.arrive_and_wait();
  }

  Meeting& meeting_;
  int rank_;
};

/** Runs f(rank, group, stream) as each member. */
template <typename F>
void as_members(F&& f) {
  Meeting meeting;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; rank++) {
    threads.emplace_back([&, rank] {
      Stream s = new_stream(Device::cpu);
      StreamContext context(s);
      f(rank, dist::Group(std::make_shared<Threads>(meeting, rank)), s);
    });
  }
  for (auto& thread : threads) thread.join();
}

/** What member `rank` brings. */
array values_of(int rank, const Shape& shape = {3, 2}) { return random_values(shape, 10 + rank); }

array sum_of_all(const Shape& shape = {3, 2}) {
  return values_of(0, shape) + values_of(1, shape) + values_of(2, shape);
}

}  // namespace

TEST(Distributed, CollectivesCombineWhatMembersBring) {
  as_members([](int rank, const dist::Group& group, Stream s) {
    array x = values_of(rank);
    expect_close(dist::all_sum(x, group, s), sum_of_all(), 1e-6);
    array high = maximum(maximum(values_of(0), values_of(1)), values_of(2));
    expect_equal(dist::all_max(x, group, s), high);
    array low = minimum(minimum(values_of(0), values_of(1)), values_of(2));
    expect_equal(dist::all_min(x, group, s), low);
    array rows = concatenate({values_of(0), values_of(1), values_of(2)}, 0);
    expect_equal(dist::all_gather(x, group, s), rows);
    expect_equal(dist::all_gather(transpose(transpose(x)), group, s), rows);
    expect_close(dist::sum_scatter(x, group, s), slice(sum_of_all(), {rank, 0}, {rank + 1, 2}),
                 1e-6);
    EXPECT_EQ(dist::all_gather(array(1.0f), group, s).shape(), Shape{size});
  });
}

TEST(Distributed, MessagesGoFromMemberToMember) {
  as_members([](int rank, const dist::Group& group, Stream s) {
    if (rank == 0) {
      expect_equal(dist::send(values_of(0), 2, group, s), values_of(0));
      eval({dist::send(values_of(1), 2, group, s)});
    } else if (rank == 2) {
      // Two equal nodes are two messages, also where a compiled function merges what is equal.
      auto both = compile([&](const std::vector<array>& like) -> std::vector<array> {
        array first = dist::recv_like(like[0], 0, group, s);
        array second = dist::recv(like[0].shape(), float32, 0, group, s);
        return {first, second};
      })({values_of(2)});
      eval(both);
      expect_equal(both[0] + both[1], values_of(0) + values_of(1));
      EXPECT_FALSE(array_equal(both[0], both[1]).item<bool>());
    }
  });
}

TEST(Distributed, DerivativesOfCollectives) {
  as_members([](int rank, const dist::Group& group, Stream s) {
    array x = values_of(rank), t = values_of(rank + 5);
    array all_t = values_of(5) + values_of(6) + values_of(7);
    auto sum = [&](const array& a) { return dist::all_sum(a, group, s); };
    expect_close(jvp(sum, x, t).second, all_t, 1e-6);
    expect_equal(vjp(sum, x, t).second, t);

    auto highest = [&](const array& a) { return dist::all_max(a, group, s); };
    array mine =
        astype(equal(x, maximum(maximum(values_of(0), values_of(1)), values_of(2))), float32);
    expect_equal(vjp(highest, x, t).second, t * mine);
    expect_close(jvp(highest, x, t).second, dist::all_sum(t * mine, group, s), 1e-6);
    auto half_of_each = vjp(highest, ones({2}), ones({2})).second;
    expect_close(half_of_each, full({2}, 1.0f / size), 1e-6);

    auto gather = [&](const array& a) { return dist::all_gather(a, group, s); };
    array rows = counted({9, 2});
    expect_equal(vjp(gather, x, rows).second, slice(rows, {3 * rank, 0}, {3 * rank + 3, 2}));
    expect_equal(jvp(gather, x, t).second, dist::all_gather(t, group, s));

    auto scatter = [&](const array& a) { return dist::sum_scatter(a, group, s); };
    array row = slice(t, {0, 0}, {1, 2});
    expect_equal(vjp(scatter, x, row).second, dist::all_gather(row, group, s));
    expect_equal(jvp(scatter, x, t).second, dist::sum_scatter(t, group, s));
  });
}

TEST(Distributed, BatchesOfCollectives) {
  as_members([](int rank, const dist::Group& group, Stream s) {
    using Op = array (*)(const array&, std::optional<dist::Group>, StreamOrDevice);
    array x = values_of(rank, {3, 3, 3});
    for (Op op :
         {Op(dist::all_sum), Op(dist::all_min), Op(dist::all_gather), Op(dist::sum_scatter)}) {
      for (int axis = 0; axis < 3; axis++) {
        auto f = [&](const array& a) { return op(a, group, s); };
        std::vector<array> each;
        for (const auto& part : split(x, 3, axis)) each.push_back(f(squeeze(part, axis)));
        expect_equal(vmap(f, axis, 0)(x), stack(each));
      }
    }
  });
}

TEST(Distributed, WrongMembersAndShapesAreRefused) {
  as_members([](int rank, const dist::Group& group, Stream s) {
    for (int peer : {-1, rank, size}) {
      EXPECT_THROW(dist::send(ones({2}), peer, group, s), std::invalid_argument);
      EXPECT_THROW(dist::recv_like(ones({2}), peer, group, s), std::invalid_argument);
    }
    EXPECT_THROW(dist::recv({-1}, float32, (rank + 1) % size, group, s), std::invalid_argument);
    EXPECT_THROW(dist::sum_scatter(ones({4}), group, s), std::invalid_argument);
    EXPECT_THROW(dist::sum_scatter(array(1.0f), group, s), std::invalid_argument);
  });
}

TEST(Distributed, AProcessAloneIsAGroupOfOne) {
  auto group = dist::init();
  EXPECT_EQ(group.rank(), 0);
  EXPECT_EQ(group.size(), 1);
  EXPECT_EQ(group.raw_group(), dist::init().raw_group());
  EXPECT_THROW(group.split(0), std::runtime_error);
  EXPECT_THROW(dist::init(true), std::runtime_error);
  EXPECT_THROW(dist::init(false, "pigeon"), std::invalid_argument);
  EXPECT_FALSE(dist::is_available());
  array x = values_of(0);
  for (const array& y : {dist::all_sum(x), dist::all_max(x), dist::all_min(x), dist::all_gather(x),
                         dist::sum_scatter(x, group)}) {
    expect_equal(y, x);
  }
  EXPECT_THROW(dist::send(x, 0), std::invalid_argument);
  EXPECT_THROW(dist::recv_like(x, 0), std::invalid_argument);
  dist::clear_backends();
  EXPECT_NE(group.raw_group(), dist::init().raw_group());
}
