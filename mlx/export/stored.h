// An exported function as plain data: what a file holds. Graphs are nodes over numbered values:
// arguments, constants, then the outputs of each node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/export/value.h"

namespace mlx::core {

struct StoredArgument {
  /** Empty for a positional one. */
  std::string name;
  Shape shape;
  Dtype dtype = float32;
  /** For each axis 0 if its extent is that of the shape, else the number of the extent it has: axes
   *  of one number are as long as each other. Empty if all are fixed. */
  std::vector<uint32_t> extents;
};

/** Where a node runs. */
enum class Place : uint8_t {
  caller,  // on the caller's default stream, as ops do for which no stream is named
  cpu,
  gpu,
};

struct StoredTrace;

struct StoredNode {
  std::string primitive;
  Values fields;
  Place place = Place::caller;
  std::vector<uint32_t> inputs;
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  /** Of control flow: what branches and bodies do. */
  std::vector<StoredTrace> graphs;
};

/** What a function did for one sort of arguments. */
struct StoredTrace {
  /** Positional ones first. */
  std::vector<StoredArgument> arguments;
  /** Whether the last argument is not the caller's but a key of the random sequence. */
  bool draws = false;
  /** Numbers of the file's constants. */
  std::vector<uint32_t> constants;
  std::vector<StoredNode> nodes;
  std::vector<uint32_t> outputs;
  /** How the outputs belong together; a matter of those who export and import. */
  std::string structure;

  size_t callers_arguments() const { return arguments.size() - draws; }
};

struct StoredFunction {
  std::string metadata;
  std::vector<array> constants;
  std::vector<StoredTrace> traces;
};

}  // namespace mlx::core
