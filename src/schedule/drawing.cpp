#include "schedule/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace tributary {
namespace {

// Pixels.
constexpr double left = 64, right = 84, top = 70, row = 26, bar_height = 20, digit = 6.2, narrowest = 17, least_width = 640, most_width = 4000;
constexpr std::size_t shades = 4;

struct KindStyle {
  char letter;
  std::string_view name;
  std::array<std::string_view, shades> fill;  // light enough for dark text on either ground
};
constexpr std::array<KindStyle, 4> kinds = {{
    {'f', "forward", {"#5b9bd5", "#7db0de", "#9fc5e8", "#bfd9f0"}},
    {'b', "backward", {"#e08a3c", "#e8a363", "#efbb8b", "#f5d3b3"}},
    {'i', "input gradients", {"#d9727f", "#e28f99", "#ebacb4", "#f3c9ce"}},
    {'w', "weight gradients", {"#62b36b", "#83c38a", "#a4d3a9", "#c5e3c8"}},
}};

const KindStyle& style_of(ActionKind kind) { return kinds[static_cast<std::size_t>(kind)]; }

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&apos;";
        break;
      default:
        result += c >= 0 && c < ' ' ? '?' : c;  // control characters are no XML
    }
  }
  return result;
}

struct Scale {
  double span_s = 0;
  double width = least_width;  // of the span
  [[nodiscard]] double x(double seconds) const { return left + (span_s > 0 ? seconds / span_s * width : 0); }
};

// Wide enough that a bar of mean length has room for its number.
Scale scale_of(const TimelinePicture& picture) {
  Scale scale;
  std::vector<double> bars(static_cast<std::size_t>(picture.ranks), 0);
  for (const Bar& bar : picture.bars) {
    check(bar.rank >= 0 && bar.rank < picture.ranks, "a bar of rank {}, there are {}", bar.rank, picture.ranks);
    check(std::isfinite(bar.end_s) && bar.begin_s >= 0 && bar.end_s >= bar.begin_s, "a bar from {} s to {} s", bar.begin_s, bar.end_s);
    scale.span_s = std::max(scale.span_s, bar.end_s);
    ++bars[static_cast<std::size_t>(bar.rank)];
  }
  const double busiest = *std::max_element(bars.begin(), bars.end());
  scale.width = std::clamp((busiest + 2 * picture.ranks) * narrowest, least_width, most_width);
  return scale;
}

// [ranks] stages, ascending: the place of one is its chunk.
std::vector<std::vector<int>> stages_of_ranks(const TimelinePicture& picture) {
  std::vector<std::set<int>> found(static_cast<std::size_t>(picture.ranks));
  for (const Bar& bar : picture.bars) found[static_cast<std::size_t>(bar.rank)].insert(bar.stage);
  std::vector<std::vector<int>> result;
  for (const auto& stages : found) result.emplace_back(stages.begin(), stages.end());
  return result;
}

class Document {
 public:
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    text_ += '\n';
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void draw_style(Document& svg) {
  svg.line("<style>");
  svg.line("text {{ font: 12px sans-serif; fill: #202428; }}");
  svg.line(".title {{ font-size: 15px; font-weight: bold; }}");
  svg.line(".n {{ font-size: 10px; fill: #101418; text-anchor: middle; pointer-events: none; }}");
  svg.line(".ground {{ fill: #ffffff; }} .idle {{ fill: #eceff1; }} .axis {{ stroke: #80868c; stroke-width: 1; }}");
  for (const KindStyle& kind : kinds)
    for (std::size_t shade = 0; shade < shades; ++shade) svg.line(".{}{} {{ fill: {}; }}", kind.letter, shade, kind.fill[shade]);
  svg.line("@media (prefers-color-scheme: dark) {{");
  svg.line("text {{ fill: #e6e8ea; }} .n {{ fill: #101418; }} .ground {{ fill: #16191c; }} .idle {{ fill: #33393f; }} .axis {{ stroke: #9aa0a6; }}");
  svg.line("}}");
  svg.line("</style>");
}

void draw_legend(Document& svg, const TimelinePicture& picture) {
  std::array<bool, kinds.size()> shown{};
  for (const Bar& bar : picture.bars) shown[static_cast<std::size_t>(bar.kind)] = true;
  const std::size_t swatches = std::min(shades, static_cast<std::size_t>(std::max(1, picture.chunks)));
  double x = left;
  const auto entry = [&](std::string_view name) {
    svg.line(R"(<text x="{:.1f}" y="54">{}</text>)", x + 4, name);
    x += 4 + digit * static_cast<double>(name.size()) + 22;
  };
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    if (!shown[kind]) continue;
    for (std::size_t shade = 0; shade < swatches; ++shade, x += 12)
      svg.line(R"(<rect class="{}{}" x="{:.1f}" y="44" width="12" height="12"/>)", kinds[kind].letter, shade, x);
    entry(kinds[kind].name);
  }
  svg.line(R"(<rect class="idle" x="{:.1f}" y="44" width="12" height="12"/>)", x);
  x += 12;
  entry("idle");
  if (picture.chunks > 1) entry(fmt::format("shades: chunks 0 to {} of a rank", picture.chunks - 1));
}

