// Primitives as text: what prints of graphs and plans show of a node.
#include "mlx/primitives/described.h"

#include "mlx/utils.h"

namespace mlx::core {

namespace {

class FieldPrinter final : public FieldVisitor {
 public:
  explicit FieldPrinter(std::ostream& os) : os_(os) {}

  void boolean(bool value) override { next() << (value ? "true" : "false"); }
  void integer(int64_t value) override { next() << value; }
  void real(double value) override { next() << value; }
  void dtype(Dtype value) override { next() << value; }
  void text(std::string_view value) override { next() << '"' << value << '"'; }
  void identity(const void* value) override { next() << value; }
  void begin_list(size_t) override {
    next() << "[";
    first_ = true;
  }
  void end_list() override {
    os_ << "]";
    first_ = false;
  }

 private:
  std::ostream& next() {
    if (!first_) os_ << ", ";
    first_ = false;
    return os_;
  }

  std::ostream& os_;
  bool first_ = true;
};

}  // namespace

std::ostream& operator<<(std::ostream& os, const Primitive& primitive) {
  os << primitive.name() << "(";
  FieldPrinter printer(os);
  primitive.visit_fields(printer);
  return os << ")";
}

}  // namespace mlx::core
