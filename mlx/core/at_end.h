// What has to be over before the process ends. Exit handlers alone come too late for it: those of
// libraries that were opened since run first.
#pragma once

namespace mlx::core::scheduler {

/** Has `finish` called when the process ends, once streams are idle: by the host language before it
 *  exits, and at exit. It may be called more than once, and must not throw. */
void call_at_end(void (*finish)());

}  // namespace mlx::core::scheduler
