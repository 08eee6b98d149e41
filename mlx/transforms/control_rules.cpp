// Derivatives and batching of control flow, written with control flow: every rule makes loops and
// branches of transformed functions, so rules nest as far as those do.
#include <algorithm>

#include "mlx/control.h"
#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/rearrange.h"
#include "mlx/transforms.h"
#include "mlx/transforms/control.h"

namespace mlx::core {

namespace {

using Arrays = std::vector<array>;
using Ints = std::vector<int>;
using detail::joined;
using detail::SubgraphPtr;

Arrays selected(const Arrays& from, const Ints& positions) {
  Arrays out;
  for (int i : positions) out.push_back(from[i]);
  return out;
}

Arrays slice_of(const Arrays& all, size_t begin, size_t end) {
  return {all.begin() + static_cast<std::ptrdiff_t>(begin),
          all.begin() + static_cast<std::ptrdiff_t>(end)};
}

bool varies(const array& a) { return issubdtype(a.dtype(), inexact); }

/** Positions of the arrays that have derivatives. */
Ints varying(const Arrays& arrays) {
  Ints out;
  for (size_t i = 0; i < arrays.size(); i++) {
    if (varies(arrays[i])) out.push_back(static_cast<int>(i));
  }
  return out;
}

/** A graph as a function of the inputs in `positions`, the others given. */
ControlFunction in_terms_of(const SubgraphPtr& graph, const Arrays& inputs, const Ints& positions) {
  return [graph, inputs, positions](const Arrays& arguments) {
    Arrays all = inputs;
    for (size_t k = 0; k < positions.size(); k++) all[positions[k]] = arguments[k];
    return (*graph)(all);
  };
}

/** Tangents of the arrays that vary; zeros for those that `argnums` do not name. */
Arrays tangents_of(const Arrays& primals, const Ints& positions, const Arrays& tangents,
                   const Ints& argnums, const Stream& s) {
  Arrays out;
  for (int i : positions) {
    auto found = std::ranges::find(argnums, i);
    out.push_back(found == argnums.end()
                      ? zeros_like(primals[i], s)
                      : astype(tangents[found - argnums.begin()], primals[i].dtype(), s));
  }
  return out;
}

/** Zeros for what has no derivative, and the others from `from` in their order. */
Arrays with_zeros(const Arrays& like, const Arrays& from, const Stream& s) {
  Arrays out;
  size_t next = 0;
  for (auto& a : like) {
    out.push_back(varies(a)            ? from[next++]
                  : a.dtype() == bool_ ? zeros(a.shape(), float32, s)
                                       : zeros_like(a, s));
  }
  return out;
}

/** The outputs of a graph, and then the tangents of those that vary. */
Arrays pushed(const SubgraphPtr& graph, const Arrays& inputs, const Ints& positions,
              const Arrays& tangents, const Stream& s) {
  auto [outputs, moves] =
      core::jvp(in_terms_of(graph, inputs, positions), selected(inputs, positions), tangents);
  Arrays all = outputs;
  for (int i : varying(outputs)) all.push_back(astype(moves[i], outputs[i].dtype(), s));
  return all;
}

/** `yes` where `flags`, one for each element of the batch in front. */
array chosen(const array& flags, const array& yes, const array& no, const Stream& s) {
  Shape shape(yes.ndim(), 1);
  shape[0] = flags.shape(0);
  return where(reshape(flags, shape, s), yes, no, s);
}

/** The graph on a batch: outputs with it in front. */
Arrays mapped(const SubgraphPtr& graph, const Arrays& inputs, const Ints& axes, int size,
              const Stream& s) {
  auto run = [&](const Arrays& in) { return (*graph)(in); };
  if (std::ranges::all_of(axes, [](int axis) { return axis < 0; })) {
    Arrays outputs = run(inputs);
    for (auto& out : outputs) out = broadcast_batch_first(out, -1, size, s);
    return outputs;
  }
  return core::vmap(run, axes)(inputs);
}

}  // namespace

// ------------ Cond

std::vector<array> Cond::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                             const std::vector<int>& argnums) {
  size_t n = primals.size() - 1;
  auto branch = [&](int i) -> ControlFunction {
    return [&, graph = graphs_[i]](const Arrays& in) {
      Arrays operands = slice_of(in, 0, n);
      return core::jvp(in_terms_of(graph, operands, argnums), selected(operands, argnums),
                       slice_of(in, n, in.size()))
          .second;
    };
  };
  return cond(primals[n], branch(0), branch(1), joined(slice_of(primals, 0, n), tangents),
              stream());
}

