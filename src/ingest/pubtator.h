// Documents in the PubTator format: title, abstract, mentions with offsets and concept ids, relations between concepts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "ingest/recipe.h"
#include "ingest/record_entities.h"

namespace tributary {

struct PubtatorDocument {
  std::string id;
  std::int64_t line = 0;  // of its title
  AnnotatedText content;  // title, a line break where the format counts one character, abstract
};

struct PubtatorVisitor {
  std::function<void(PubtatorDocument)> document;
  // What cannot be used, and the id of its document where one is open; the line or the document is left out, reading goes on.
  std::function<void(std::int64_t line, std::string_view document, std::string_view reason)> bad;
  std::function<void(std::string_view what)> left_out;  // what the recipe does not ask for, and the like: only counted
  std::function<void(std::int64_t bytes)> replaced;     // bytes of a line that are not UTF-8 and became U+FFFD
};

// Reads a file, plain or gzip:
//   <id>|t|<title>, <id>|a|<abstract>, <id> TAB begin TAB end TAB text TAB type [TAB concept ids [TAB ...]], <id> TAB relation TAB concept TAB concept
//   [TAB novelty]; an empty line or the next title ends a document.
// Offsets count characters of "<title> <abstract>"; a mention that is not the text there is bad, as is a relation of a concept without a mention.
// Throws: Error{missing, io, data} for a file that cannot be read.
void read_pubtator(const std::filesystem::path& path, const Recipe& recipe, const PubtatorVisitor& visitor);

}  // namespace tributary
