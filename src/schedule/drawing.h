// A timeline of a pipeline's step as a picture: an SVG document that stands by itself, readable on light and on dark ground. Pure; equal input, equal text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schedule/schedule.h"

namespace tributary {

struct Bar {  // one action
  int rank = 0;
  int stage = 0;
  std::int64_t leaf = 0;
  ActionKind kind = ActionKind::forward;
  double begin_s = 0;
  double end_s = 0;
};

struct TimelinePicture {
  std::string schedule;     // name of its kind
  int ranks = 1;            // p, a row each
  int chunks = 1;           // v, shades of each colour: the stages of a rank in ascending order
  std::int64_t leaves = 0;  // m
  double bubble = 0;        // share of the ranks' time lost
  std::vector<Bar> bars;
};

// A bar carries its leaf's number where there is room, and always a tooltip with all of it. Throws: Error{internal} for a bar outside of the ranks or of time.
[[nodiscard]] std::string draw_timeline(const TimelinePicture& picture);

}  // namespace tributary