std::vector<array> Cond::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>& argnums,
                             const std::vector<array>&) {
  size_t n = primals.size() - 1;
  auto branch = [&](int i) -> ControlFunction {
    return [&, graph = graphs_[i]](const Arrays& in) {
      Arrays operands = slice_of(in, 0, n);
      return core::vjp(in_terms_of(graph, operands, argnums), selected(operands, argnums),
                       slice_of(in, n, in.size()))
          .second;
    };
  };
  return cond(primals[n], branch(0), branch(1), joined(slice_of(primals, 0, n), cotangents),
              stream());
}

std::pair<std::vector<array>, std::vector<int>> Cond::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  size_t n = inputs.size() - 1;
  Arrays operands = slice_of(inputs, 0, n), outputs;
  Ints operand_axes(axes.begin(), axes.end() - 1);
  int size = batch_extent(inputs, axes);
  auto branch = [&](int i) -> ControlFunction {
    return [&, graph = graphs_[i]](const Arrays& in) {
      return mapped(graph, in, operand_axes, size, stream());
    };
  };
  if (axes[n] < 0) {
    outputs = cond(inputs[n], branch(0), branch(1), operands, stream());
  } else {
    array flags = reshape(moveaxis(inputs[n], axes[n], 0, stream()), {size}, stream());
    flags = not_equal(flags, array(0, flags.dtype()), stream());
    Arrays yes = branch(0)(operands), no = branch(1)(operands);
    for (size_t i = 0; i < yes.size(); i++) {
      outputs.push_back(chosen(flags, yes[i], no[i], stream()));
    }
  }
  return {outputs, Ints(outputs.size(), 0)};
}

// ------------ While

std::vector<array> While::jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                              const std::vector<int>& argnums) {
  Stream s = stream();
  size_t n = carried();
  Arrays values = slice_of(primals, 0, n), captured = slice_of(primals, n, primals.size());
  Ints positions = varying(primals), own = varying(values);
  Arrays moves = tangents_of(primals, positions, tangents, argnums, s);
  Arrays own_moves = slice_of(moves, 0, own.size());
  Arrays captured_moves = slice_of(moves, own.size(), moves.size());
  auto condition = [&](const Arrays& in) {
    return (*graphs_[0])(joined(slice_of(in, 0, n), captured))[0];
  };
  auto body = [&](const Arrays& in) {
    return pushed(graphs_[1], joined(slice_of(in, 0, n), captured), positions,
                  joined(slice_of(in, n, in.size()), captured_moves), s);
  };
  auto outputs = while_loop(condition, body, joined(values, own_moves), s);
  return with_zeros(values, slice_of(outputs, n, outputs.size()), s);
}

std::vector<array> While::vjp(const std::vector<array>&, const std::vector<array>&,
                              const std::vector<int>&, const std::vector<array>&) {
  fail(
      "while_loop",
      "There is no reverse derivative, since the number of turns is not known before; use scan, or "
      "jvp.");
}

std::pair<std::vector<array>, std::vector<int>> While::vmap(const std::vector<array>& inputs,
                                                            const std::vector<int>& axes) {
  Stream s = stream();
  size_t n = carried();
  int size = batch_extent(inputs, axes);
  Arrays values, captured = slice_of(inputs, n, inputs.size());
  for (size_t i = 0; i < n; i++)
    values.push_back(broadcast_batch_first(inputs[i], axes[i], size, s));
  Ints all_axes = axes;
  std::fill_n(all_axes.begin(), n, 0);
  auto flags = [&](const Arrays& in) {
    array flag = mapped(graphs_[0], joined(in, captured), all_axes, size, s)[0];
    return not_equal(reshape(flag, {size}, s), array(0, flag.dtype()), s);
  };
  auto body = [&](const Arrays& in) {
    array going = flags(in);
    Arrays next = mapped(graphs_[1], joined(in, captured), all_axes, size, s);
    for (size_t i = 0; i < n; i++) next[i] = chosen(going, next[i], in[i], s);
    return next;
  };
  auto outputs = while_loop([&](const Arrays& in) { return any(flags(in), s); }, body, values, s);
  return {outputs, Ints(n, 0)};
}

// ------------ Scan

