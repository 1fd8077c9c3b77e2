#include "schedule/drawing.h"

#include <gmock/gmock.h>

#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/error.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;    // directly inside
  std::string parent;  // name
};

// A strict reader of the XML that a drawing may use: elements in the order in which they end, or a failure.
class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : text_(text) {}

  std::vector<Element> read() {
    constexpr std::string_view prolog = R"(<?xml version="1.0" encoding="UTF-8"?>)";
    EXPECT_EQ(text_.substr(0, prolog.size()), prolog);
    text_.remove_prefix(std::min(prolog.size(), text_.size()));
    skip_space();
    element("");
    skip_space();
    if (!text_.empty()) fail("something behind the root");
    return failed_ ? std::vector<Element>{} : elements_;
  }

 private:
  void fail(std::string_view what) {
    if (!failed_) ADD_FAILURE() << what << " before: " << text_.substr(0, 60);
    failed_ = true;
  }
  bool take(std::string_view expected) {
    if (!text_.starts_with(expected)) return false;
    text_.remove_prefix(expected.size());
    return true;
  }
  void skip_space() {
    while (!text_.empty() && std::isspace(static_cast<unsigned char>(text_.front())) != 0) text_.remove_prefix(1);
  }
  std::string name() {
    std::size_t length = 0;
    while (length < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[length])) != 0 || text_[length] == '-' || text_[length] == ':')) ++length;
    if (length == 0) fail("no name");
    const std::string result(text_.substr(0, length));
    text_.remove_prefix(length);
    return result;
  }
  // Up to one of `ends`, entities resolved.
  std::string characters(std::string_view ends) {
    std::string result;
    while (!failed_ && !text_.empty() && ends.find(text_.front()) == std::string_view::npos) {
      if (text_.front() != '&') {
        if (text_.front() == '<' || (static_cast<unsigned char>(text_.front()) < 32 && text_.front() != '\n')) fail("an illegal character");
        result += text_.front();
        text_.remove_prefix(1);
        continue;
      }
      bool known = false;
      for (const auto& [entity, meaning] : std::map<std::string_view, char>{{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}})
        if (!known && take(entity)) {
          result += meaning;
          known = true;
        }
      if (!known) fail("an unknown entity");
    }
    return result;
  }
  void element(const std::string& parent) {
    if (!take("<")) return fail("no element");
    Element result{name(), {}, {}, parent};
    for (skip_space(); !failed_ && !text_.starts_with(">") && !text_.starts_with("/>"); skip_space()) {
      const std::string key = name();
      if (!take("=\"")) return fail("no value");
      if (!result.attributes.emplace(key, characters("\"")).second) fail("an attribute twice");
      if (!take("\"")) return fail("no end of a value");
    }
    if (!take("/>")) {
      take(">");
      while (!failed_ && !text_.starts_with("</")) {
        if (text_.empty()) return fail("no end");
        if (text_.starts_with("<"))
          element(result.name);
        else
          result.text += characters("<");
      }
      if (!failed_ && !take("</" + result.name + ">")) fail("another end than that of " + result.name);
    }
    elements_.push_back(std::move(result));
  }

  std::string_view text_;
  std::vector<Element> elements_;
  bool failed_ = false;
};

// Forwards of all leaves, then backwards, on every rank and chunk, split in two where `split`.
TimelinePicture picture(int ranks, int chunks, std::int64_t leaves, bool split) {
  TimelinePicture result{"gpipe", ranks, chunks, leaves, 0.125, {}};
  for (int rank = 0; rank < ranks; ++rank) {
    double now = 0.25 * rank;
    const auto add = [&](int stage, std::int64_t leaf, ActionKind kind) {
      result.bars.push_back({rank, stage, leaf, kind, now, now + 0.25});
      now += 0.25;
    };
    for (int chunk = 0; chunk < chunks; ++chunk)
      for (std::int64_t leaf = 0; leaf < leaves; ++leaf) add(chunk * ranks + rank, leaf, ActionKind::forward);
    for (int chunk = chunks; chunk-- > 0;)
      for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
        add(chunk * ranks + rank, leaf, split ? ActionKind::backward_input : ActionKind::backward);
        if (split) add(chunk * ranks + rank, leaf, ActionKind::backward_weight);
      }
  }
  return result;
}

// The tooltips of the bars and how often each stands there.
std::map<std::string, int> tooltips(const std::vector<Element>& elements) {
  std::map<std::string, int> result;
  for (const Element& element : elements)
    if (element.name == "title" && element.parent == "rect") ++result[element.text];
  return result;
}

TEST(Drawing, is_well_formed_and_shows_every_action_once) {
  std::size_t drawn = 0;
  for (const auto& [ranks, chunks, leaves] : {std::tuple{1, 1, 1}, {2, 1, 3}, {4, 2, 8}, {3, 5, 4}, {16, 1, 64}})
    for (const bool split : {false, true}) {
      const TimelinePicture made = picture(ranks, chunks, leaves, split);
      const auto elements = XmlReader(draw_timeline(made)).read();
      ASSERT_FALSE(elements.empty());
      EXPECT_EQ(elements.back().name, "svg");
      EXPECT_EQ(elements.back().attributes.at("xmlns"), "http://www.w3.org/2000/svg");
      const auto found = tooltips(elements);
      const std::map<ActionKind, std::string> names = {{ActionKind::forward, "forward"},
                                                       {ActionKind::backward, "backward"},
                                                       {ActionKind::backward_input, "input gradients"},
                                                       {ActionKind::backward_weight, "weight gradients"}};
      ASSERT_EQ(found.size(), made.bars.size());  // rank and stage tell each other here: no two tooltips are equal
      for (const Bar& bar : made.bars) {
        const std::string text = names.at(bar.kind) + " of leaf " + std::to_string(bar.leaf) + ", stage " + std::to_string(bar.stage) + ", ";
        const auto at = found.lower_bound(text);
        ASSERT_TRUE(at != found.end() && at->first.starts_with(text)) << text;
        ASSERT_EQ(at->second, 1);
        ++drawn;
      }
    }
  EXPECT_GT(drawn, 5000U);
}

