// Communication: checks of members and shapes. A member that is alone already has the answer.
#include "mlx/primitives/distributed.h"

#include "mlx/core/errors.h"
#include "mlx/distributed/ops.h"
#include "mlx/ops.h"

namespace mlx::core::distributed {

namespace {

using detail::Reduction;

Group group_or_world(std::optional<Group>& group) { return group ? *std::move(group) : init(); }

array all_reduce(Reduction reduction, const array& x, std::optional<Group> group,
                 StreamOrDevice s) {
  Group members = group_or_world(group);
  return members.size() == 1 ? x
                             : AllReduce::apply(x, {members.raw_group(), reduction},
                                                members.raw_group()->stream_for(s));
}

void check_peer(const char* op, int peer, const Group& group) {
  check(group.size() > 1, op, "There is nobody else in a group of one process.");
  check(peer >= 0 && peer < group.size() && peer != group.rank(), op, "Member ", group.rank(),
        " of a group of ", group.size(), " has no other member ", peer, ".");
}

}  // namespace

array all_sum(const array& x, std::optional<Group> group, StreamOrDevice s) {
  return all_reduce(Reduction::Sum, x, std::move(group), s);
}

array all_max(const array& x, std::optional<Group> group, StreamOrDevice s) {
  return all_reduce(Reduction::Max, x, std::move(group), s);
}

array all_min(const array& x, std::optional<Group> group, StreamOrDevice s) {
  return all_reduce(Reduction::Min, x, std::move(group), s);
}

array all_gather(const array& x, std::optional<Group> group, StreamOrDevice s) {
  Group members = group_or_world(group);
  if (members.size() == 1) {
    return x;
  }
  Stream stream = members.raw_group()->stream_for(s);
  array rows = x.ndim() == 0 ? reshape(x, {1}, stream) : x;
  return AllGather::apply(rows, members.raw_group(), stream);
}

array sum_scatter(const array& x, std::optional<Group> group, StreamOrDevice s) {
  Group members = group_or_world(group);
  if (members.size() == 1) {
    return x;
  }
  check(x.ndim() > 0 && x.shape(0) % members.size() == 0, "sum_scatter", "A group of ",
        members.size(), " cannot divide the first axis of shape ", x.shape(), ".");
  return SumScatter::apply(x, members.raw_group(), members.raw_group()->stream_for(s));
}

array send(const array& x, int dst, std::optional<Group> group, StreamOrDevice s) {
  Group members = group_or_world(group);
  check_peer("send", dst, members);
  auto node = std::make_shared<Send>(members.raw_group()->stream_for(s), members.raw_group(), dst);
  return array(x.shape(), x.dtype(), std::move(node), {x});
}

array recv(Shape shape, Dtype dtype, int src, std::optional<Group> group, StreamOrDevice s) {
  Group members = group_or_world(group);
  check_peer("recv", src, members);
  for (auto extent : shape) {
    check(extent >= 0, "recv", "Negative dimensions not allowed: ", shape, ".");
  }
  num_elements(shape);
  auto node = std::make_shared<Recv>(members.raw_group()->stream_for(s), members.raw_group(), src);
  return array(std::move(shape), dtype, std::move(node), {});
}

array recv_like(const array& x, int src, std::optional<Group> group, StreamOrDevice s) {
  return recv(x.shape(), x.dtype(), src, std::move(group), s);
}

}  // namespace mlx::core::distributed