void draw_rows(Document& svg, const TimelinePicture& picture, const Scale& scale) {
  std::vector<double> busy_s(static_cast<std::size_t>(picture.ranks), 0);
  for (const Bar& bar : picture.bars) busy_s[static_cast<std::size_t>(bar.rank)] += bar.end_s - bar.begin_s;
  for (int rank = 0; rank < picture.ranks; ++rank) {
    const double y = top + row * rank, idle = scale.span_s > 0 ? std::max(0.0, 1 - busy_s[static_cast<std::size_t>(rank)] / scale.span_s) : 0;
    svg.line(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">rank {}</text>)", left - 8, y + 15, rank);
    svg.line(R"(<rect class="idle" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)", left, y, scale.width, bar_height);
    svg.line(R"(<text x="{:.1f}" y="{:.1f}">idle {:.1f} %</text>)", left + scale.width + 8, y + 15, 100 * idle);
  }
}

void draw_bars(Document& svg, const TimelinePicture& picture, const Scale& scale) {
  const auto stages = stages_of_ranks(picture);
  for (const Bar& bar : picture.bars) {
    const auto& own = stages[static_cast<std::size_t>(bar.rank)];
    const auto chunk = static_cast<std::size_t>(std::lower_bound(own.begin(), own.end(), bar.stage) - own.begin());
    const double x = scale.x(bar.begin_s), y = top + row * bar.rank, width = scale.x(bar.end_s) - x;
    const KindStyle& style = style_of(bar.kind);
    // A hair narrower than it lasts, so that neighbours of one colour are told apart.
    svg.line(R"(<rect class="{}{}" x="{:.2f}" y="{:.1f}" width="{:.2f}" height="{:.1f}"><title>{} of leaf {}, stage {}, {:.6g} s to {:.6g} s</title></rect>)",
             style.letter, std::min(chunk, shades - 1), x, y, std::max(0.4, width - 0.6), bar_height, style.name, bar.leaf, bar.stage, bar.begin_s, bar.end_s);
    const std::string number = fmt::format("{}", bar.leaf);
    if (width >= digit * static_cast<double>(number.size()) + 2) svg.line(R"(<text class="n" x="{:.2f}" y="{:.1f}">{}</text>)", x + width / 2, y + 14, number);
  }
}

// 1, 2 or 5 times a power of ten, some 80 pixels or more.
double tick_s(const Scale& scale) {
  const double least = scale.span_s * 80 / scale.width, power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least) return factor * power;
  return 10 * power;
}

void draw_axis(Document& svg, const TimelinePicture& picture, const Scale& scale) {
  const double y = top + row * picture.ranks + 2;
  svg.line(R"(<line class="axis" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", left, y, left + scale.width, y);
  const double step = scale.span_s > 0 ? tick_s(scale) : 1;
  const auto ticks = static_cast<int>(std::floor(scale.span_s / step * (1 + 1e-9)));
  for (int tick = 0; tick <= ticks; ++tick) {
    const double x = scale.x(tick * step);
    svg.line(R"(<line class="axis" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>)", x, y, x, y + 5);
    svg.line(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{:.6g} s</text>)", x, y + 18, tick * step);
  }
}

}  // namespace

std::string draw_timeline(const TimelinePicture& picture) {
  check(picture.ranks >= 1, "a timeline of {} ranks", picture.ranks);
  const Scale scale = scale_of(picture);
  const double width = left + scale.width + right, height = top + row * picture.ranks + 30;
  const std::string title = fmt::format("{}: p = {}, v = {}, m = {}, bubble {:.1f} %, {:.6g} s", escaped(picture.schedule), picture.ranks, picture.chunks,
                                        picture.leaves, 100 * picture.bubble, scale.span_s);
  Document svg;
  svg.line(R"(<?xml version="1.0" encoding="UTF-8"?>)");
  svg.line(R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" role="img">)", width, height);
  svg.line("<title>{}</title>", title);
  draw_style(svg);
  svg.line(R"(<rect class="ground" width="{:.0f}" height="{:.0f}"/>)", width, height);
  svg.line(R"(<text class="title" x="{:.1f}" y="28">{}</text>)", left, title);
  draw_legend(svg, picture);
  draw_rows(svg, picture, scale);
  draw_bars(svg, picture, scale);
  draw_axis(svg, picture, scale);
  svg.line("</svg>");
  return svg.take();
}

}  // namespace tributary