TEST(Drawing, places_bars_in_their_ranks_row_and_in_proportion_to_time) {
  TimelinePicture made{"1f1b", 2, 1, 2, 0.5, {{0, 0, 0, ActionKind::forward, 0, 1}, {1, 1, 0, ActionKind::backward, 1, 4}}};
  std::vector<Element> bars, lanes;
  for (const Element& element : XmlReader(draw_timeline(made)).read()) {
    if (element.name != "rect") continue;
    if (element.attributes.contains("class") && (element.attributes.at("class") == "f0" || element.attributes.at("class") == "b0") &&
        element.attributes.at("height") != "12")
      bars.push_back(element);
    if (element.attributes.contains("class") && element.attributes.at("class") == "idle" && element.attributes.at("height") != "12") lanes.push_back(element);
  }
  ASSERT_EQ(bars.size(), 2U);
  ASSERT_EQ(lanes.size(), 2U);
  const auto number = [](const Element& element, const char* key) { return std::stod(element.attributes.at(key)); };
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(number(bars[i], "y"), number(lanes[i], "y"));
  EXPECT_NE(number(bars[0], "y"), number(bars[1], "y"));
  EXPECT_NEAR(number(bars[0], "x"), number(lanes[0], "x"), 0.1);
  EXPECT_NEAR(number(bars[1], "x"), number(lanes[1], "x") + number(lanes[1], "width") / 4, 0.1);
  EXPECT_NEAR(number(bars[0], "width"), number(lanes[0], "width") / 4, 1);
  EXPECT_NEAR(number(bars[1], "width"), number(lanes[1], "width") * 3 / 4, 1);
}

TEST(Drawing, tells_kind_grid_bubble_idle_time_and_numbers_of_leaves) {
  TimelinePicture made = picture(4, 2, 8, true);
  made.schedule = "zb_v";
  const std::string svg = draw_timeline(made);
  EXPECT_THAT(svg, HasSubstr("zb_v: p = 4, v = 2, m = 8, bubble 12.5 %"));
  for (const char* text :
       {"forward", "input gradients", "weight gradients", "rank 3", "idle", "shades: chunks 0 to 1", "prefers-color-scheme: dark", " s</text>"})
    EXPECT_THAT(svg, HasSubstr(text));
  EXPECT_THAT(svg, Not(HasSubstr(">backward<")));  // no such bar
  std::map<std::string, int> numbers;
  for (const Element& element : XmlReader(svg).read())
    if (element.name == "text" && element.attributes.contains("class") && element.attributes.at("class") == "n") ++numbers[element.text];
  ASSERT_EQ(numbers.size(), 8U);
  for (const auto& [leaf, count] : numbers) EXPECT_EQ(count, 4 * 2 * 3) << leaf;
}

TEST(Drawing, colours_kinds_and_shades_chunks) {
  std::map<std::string, int> classes;
  for (const Element& element : XmlReader(draw_timeline(picture(2, 5, 3, false))).read())
    if (element.name == "rect" && element.attributes.contains("class") && element.attributes.at("height") != "12") ++classes[element.attributes.at("class")];
  const std::map<std::string, int> expected = {{"f0", 6}, {"f1", 6}, {"f2", 6},  {"f3", 12},  {"b0", 6},
                                               {"b1", 6}, {"b2", 6}, {"b3", 12}, {"idle", 2}, {"ground", 1}};
  EXPECT_EQ(classes, expected);
}

TEST(Drawing, escapes_what_it_is_given) {
  TimelinePicture made = picture(1, 1, 1, false);
  made.schedule = "<a & \"b\" 'c'>\n";
  const auto elements = XmlReader(draw_timeline(made)).read();
  ASSERT_FALSE(elements.empty());
  int found = 0;
  for (const Element& element : elements) found += element.text.starts_with("<a & \"b\" 'c'>?: p = 1");
  EXPECT_EQ(found, 2);  // heading and title of the document
}

TEST(Drawing, has_a_sensible_size_and_is_the_same_text_every_time) {
  const TimelinePicture large = picture(16, 1, 64, true);
  const std::string svg = draw_timeline(large);
  EXPECT_EQ(svg, draw_timeline(large));
  EXPECT_LT(svg.size(), 1'500'000U);
  const auto elements = XmlReader(svg).read();
  ASSERT_FALSE(elements.empty());
  EXPECT_LT(std::stod(elements.back().attributes.at("width")), 4300);
  EXPECT_LT(std::stod(elements.back().attributes.at("height")), 600);
  EXPECT_THAT(XmlReader(draw_timeline({"gpipe", 2, 1, 0, 0, {}})).read(), Not(testing::IsEmpty()));  // a step without leaves
}

TEST(Drawing, refuses_bars_outside_of_ranks_and_time) {
  for (const Bar& bar : {Bar{2, 0, 0, ActionKind::forward, 0, 1}, Bar{-1, 0, 0, ActionKind::forward, 0, 1}, Bar{0, 0, 0, ActionKind::forward, 2, 1}})
    EXPECT_THROW((void)draw_timeline({"gpipe", 2, 1, 1, 0, {bar}}), Error);
}

}  // namespace
}  // namespace tributary
