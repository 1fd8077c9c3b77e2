// How a run tells a person where it stands: on a terminal one line that is rewritten, elsewhere one plain line every few seconds. Rank 0 alone speaks.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "train/step_record.h"

namespace tributary {

class Progress {
 public:
  Progress(const Log& log, bool terminal, std::int64_t total_steps);

  void step(const StepRecord& record);
  // Ends a rewritten line, so that other lines can follow.
  void pause();

 private:
  [[nodiscard]] std::string line(const StepRecord& record) const;
  const Log& log_;
  bool terminal_;
  std::int64_t total_steps_;
  std::int64_t records_ = 0, steps_ = 0;  // since the last line
  double seconds_ = 0;
  double speed_ = 0;   // records/s
  double step_s_ = 0;  // mean over the steps since the last line, smoothed over lines
  bool open_ = false;
  bool any_ = false;
  Stopwatch since_line_;
};

// "1 h 05 min", "3 min 20 s", "12 s"
[[nodiscard]] std::string spoken(double seconds);

}  // namespace tributary
