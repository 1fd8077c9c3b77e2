#include "model/registry.h"

#include "base/error.h"
#include "model/families/lm_hhda.h"
#include "model/families/text_bert.h"
#include "model/families/text_mlm.h"

namespace tributary {

Schema schema_of_model(const ModelSettings& settings, const Schema& stored) {
  return settings.model.family == "text_mlm" ? with_masked_tokens(stored) : stored;
}

BlockList build_model(const ModelSettings& settings, const Schema& schema, std::int64_t vocabulary_size) {
  if (settings.model.family == "lm_hhda") {
    if (settings.model.mode != "timeline" && settings.model.mode != "tokens")
      fail(ErrorKind::configuration, "model.mode: expected 'timeline' or 'tokens', found '{}'", settings.model.mode);
    return lm_hhda(settings, schema, vocabulary_size);
  }
  if (settings.model.family == "text_bert") return text_bert(settings, schema, vocabulary_size);
  if (settings.model.family == "text_mlm") return text_mlm(settings, schema, vocabulary_size);
  fail(ErrorKind::configuration, "model.family: expected 'lm_hhda', 'text_bert' or 'text_mlm', found '{}'", settings.model.family);
}

void check_window(const ModelSettings& settings, std::int64_t window_tokens) {
  if (window_tokens > settings.text.positions) {
    fail(ErrorKind::configuration, "data.window_tokens = {} must be at most text.positions = {}", window_tokens, settings.text.positions);
  }
}

}  // namespace tributary