std::vector<array> ScanLoop::jvp(const std::vector<array>& primals,
                                 const std::vector<array>& tangents,
                                 const std::vector<int>& argnums) {
  Stream s = stream();
  auto in = parts(primals);
  Ints positions = varying(primals);
  Arrays moves = tangents_of(primals, positions, tangents, argnums, s);
  size_t carries = varying(in.carry).size(), scanned = varying(in.xs).size();
  Arrays moved_captures = slice_of(moves, carries + scanned, moves.size());
  size_t c = in.carry.size(), x = in.xs.size(), n = graphs_[0]->shapes().size();
  auto turn = [&](const Arrays& carry, const Arrays& xs) -> std::pair<Arrays, Arrays> {
    Arrays inputs = joined(joined(slice_of(carry, 0, c), slice_of(xs, 0, x)), in.captured);
    Arrays directions = joined(slice_of(carry, c, carry.size()), slice_of(xs, x, xs.size()));
    Arrays out = pushed(graphs_[0], inputs, positions, joined(directions, moved_captures), s);
    Arrays out_moves = slice_of(out, n, out.size());
    return {joined(slice_of(out, 0, c), slice_of(out_moves, 0, carries)),
            joined(slice_of(out, c, n), slice_of(out_moves, carries, out_moves.size()))};
  };
  auto [last, collected] = scan(turn, joined(in.carry, slice_of(moves, 0, carries)),
                                joined(in.xs, slice_of(moves, carries, carries + scanned)),
                                spec_.length, spec_.reverse, s);
  Arrays like = joined(slice_of(last, 0, c), slice_of(collected, 0, n - c));
  return with_zeros(
      like, joined(slice_of(last, c, last.size()), slice_of(collected, n - c, collected.size())),
      s);
}

std::vector<array> ScanLoop::vjp(const std::vector<array>& primals,
                                 const std::vector<array>& cotangents,
                                 const std::vector<int>& argnums, const std::vector<array>&) {
  Stream s = stream();
  auto in = parts(primals);
  size_t c = in.carry.size(), x = in.xs.size();
  auto graph = graphs_[0];
  auto keep = [&](const Arrays& carry, const Arrays& xs) -> std::pair<Arrays, Arrays> {
    return {slice_of((*graph)(joined(joined(carry, xs), in.captured)), 0, c), carry};
  };
  Arrays carries = scan(keep, in.carry, in.xs, spec_.length, spec_.reverse, s).second;
  // Backwards, the cotangent of the carry is carried, and sums for what was captured.
  Ints positions = varying(primals);
  Ints own = varying(in.carry), along = varying(in.xs), beside = varying(in.captured);
  Arrays sums;
  for (int i : beside) sums.push_back(zeros_like(in.captured[i], s));
  auto back = [&](const Arrays& carry, const Arrays& xs) -> std::pair<Arrays, Arrays> {
    Arrays inputs = joined(slice_of(xs, 0, c + x), in.captured);
    Arrays given = with_zeros(slice_of(inputs, 0, c), slice_of(carry, 0, own.size()), s);
    Arrays grads = core::vjp(in_terms_of(graph, inputs, positions), selected(inputs, positions),
                             joined(given, slice_of(xs, c + x, xs.size())))
                       .second;
    Arrays next = slice_of(grads, 0, own.size());
    for (size_t i = 0; i < beside.size(); i++) {
      next.push_back(add(carry[own.size() + i], grads[own.size() + along.size() + i], s));
    }
    return {next, slice_of(grads, own.size(), own.size() + along.size())};
  };
  Arrays last = selected(slice_of(cotangents, 0, c), own);
  auto [sum, along_grads] =
      scan(back, joined(last, sums),
           joined(joined(carries, in.xs), slice_of(cotangents, c, cotangents.size())), spec_.length,
           !spec_.reverse, s);
  Arrays grads = joined(joined(slice_of(sum, 0, own.size()), along_grads),
                        slice_of(sum, own.size(), sum.size()));
  return selected(with_zeros(primals, grads, s), argnums);
}

std::pair<std::vector<array>, std::vector<int>> ScanLoop::vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes) {
  Stream s = stream();
  auto in = parts(inputs);
  auto at = parts(axes);
  int size = batch_extent(inputs, axes);
  for (size_t i = 0; i < in.carry.size(); i++) {
    in.carry[i] = broadcast_batch_first(in.carry[i], at.carry[i], size, s);
  }
  Ints turn_axes(in.carry.size(), 0);
  for (size_t i = 0; i < in.xs.size(); i++) {
    if (at.xs[i] >= 0) in.xs[i] = moveaxis(in.xs[i], at.xs[i], 1, s);
    turn_axes.push_back(at.xs[i] >= 0 ? 0 : -1);
  }
  turn_axes.insert(turn_axes.end(), at.captured.begin(), at.captured.end());
  size_t c = in.carry.size();
  auto turn = [&](const Arrays& carry, const Arrays& xs) -> std::pair<Arrays, Arrays> {
    Arrays out = mapped(graphs_[0], joined(joined(carry, xs), in.captured), turn_axes, size, s);
    return {slice_of(out, 0, c), slice_of(out, c, out.size())};
  };
  auto [last, collected] = scan(turn, in.carry, in.xs, spec_.length, spec_.reverse, s);
  Ints out_axes(c, 0);
  out_axes.insert(out_axes.end(), collected.size(), 1);
  return {joined(last, collected), out_axes};
}

}  // namespace mlx::core
