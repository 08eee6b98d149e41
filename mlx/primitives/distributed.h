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

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  const char* name() const override { return "AllReduce"; }
  auto fields() const { return std::tie(spec_); }
  const ReduceSpec& spec() const { return spec_; }

 private:
  /** `values` where x is the extreme, shared evenly if it is so in several members. */
  array at_extreme(const array& values, const array& x, const array& extreme) const;

  ReduceSpec spec_;
};

/** What exchanges the rows of one input of at least one axis; rows of examples stay apart. */
class RowExchange : public BuiltinPrimitive {
 public:
  RowExchange(Stream stream, GroupPointer group)
      : BuiltinPrimitive(stream), group_(std::move(group)) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  auto fields() const { return std::tie(group_); }
  detail::GroupImpl& group() const { return *group_; }

 protected:
  /** The same exchange of other rows. */
  virtual array again(const array& x) const = 0;

  GroupPointer group_;
};

/** The output has as many times the input's rows as there are members. */
class AllGather : public Described<AllGather, RowExchange> {
 public:
  using Described::Described;
  static array apply(const array& x, GroupPointer group, Stream s);

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const char* name() const override { return "AllGather"; }

 protected:
  array again(const array& x) const override { return apply(x, group_, stream()); }
};

/** The members divide the input's rows; the output has this member's rows of the sum. */
class SumScatter : public Described<SumScatter, RowExchange> {
 public:
  using Described::Described;
  static array apply(const array& x, GroupPointer group, Stream s);

  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const char* name() const override { return "SumScatter"; }

 protected:
  array again(const array& x) const override { return apply(x, group_, stream()); }
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
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  const char* name() const override { return "Send"; }
};

/** No inputs; the output is what the peer sends. */
class Recv : public Message {
 public:
  using Message::Message;
  const char* name() const override { return "Recv"; }
};

}  // namespace mlx::core::distributed
