// Einstein summation: subscripts become labelled operands, a greedy path says which two to contract
// next, and each contraction is a sum, a broadcast product or a (batched) matrix product.
#include "mlx/einsum.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** A letter, or kEllipsis + i for the i-th axis from the right that an ellipsis stands for. */
using Label = int;
using Labels = std::vector<Label>;
using LabelSet = std::set<Label>;
using Extents = std::map<Label, double>;

constexpr Label kEllipsis = 256;
constexpr const char* kDots = "...";

/** Parts of the subscripts, spaces left out; the output is there even if it was implied. */
struct Subscripts {
  std::vector<std::string> inputs;
  std::string output;
};

bool has_dots(const std::string& term) { return term.find(kDots) != std::string::npos; }

/** Letters of a term without the dots. */
std::string letters_of(const std::string& term) {
  size_t dots = term.find(kDots);
  std::string letters =
      dots == std::string::npos ? term : term.substr(0, dots) + term.substr(dots + 3);
  for (char c : letters) {
    check(std::isalpha(static_cast<unsigned char>(c)), "einsum",
          "Subscripts must be letters, but got '", c, "'.");
  }
  return letters;
}

std::string implied_output(const std::vector<std::string>& inputs) {
  std::map<char, int> uses;
  bool dots = false;
  for (const std::string& term : inputs) {
    dots |= has_dots(term);
    for (char c : letters_of(term)) {
      uses[c]++;
    }
  }
  std::string output = dots ? kDots : "";
  for (auto [letter, count] : uses) {
    if (count == 1) {
      output += letter;
    }
  }
  return output;
}

Subscripts parse(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  size_t arrow = text.find("->");
  Subscripts result;
  std::stringstream terms(text.substr(0, arrow));
  for (std::string term; std::getline(terms, term, ',');) {
    result.inputs.push_back(term);
  }
  if (text.substr(0, arrow).empty() || text.substr(0, arrow).back() == ',') {
    result.inputs.emplace_back();
  }
  result.output =
      arrow == std::string::npos ? implied_output(result.inputs) : text.substr(arrow + 2);
  std::string output = letters_of(result.output);
  for (char c : output) {
    check(std::count(output.begin(), output.end(), c) == 1, "einsum",
          "Repeat indices not allowed in output, but got '", c, "' twice.");
    bool known = std::any_of(result.inputs.begin(), result.inputs.end(),
                             [c](const auto& term) { return term.find(c) != std::string::npos; });
    check(known, "einsum", "Output subscript '", c, "' is in no input.");
  }
  return result;
}

/** Labels of a term; an ellipsis stands for `dots` axes. */
Labels labels_of(const std::string& term, int dots) {
  Labels labels;
  for (size_t i = 0; i < term.size(); i++) {
    if (term[i] != '.') {
      labels.push_back(term[i]);
      continue;
    }
    for (int d = dots - 1; d >= 0; d--) {
      labels.push_back(kEllipsis + d);
    }
    i += 2;
  }
  return labels;
}

/** An einsum of which only the arithmetic is left: what to contract and what comes out. */
struct Problem {
  std::vector<Labels> inputs;
  Labels output;
  Extents extents;
};

Problem analyse(const Subscripts& subscripts, const std::vector<array>& operands) {
  check(operands.size() == subscripts.inputs.size(), "einsum", "Number of operands, ",
        operands.size(), ", does not match number of input subscripts, ", subscripts.inputs.size(),
        ".");
  Problem problem;
  int most_dots = 0;
  for (size_t i = 0; i < operands.size(); i++) {
    const std::string& term = subscripts.inputs[i];
    int dots = static_cast<int>(operands[i].ndim()) - static_cast<int>(letters_of(term).size());
    check(has_dots(term) ? dots >= 0 : dots == 0, "einsum", "Input ", i, " with shape ",
          operands[i].shape(), " does not have the dimensions of the subscripts '", term, "'.");
    most_dots = std::max(most_dots, dots);
    problem.inputs.push_back(labels_of(term, dots));
    for (size_t axis = 0; axis < problem.inputs[i].size(); axis++) {
      double extent = operands[i].shape(static_cast<int>(axis));
      auto [known, is_new] = problem.extents.emplace(problem.inputs[i][axis], extent);
      if (!is_new && known->second == 1) {
        known->second = extent;
      }
      check(extent == 1 || extent == known->second, "einsum", "Cannot broadcast dimension ", axis,
            " of input ", i, " with shape ", operands[i].shape(), " to size ", known->second, ".");
    }
  }
  problem.output = labels_of(subscripts.output, most_dots);
  check(most_dots == 0 || has_dots(subscripts.output), "einsum",
        "The output needs an ellipsis as the inputs have one.");
  return problem;
}

LabelSet union_of(const std::vector<LabelSet>& sets) {
  LabelSet all;
  for (const LabelSet& set : sets) {
    all.insert(set.begin(), set.end());
  }
  return all;
}

double elements(const LabelSet& labels, const Extents& extents) {
  return std::accumulate(labels.begin(), labels.end(), 1.0,
                         [&](double n, Label label) { return n * extents.at(label); });
}

