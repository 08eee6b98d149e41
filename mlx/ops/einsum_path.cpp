// Subscripts become sets of labels; the path takes the pair whose contraction removes most
// elements.
#include "mlx/ops/einsum_path.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <sstream>

#include "mlx/core/errors.h"
#include "mlx/einsum.h"

namespace mlx::core {

using namespace detail;

namespace {

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

}  // namespace

namespace detail {

EinsumProblem analyse_einsum(const std::string& text, const std::vector<array>& operands) {
  Subscripts subscripts = parse(text);
  check(operands.size() == subscripts.inputs.size(), "einsum", "Number of operands, ",
        operands.size(), ", does not match number of input subscripts, ", subscripts.inputs.size(),
        ".");
  EinsumProblem problem;
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

}  // namespace detail

namespace {

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

/** What a contraction of `chosen` leaves when `rest` and the output still need their labels. */
LabelSet kept_labels(const LabelSet& chosen, const std::vector<LabelSet>& rest,
                     const LabelSet& output) {
  LabelSet needed = union_of(rest), kept;
  needed.insert(output.begin(), output.end());
  std::set_intersection(chosen.begin(), chosen.end(), needed.begin(), needed.end(),
                        std::inserter(kept, kept.end()));
  return kept;
}

EinsumStep contract_step(std::vector<LabelSet>& sets, std::vector<int> chosen,
                         const LabelSet& output, const Extents& extents) {
  std::vector<LabelSet> taken, rest;
  for (int i = 0; i < static_cast<int>(sets.size()); i++) {
    bool is_chosen = std::find(chosen.begin(), chosen.end(), i) != chosen.end();
    (is_chosen ? taken : rest).push_back(sets[i]);
  }
  LabelSet all = union_of(taken);
  LabelSet kept = kept_labels(all, rest, output);
  EinsumStep step{std::move(chosen), all.size(),
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
      EinsumStep step = contract_step(after, {i, j}, output, extents);
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

}  // namespace

namespace detail {

std::vector<EinsumStep> greedy_path(const EinsumProblem& problem) {
  std::vector<LabelSet> sets;
  for (const Labels& labels : problem.inputs) {
    sets.emplace_back(labels.begin(), labels.end());
  }
  LabelSet output(problem.output.begin(), problem.output.end());
  std::vector<EinsumStep> path;
  if (sets.size() == 1) {
    path.push_back(contract_step(sets, {0}, output, problem.extents));
  }
  while (sets.size() > 1) {
    path.push_back(
        contract_step(sets, best_pair(sets, output, problem.extents), output, problem.extents));
  }
  return path;
}

}  // namespace detail

namespace {

std::string report(const std::string& subscripts, const EinsumProblem& problem,
                   const std::vector<EinsumStep>& path) {
  std::vector<LabelSet> sets;
  for (const Labels& labels : problem.inputs) {
    sets.emplace_back(labels.begin(), labels.end());
  }
  LabelSet all = union_of(sets);
  double naive = flops(all, sets.size(), problem.output.size() < all.size(), problem.extents);
  double optimized = 0;
  size_t scaling = 0;
  for (const EinsumStep& step : path) {
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
  EinsumProblem problem = analyse_einsum(subscripts, operands);
  std::vector<EinsumStep> path = greedy_path(problem);
  std::vector<std::vector<int>> positions;
  for (const EinsumStep& step : path) {
    positions.push_back(step.operands);
  }
  return {std::move(positions), report(subscripts, problem, path)};
}

}  // namespace mlx::core
