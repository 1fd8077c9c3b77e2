// Rows of a source file to events, by the rules of the recipe. Knows which rows are inputs and when they became known.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ingest/event.h"
#include "ingest/ingest_report.h"
#include "ingest/recipe.h"
#include "ingest/sample_index.h"
#include "ingest/source_files.h"

namespace tributary {

enum class TargetKind { series, feature, note, task, document };

// What a rule feeds. Targets are numbered through: channels of all groups, static features, notes, tasks; last the documents of a recipe that has such.
struct Target {
  TargetKind kind = TargetKind::series;
  std::size_t index = 0;    // series group, static rule, note rule, task rule
  std::size_t channel = 0;  // of the group
  std::string name;         // for reports: "series labs/sodium"
};
[[nodiscard]] std::vector<Target> targets_of(const Recipe& recipe);

// Reads file number `file` of the list and spills its events; a document is one event. An input counts only when both its time and the time it was entered lie
// before the prediction hour. Throws: Error{data} for a missing column or more bad rows than the recipe allows, Error{io, missing}.
void spill_file_events(const Recipe& recipe, const std::filesystem::path& source, const std::vector<SourceFile>& files, std::size_t file,
                       const SampleIndex& samples, EventSpill& spill, IngestReport& report);

}  // namespace tributary
