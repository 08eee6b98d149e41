// One Python object per call that is kept, and a reference of its own to it for each who keeps it.
#include "python/src/kept_call.h"

#include <memory>
#include <unordered_map>

#include "mlx/transforms/recording.h"
#include "python/src/function.h"
#include "python/src/gil.h"

namespace mlx::python {

namespace {

using CallPtr = std::shared_ptr<const mlx::core::CustomCall>;

/** The Python object of a call: shows what the call holds, unless others use it at the moment. */
class KeptCall {
 public:
  explicit KeptCall(CallPtr call) : call_(std::move(call)) {}
  KeptCall(const KeptCall&) = delete;
  KeptCall& operator=(const KeptCall&) = delete;
  ~KeptCall() { objects().erase(call_.get()); }

  std::vector<nb::object*> references() {
    if (call_.use_count() != 1) {
      return {};
    }
    if (call_->inner) {
      return {kept_reference(call_->inner.get())};
    }
    return FlatCall::references(call_->fun);
  }

  /** The object of each call that has one; for whoever has the GIL. */
  static std::unordered_map<const void*, nb::handle>& objects() {
    static auto* all = new std::unordered_map<const void*, nb::handle>;
    return *all;
  }

 private:
  CallPtr call_;
};

nb::object object_of(const CallPtr& call) {
  auto& objects = KeptCall::objects();
  if (auto found = objects.find(call.get()); found != objects.end()) {
    return nb::borrow(found->second);
  }
  nb::object made = nb::inst_alloc(nb::type<KeptCall>());
  new (nb::inst_ptr<KeptCall>(made)) KeptCall(call);
  nb::inst_mark_ready(made);
  objects.emplace(call.get(), made);
  return made;
}

std::shared_ptr<const void> keep(const CallPtr& call) {
  Locked locked;
  return std::shared_ptr<nb::object>(new nb::object(object_of(call)), [](nb::object* reference) {
    drop_reference(std::move(*reference));
    delete reference;
  });
}

}  // namespace

nb::object* kept_reference(const void* kept) {
  return const_cast<nb::object*>(static_cast<const nb::object*>(kept));
}

void bind_kept_call(nb::module_& m) {
  nb::class_<KeptCall> bound(m, "KeptCall", nb::type_slots(collector_slots<KeptCall>),
                             "A function with rules of its own that compiled functions keep.");
  mlx::core::set_call_keeper(&keep);
}

}  // namespace mlx::python
