// Every primitive has all transform rules, or the reason why not is written here.
#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "mlx/backend/cpu/registry.h"
#include "mlx/mlx.h"

using namespace mlx::core;

namespace {

constexpr const char* no_inputs = "It has no inputs, so nothing varies and its shape is given.";
constexpr const char* plans_only = "It exists in plans only, which no transform sees.";

/** Rules that a primitive lacks, and why. */
const std::map<std::string, const char*> reasons = {
    {"Arange", no_inputs},
    {"Load", no_inputs},
    {"Fused", plans_only},
    {"Recv", no_inputs},
    {"StopGradient", "Derivatives end there, so no rule is asked for."},
};

std::string name_of(const std::type_info& type) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  std::string name = text.get();
  return name.substr(name.rfind(':') + 1);
}

}  // namespace

TEST(Rules, WhatLacksOneHasAReason) {
  size_t seen = 0;
  std::map<std::string, const char*> unused = reasons;
  cpu::primitive_table().for_each([&](const PrimitiveTable::Entry& entry) {
    const auto& has = entry.rules;
    bool complete = has.jvp && has.vjp && has.vmap && has.output_shapes;
    std::string name = name_of(*entry.type);
    EXPECT_TRUE(complete || reasons.contains(name))
        << name << " lacks" << (has.jvp ? "" : " jvp") << (has.vjp ? "" : " vjp")
        << (has.vmap ? "" : " vmap") << (has.output_shapes ? "" : " output_shapes");
    if (!complete) unused.erase(name);
    seen++;
  });
  EXPECT_GT(seen, 40u);
  for (auto& [name, reason] : unused) {
    ADD_FAILURE() << name << " has all rules now; its reason is out of date: " << reason;
  }
}
