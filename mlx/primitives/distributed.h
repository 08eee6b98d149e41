// Nodes that exchange data with the other members of a group.
#pragma once

#include <memory>
#include <utility>

#include "mlx/distributed/group.h"
#include "mlx/primitives/described.h"

namespace mlx::core::distributed {

using GroupPointer = std::shared_ptr<detail::GroupImpl>;

struct ReduceSpec {
  GroupPointer group;
  detail::Reduction reduction;

  auto fields() const { return std::tie(group, reduction); }
};

/** One input; the output has its shape. */
class AllReduce : public Described<AllReduce> {
 public:
  AllReduce(Stream stream, ReduceSpec spec) : Described(stream), spec_(std::move(spec)) {}
  static array apply(const array& x, ReduceSpec spec, Stream s);

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
  const char* name() const override { return "AllReduce"; }
  auto fields() const { return std::tie(spec_); }
  const ReduceSpec& spec() const { return spec_; }

 private:
  /** `values` where x is the extreme, shared evenly if it is so in several members. */
  array at_extreme(const array& values, const array& x, const array& extreme) const;

  ReduceSpec spec_;
};

/** One input of at least one axis; the output has as many times its rows as there are members. */
class AllGather : public Described<AllGather> {
 public:
  AllGather(Stream stream, GroupPointer group) : Described(stream), group_(std::move(group)) {}
  static array apply(const array& x, GroupPointer group, Stream s);

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  const char* name() const override { return "AllGather"; }
  auto fields() const { return std::tie(group_); }
  detail::GroupImpl& group() const { return *group_; }

 private:
  GroupPointer group_;
};

/** One input whose rows the members divide; the output has this member's rows of the sum. */
class SumScatter : public Described<SumScatter> {
 public:
  SumScatter(Stream stream, GroupPointer group) : Described(stream), group_(std::move(group)) {}
  static array apply(const array& x, GroupPointer group, Stream s);

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  const char* name() const override { return "SumScatter"; }
  auto fields() const { return std::tie(group_); }
  detail::GroupImpl& group() const { return *group_; }

 private:
  GroupPointer group_;
};

/** A message: no two of them are equivalent, since each has to be sent and received. */
class Message : public BuiltinPrimitive {
 public:
  Message(Stream stream, GroupPointer group, int peer)
      : BuiltinPrimitive(stream), group_(std::move(group)), peer_(peer) {}
  void visit_fields(FieldVisitor& visitor) const final {
    fields::visit(visitor, std::tie(group_, peer_));
  }
  detail::GroupImpl& group() const { return *group_; }
  int peer() const { return peer_; }

 protected:
  GroupPointer group_;
  int peer_;
};

/** The output is the input, sent to the peer. */
class Send : public Message {
 public:
  using Message::Message;
  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
  const char* name() const override { return "Send"; }
};

/** No inputs; the output is what the peer sends. */
class Recv : public Message {
 public:
  using Message::Message;
  const char* name() const override { return "Recv"; }
};

}  // namespace mlx::core::distributed
