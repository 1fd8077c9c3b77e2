// What `tributary plan` shows. Pure.
#pragma once

#include <string>

#include "train/pipeline_plan.h"

namespace tributary {

// Tables of the blocks, the stages and the ranks, and the step. timeline: as plan_timeline().
[[nodiscard]] std::string plan_report(const PlanQuestion& question, const StagePlan& plan, const Timeline& timeline);

// SVG.
[[nodiscard]] std::string plan_picture(const PlanQuestion& question, const Timeline& timeline);

}  // namespace tributary