/** Multiplications and additions of one contraction over the labels `all`. */
double flops(const LabelSet& all, size_t operands, bool sums, const Extents& extents) {
  double factor = std::max<double>(1, static_cast<double>(operands) - 1) + (sums ? 1 : 0);
  return factor * elements(all, extents);
}

struct Step {
  std::vector<int> operands;  // positions; the result is appended after they are removed
  size_t scaling;
  double flops;
};

/** What a contraction of `chosen` leaves when `rest` and the output still need their labels. */
LabelSet kept_labels(const LabelSet& chosen, const std::vector<LabelSet>& rest,
                     const LabelSet& output) {
  LabelSet needed = union_of(rest), kept;
  needed.insert(output.begin(), output.end());
  std::set_intersection(chosen.begin(), chosen.end(), needed.begin(), needed.end(),
                        std::inserter(kept, kept.end()));
  return kept;
}

Step contract_step(std::vector<LabelSet>& sets, std::vector<int> chosen, const LabelSet& output,
                   const Extents& extents) {
  std::vector<LabelSet> taken, rest;
  for (int i = 0; i < static_cast<int>(sets.size()); i++) {
    bool is_chosen = std::find(chosen.begin(), chosen.end(), i) != chosen.end();
    (is_chosen ? taken : rest).push_back(sets[i]);
  }
  LabelSet all = union_of(taken);
  LabelSet kept = kept_labels(all, rest, output);
  Step step{std::move(chosen), all.size(),
            flops(all, taken.size(), kept.size() < all.size(), extents)};
  rest.push_back(std::move(kept));
  sets = std::move(rest);
  return step;
}

/** The pair whose contraction removes most elements, by cost among equals. */
std::vector<int> best_pair(const std::vector<LabelSet>& sets, const LabelSet& output,
                           const Extents& extents) {
  std::vector<int> best;
  std::pair<double, double> best_score;
  bool best_shares = false;
  int count = static_cast<int>(sets.size());
  for (int i = 0; i < count; i++) {
    for (int j = i + 1; j < count; j++) {
      std::vector<LabelSet> after = sets;
      Step step = contract_step(after, {i, j}, output, extents);
      double removed =
          elements(sets[i], extents) + elements(sets[j], extents) - elements(after.back(), extents);
      bool shares = union_of({sets[i], sets[j]}).size() < sets[i].size() + sets[j].size();
      std::pair<double, double> score{-removed, step.flops};
      if (best.empty() || (shares && !best_shares) ||
          (shares == best_shares && score < best_score)) {
        best = {i, j};
        best_score = score;
        best_shares = shares;
      }
    }
  }
  return best;
}

std::vector<Step> greedy_path(const Problem& problem) {
  std::vector<LabelSet> sets;
  for (const Labels& labels : problem.inputs) {
    sets.emplace_back(labels.begin(), labels.end());
  }
  LabelSet output(problem.output.begin(), problem.output.end());
  std::vector<Step> path;
  if (sets.size() == 1) {
    path.push_back(contract_step(sets, {0}, output, problem.extents));
  }
  while (sets.size() > 1) {
    path.push_back(
        contract_step(sets, best_pair(sets, output, problem.extents), output, problem.extents));
  }
  return path;
}

// ------------ Contraction

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

std::string report(const std::string& subscripts, const Problem& problem,
                   const std::vector<Step>& path) {
  std::vector<LabelSet> sets;
  for (const Labels& labels : problem.inputs) {
    sets.emplace_back(labels.begin(), labels.end());
  }
  LabelSet all = union_of(sets);
  double naive = flops(all, sets.size(), problem.output.size() < all.size(), problem.extents);
  double optimized = 0;
  size_t scaling = 0;
  for (const Step& step : path) {
    optimized += step.flops;
    scaling = std::max(scaling, step.scaling);
  }
  std::ostringstream os;
  os.precision(15);
  os << "  Complete contraction:  " << subscripts << "\n"
     << "         Naive scaling:  " << all.size() << "\n"
     << "     Optimized scaling:  " << scaling << "\n"
     << "      Naive FLOP count:  " << naive << "\n"
     << "  Optimized FLOP count:  " << optimized << "\n";
  return os.str();
}

}  // namespace

std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const std::vector<array>& operands) {
  Problem problem = analyse(parse(subscripts), operands);
  std::vector<Step> path = greedy_path(problem);
  std::vector<std::vector<int>> positions;
  for (const Step& step : path) {
    positions.push_back(step.operands);
  }
  return {std::move(positions), report(subscripts, problem, path)};
}

array einsum(const std::string& subscripts, const std::vector<array>& operands, StreamOrDevice s) {
  Problem problem = analyse(parse(subscripts), operands);
  std::vector<Operand> left;
  for (size_t i = 0; i < operands.size(); i++) {
    left.push_back(simplified(operands[i], problem.inputs[i], problem.extents, s));
  }
  for (const Step& step : greedy_path(problem)) {
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
