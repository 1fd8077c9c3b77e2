#include "train/progress.h"

#include <algorithm>

namespace tributary {
namespace {

constexpr double terminal_every_s = 0.2, plain_every_s = 5;

}  // namespace

std::string spoken(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

Progress::Progress(const Log& log, bool terminal, std::int64_t total_steps) : log_(log), terminal_(terminal), total_steps_(total_steps) {}

std::string Progress::line(const StepRecord& record) const {
  return fmt::format("epoch {}, step {}/{}, loss {}, {:.0f} records/s, {} left, rank efficiency {:.0f} %{}", record.epoch + 1, record.step, total_steps_,
                     record.loss ? fmt::format("{:.4f}", *record.loss) : "none", speed_, spoken(step_s_ * static_cast<double>(total_steps_ - record.step)),
                     100 * record.efficiency, record.applied ? "" : ", step skipped: gradient not finite in " + record.bad_part);
}

void Progress::step(const StepRecord& record) {
  if (log_.rank() != 0) return;
  records_ += record.records;
  ++steps_;
  seconds_ += record.seconds;
  const bool due = !any_ || since_line_.elapsed_s() >= (terminal_ ? terminal_every_s : plain_every_s) || record.step == total_steps_ || !record.applied;
  if (!due) return;
  speed_ = static_cast<double>(records_) / std::max(seconds_, 1e-9);
  const double recent_s = seconds_ / static_cast<double>(steps_);
  step_s_ = step_s_ == 0 ? recent_s : 0.8 * step_s_ + 0.2 * recent_s;
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{}", line(record));
    std::fflush(stderr);
    open_ = true;
  } else {
    log_.info("{}", line(record));
  }
  records_ = 0;
  steps_ = 0;
  seconds_ = 0;
  any_ = true;
  since_line_ = Stopwatch();
}

void Progress::pause() {
  if (open_) fmt::print(stderr, "\n");
  open_ = false;
}

}  // namespace tributary
