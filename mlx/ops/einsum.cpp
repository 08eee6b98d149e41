// Einstein summation: each contraction of the path is a sum, a broadcast product or a (batched)
// matrix product of operands that carry a label for every axis.
#include "mlx/einsum.h"

#include <algorithm>
#include <limits>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/ops/einsum_path.h"

namespace mlx::core {

using namespace detail;

namespace {

struct Operand {
  array data;
  Labels labels;

  int axis(Label label) const {
    auto found = std::find(labels.begin(), labels.end(), label);
    return found == labels.end() ? -1 : static_cast<int>(found - labels.begin());
  }
  bool has(Label label) const { return axis(label) >= 0; }
};

/** Takes diagonals of repeated labels and drops axes of extent 1 that broadcast. */
Operand simplified(array data, Labels labels, const Extents& extents, StreamOrDevice s) {
  for (size_t i = 0; i < labels.size(); i++) {
    for (size_t j = i + 1; j < labels.size(); j++) {
      if (labels[i] != labels[j]) {
        continue;
      }
      int rows = data.shape(static_cast<int>(i)), cols = data.shape(static_cast<int>(j));
      check(rows == cols, "einsum", "Dimensions of repeated subscripts do not have the same size (",
            rows, " != ", cols, ").");
      data = diagonal(data, 0, static_cast<int>(i), static_cast<int>(j), s);
      Label repeated = labels[i];
      labels.erase(labels.begin() + static_cast<int64_t>(j));
      labels.erase(labels.begin() + static_cast<int64_t>(i));
      labels.push_back(repeated);
      return simplified(std::move(data), std::move(labels), extents, s);
    }
  }
  std::vector<int> broadcast;
  Labels kept;
  for (size_t i = 0; i < labels.size(); i++) {
    if (data.shape(static_cast<int>(i)) == 1 && extents.at(labels[i]) != 1) {
      broadcast.push_back(static_cast<int>(i));
    } else {
      kept.push_back(labels[i]);
    }
  }
  return {broadcast.empty() ? data : squeeze(data, broadcast, s), std::move(kept)};
}

/** Sums over the labels that are not in `kept`. */
Operand summed(const Operand& in, const LabelSet& kept, StreamOrDevice s) {
  std::vector<int> axes;
  Labels labels;
  for (size_t i = 0; i < in.labels.size(); i++) {
    if (kept.count(in.labels[i])) {
      labels.push_back(in.labels[i]);
    } else {
      axes.push_back(static_cast<int>(i));
    }
  }
  return axes.empty() ? in : Operand{sum(in.data, axes, false, s), std::move(labels)};
}

/** The operand with its axes in the order of `labels`, of which it may lack some: extent 1 there.
 */
array arranged(const Operand& in, const Labels& labels, StreamOrDevice s) {
  std::vector<int> order, missing;
  for (size_t i = 0; i < labels.size(); i++) {
    int axis = in.axis(labels[i]);
    if (axis < 0) {
      missing.push_back(static_cast<int>(i));
    } else {
      order.push_back(axis);
    }
  }
  array out = std::is_sorted(order.begin(), order.end()) ? in.data : transpose(in.data, order, s);
  return missing.empty() ? out : expand_dims(out, missing, s);
}

Labels joined(Labels a, const Labels& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Shape extents_of(const Operand& in, const Labels& labels) {
  Shape shape;
  for (Label label : labels) {
    shape.push_back(in.data.shape(in.axis(label)));
  }
  return shape;
}

/** (batch..., first..., second...) with `first` and `second` as one axis each. */
array as_matrices(const Operand& in, const Labels& batch, const Labels& first, const Labels& second,
                  StreamOrDevice s) {
  Shape shape = extents_of(in, batch);
  for (const Labels* group : {&first, &second}) {
    size_t n = num_elements(extents_of(in, *group));
    check(n <= static_cast<size_t>(std::numeric_limits<ShapeElem>::max()), "einsum",
          "Contracted dimensions are too large.");
    shape.push_back(static_cast<ShapeElem>(n));
  }
  return reshape(arranged(in, joined(batch, joined(first, second)), s), std::move(shape), s);
}

Operand contract_pair(const Operand& in_a, const Operand& in_b, const LabelSet& kept,
                      StreamOrDevice s) {
  auto needed = [&kept](const Operand& other) {
    LabelSet labels = kept;
    labels.insert(other.labels.begin(), other.labels.end());
    return labels;
  };
  Operand a = summed(in_a, needed(in_b), s), b = summed(in_b, needed(in_a), s);
  Labels batch, inner, outer_a, outer_b;
  for (Label label : a.labels) {
    (!b.has(label) ? outer_a : kept.count(label) ? batch : inner).push_back(label);
  }
  for (Label label : b.labels) {
    if (!a.has(label)) {
      outer_b.push_back(label);
    }
  }
  Labels labels = joined(batch, joined(outer_a, outer_b));
  if (inner.empty()) {
    return {multiply(arranged(a, labels, s), arranged(b, labels, s), s), std::move(labels)};
  }
  array product =
      matmul(as_matrices(a, batch, outer_a, inner, s), as_matrices(b, batch, inner, outer_b, s), s);
  Shape shape = extents_of(a, joined(batch, outer_a));
  for (ShapeElem extent : extents_of(b, outer_b)) {
    shape.push_back(extent);
  }
  return {reshape(product, std::move(shape), s), std::move(labels)};
}

LabelSet labels_still_needed(const std::vector<Operand>& operands, const Labels& output) {
  LabelSet needed(output.begin(), output.end());
  for (const Operand& operand : operands) {
    needed.insert(operand.labels.begin(), operand.labels.end());
  }
  return needed;
}

}  // namespace

array einsum(const std::string& subscripts, const std::vector<array>& operands, StreamOrDevice s) {
  EinsumProblem problem = analyse_einsum(subscripts, operands);
  std::vector<Operand> left;
  for (size_t i = 0; i < operands.size(); i++) {
    left.push_back(simplified(operands[i], problem.inputs[i], problem.extents, s));
  }
  for (const EinsumStep& step : greedy_path(problem)) {
    std::vector<Operand> chosen;
    for (auto i = step.operands.rbegin(); i != step.operands.rend(); ++i) {
      chosen.insert(chosen.begin(), std::move(left[*i]));
      left.erase(left.begin() + *i);
    }
    LabelSet needed = labels_still_needed(left, problem.output);
    left.push_back(chosen.size() == 1 ? summed(chosen[0], needed, s)
                                      : contract_pair(chosen[0], chosen[1], needed, s));
  }
  array out = arranged(left[0], problem.output, s);
  // Only an operand of extent 1 can have stood for the whole axis.
  Shape shape;
  for (Label label : problem.output) {
    shape.push_back(static_cast<ShapeElem>(problem.extents.at(label)));
  }
  return out.shape() == shape ? out : broadcast_to(out, shape, s);
}

}  // namespace mlx::core
